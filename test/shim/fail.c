/*
 * Makes writes and syncs of chosen files fail: an LD_PRELOAD shim that turns any disk into a broken or full one, at any moment.
 *
 *   FAIL_CONTROL  a file; as long as it is there its one line says what fails: <write|sync> <errno> <part of the path>
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) __typeof__(name) *real = dlsym(RTLD_NEXT, #name)

/* Whether the call is to fail; sets errno then. Reads the control file by system calls of its own, which nobody intercepts. */
static int fails(const char *call, int descriptor) {
  const char *control = getenv("FAIL_CONTROL");
  char line[256], wanted[16], part[200], link[64], path[PATH_MAX];
  int number, before = errno;
  if (control == NULL) return 0;
  long file = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    errno = before;
    return 0;
  }
  long bytes = syscall(SYS_read, file, line, sizeof line - 1);
  syscall(SYS_close, file);
  errno = before;
  if (bytes <= 0) return 0;
  line[bytes] = 0;
  if (sscanf(line, "%15s %d %199s", wanted, &number, part) != 3 || strcmp(wanted, call) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = before;
  if (length <= 0) return 0;
  path[length] = 0;
  if (strstr(path, part) == NULL) return 0;
  errno = number;
  return 1;
}

ssize_t write(int descriptor, const void *bytes, size_t length) {
  REAL(write);
  return fails("write", descriptor) ? -1 : real(descriptor, bytes, length);
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count) {
  REAL(writev);
  return fails("write", descriptor) ? -1 : real(descriptor, pieces, count);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset) {
  REAL(pwrite);
  return fails("write", descriptor) ? -1 : real(descriptor, bytes, length, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t offset) {
  REAL(pwrite64);
  return fails("write", descriptor) ? -1 : real(descriptor, bytes, length, offset);
}

ssize_t pwritev(int descriptor, const struct iovec *pieces, int count, off_t offset) {
  REAL(pwritev);
  return fails("write", descriptor) ? -1 : real(descriptor, pieces, count, offset);
}

ssize_t pwritev64(int descriptor, const struct iovec *pieces, int count, off64_t offset) {
  REAL(pwritev64);
  return fails("write", descriptor) ? -1 : real(descriptor, pieces, count, offset);
}

int fsync(int descriptor) {
  REAL(fsync);
  return fails("sync", descriptor) ? -1 : real(descriptor);
}

int fdatasync(int descriptor) {
  REAL(fdatasync);
  return fails("sync", descriptor) ? -1 : real(descriptor);
}
