/*
 * Makes every write to a file below one directory wait before it is done, and every sync too: an LD_PRELOAD shim that turns any
 * disk into a slow one.
 *
 *   SLOW_ROOT  the directory, an absolute path without symbolic links
 *   SLOW_MS    the wait in milliseconds
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) __typeof__(name) *real = dlsym(RTLD_NEXT, #name)

static void wait_for(int descriptor) {
  const char *root = getenv("SLOW_ROOT");
  const char *milliseconds = getenv("SLOW_MS");
  char link[64], path[PATH_MAX];
  int before = errno;
  if (root == NULL || milliseconds == NULL) return;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t bytes = readlink(link, path, sizeof path - 1);
  errno = before;
  if (bytes <= 0 || strncmp(path, root, strlen(root)) != 0) return;
  long wait = atol(milliseconds);
  struct timespec left = {wait / 1000, wait % 1000 * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
  errno = before;
}

ssize_t write(int descriptor, const void *bytes, size_t length) {
  REAL(write);
  wait_for(descriptor);
  return real(descriptor, bytes, length);
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count) {
  REAL(writev);
  wait_for(descriptor);
  return real(descriptor, pieces, count);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset) {
  REAL(pwrite);
  wait_for(descriptor);
  return real(descriptor, bytes, length, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t offset) {
  REAL(pwrite64);
  wait_for(descriptor);
  return real(descriptor, bytes, length, offset);
}

ssize_t pwritev(int descriptor, const struct iovec *pieces, int count, off_t offset) {
  REAL(pwritev);
  wait_for(descriptor);
  return real(descriptor, pieces, count, offset);
}

ssize_t pwritev64(int descriptor, const struct iovec *pieces, int count, off64_t offset) {
  REAL(pwritev64);
  wait_for(descriptor);
  return real(descriptor, pieces, count, offset);
}

int fsync(int descriptor) {
  REAL(fsync);
  wait_for(descriptor);
  return real(descriptor);
}

int fdatasync(int descriptor) {
  REAL(fdatasync);
  wait_for(descriptor);
  return real(descriptor);
}
