/*
 * Writes down what a process does to the files below one directory and what it sends to the network, in the order in which it
 * happens: an LD_PRELOAD shim over the C library, through which Node, libuv and LMDB all go. test/store/trace.ts reads it.
 *
 *   TRACE_ROOT   the directory, an absolute path without symbolic links
 *   TRACE_FILE   where the lines go; outside of the directory
 *   TRACE_BYTES  where the bytes of writes go, one behind the other in the order of the lines W; may be absent
 *
 * One line per event, fields divided by tabs, the path last. Files and directories are named by inode, which a rename keeps.
 *
 *   w inode sync path                a write or truncation begins; sync is 1 when the descriptor was opened with O_DSYNC or O_SYNC
 *   W inode sync offset length path  it has ended; length is -1 for a truncation to the offset; both are -1 for what is not told
 *   s inode path                     a sync begins
 *   S inode result path              it has ended; 0 is success
 *   D directory inode path           a directory was made
 *   N directory inode path           another name appeared: created, linked, bound or renamed to
 *   R directory inode path           a name went: removed, or replaced by a rename
 *   M directory inode path           a name went: renamed; where it came stands in the next line, which is an N
 *   m inode path                     a file was mapped shared and writable: writes through it are not seen here
 *   x number                         a system call, made past the C library, that changes files in a way not seen here
 *   > descriptor hex                 bytes about to go to a TCP connection
 *   . descriptor length              so many of them have gone; negative when none
 *
 * What is written, sent or synced appears before the call is made, what has succeeded after it: a sync covers only what ended
 * before it began. io_uring is refused, as on an old kernel, because its work is not done by calls.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define REAL(name) __typeof__(name) *real = real_of(#name)

static const char *root;
static size_t root_bytes;
static int log_descriptor = -1;
static int bytes_descriptor = -1;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

/* Of the same name in the library behind this one. Looked up each time: a hash lookup, next to a system call. */
static void *real_of(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (found == NULL) {
    fprintf(stderr, "trace: the C library has no %s\n", name);
    abort();
  }
  return found;
}

static int open_log(const char *file) {
  int (*real_open)(const char *, int, ...) = real_of("open");
  int opened = real_open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  /* A high number, so that the traced program gets the descriptors that it would have had. */
  int high = fcntl(opened, F_DUPFD_CLOEXEC, 900);
  close(opened);
  return high;
}

__attribute__((constructor)) static void begin(void) {
  const char *file = getenv("TRACE_FILE");
  root = getenv("TRACE_ROOT");
  if (file == NULL || root == NULL) return;
  root_bytes = strlen(root);
  log_descriptor = open_log(file);
  const char *bytes_file = getenv("TRACE_BYTES");
  if (bytes_file != NULL) bytes_descriptor = open_log(bytes_file);
}

static void write_all(int descriptor, const char *from, size_t bytes) {
  ssize_t (*real_write)(int, const void *, size_t) = real_of("write");
  while (bytes > 0) {
    ssize_t written = real_write(descriptor, from, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) abort();
    from += written;
    bytes -= (size_t)written;
  }
}

static void put(const char *line, size_t bytes) {
  pthread_mutex_lock(&log_lock);
  write_all(log_descriptor, line, bytes);
  pthread_mutex_unlock(&log_lock);
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...) {
  char line[3 * PATH_MAX + 256];
  int before = errno;
  va_list values;
  va_start(values, format);
  int bytes = vsnprintf(line, sizeof line, format, values);
  va_end(values);
  if (bytes < 0 || (size_t)bytes >= sizeof line) abort();
  put(line, (size_t)bytes);
  errno = before;
}

static int below_root(const char *path) {
  return log_descriptor >= 0 && strncmp(path, root, root_bytes) == 0 && (path[root_bytes] == '/' || path[root_bytes] == 0);
}

/* The path of a descriptor; 0 unless it is one of ours. */
static int path_of(int descriptor, char *path) {
  char link[64];
  int before = errno;
  if (log_descriptor < 0 || descriptor < 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t bytes = readlink(link, path, PATH_MAX - 1);
  errno = before;
  if (bytes <= 0) return 0;
  path[bytes] = 0;
  return below_root(path);
}

/* An absolute path for one relative to a directory's descriptor; 0 unless it is one of ours. */
static int resolve(int directory, const char *given, char *path) {
  char base[PATH_MAX];
  int before = errno;
  if (log_descriptor < 0 || given == NULL) return 0;
  if (given[0] == '/') {
    /* A socket that is bound through /proc/self/fd. */
    int descriptor, used = 0;
    if (sscanf(given, "/proc/self/fd/%d/%n", &descriptor, &used) == 1 && used > 0) {
      if (!path_of(descriptor, base)) return 0;
      snprintf(path, PATH_MAX, "%.2000s/%.2000s", base, given + used);
      return 1;
    }
    snprintf(path, PATH_MAX, "%s", given);
    return below_root(path);
  }
  if (directory == AT_FDCWD) {
    if (getcwd(base, sizeof base) == NULL) return 0;
    if (!below_root(base)) {
      errno = before;
      return 0;
    }
  } else if (!path_of(directory, base)) return 0;
  errno = before;
  snprintf(path, PATH_MAX, "%.2000s/%.2000s", base, given);
  return 1;
}

static unsigned long inode_of(const char *path) {
  struct stat facts;
  int before = errno;
  unsigned long inode = lstat(path, &facts) == 0 ? (unsigned long)facts.st_ino : 0;
  errno = before;
  return inode;
}

static unsigned long inode_of_descriptor(int descriptor) {
  struct stat facts;
  int before = errno;
  unsigned long inode = fstat(descriptor, &facts) == 0 ? (unsigned long)facts.st_ino : 0;
  errno = before;
  return inode;
}

static unsigned long inode_of_parent(const char *path) {
  char parent[PATH_MAX];
  snprintf(parent, sizeof parent, "%s", path);
  char *slash = strrchr(parent, '/');
  if (slash == NULL || slash == parent) return 0;
  *slash = 0;
  return inode_of(parent);
}

static int is_sync(int descriptor) {
  int before = errno;
  int flags = fcntl(descriptor, F_GETFL);
  errno = before;
  return flags >= 0 && (flags & O_DSYNC) != 0;
}

static void note_name(char kind, unsigned long inode, const char *path) {
  note("%c\t%lu\t%lu\t%s\n", kind, inode_of_parent(path), inode, path);
}

/* ---- the network ---- */

static int is_tcp(int descriptor) {
  int domain = 0;
  socklen_t bytes = sizeof domain;
  int before = errno;
  int known = log_descriptor >= 0 && getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) == 0;
  errno = before;
  return known && (domain == AF_INET || domain == AF_INET6);
}

static void note_send(int descriptor, const struct iovec *pieces, size_t count) {
  static const char digits[] = "0123456789abcdef";
  size_t bytes = 0;
  for (size_t index = 0; index < count; index += 1) bytes += pieces[index].iov_len;
  int before = errno;
  char *line = malloc(2 * bytes + 64);
  if (line == NULL) abort();
  size_t at = (size_t)sprintf(line, ">\t%d\t", descriptor);
  for (size_t index = 0; index < count; index += 1) {
    const unsigned char *piece = pieces[index].iov_base;
    for (size_t byte = 0; byte < pieces[index].iov_len; byte += 1) {
      line[at++] = digits[piece[byte] >> 4];
      line[at++] = digits[piece[byte] & 15];
    }
  }
  line[at++] = '\n';
  put(line, at);
  free(line);
  errno = before;
}

static ssize_t note_sent(int descriptor, ssize_t bytes) {
  note(".\t%d\t%zd\n", descriptor, bytes);
  return bytes;
}

#define SEND(descriptor, pieces, count, call)                 \
  do {                                                        \
    if (!is_tcp(descriptor)) return call;                     \
    note_send(descriptor, pieces, (size_t)(count));           \
    return note_sent(descriptor, call);                       \
  } while (0)

ssize_t send(int descriptor, const void *bytes, size_t length, int flags) {
  REAL(send);
  struct iovec piece = {(void *)bytes, length};
  SEND(descriptor, &piece, 1, real(descriptor, bytes, length, flags));
}

ssize_t sendto(int descriptor, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t to_bytes) {
  REAL(sendto);
  struct iovec piece = {(void *)bytes, length};
  SEND(descriptor, &piece, 1, real(descriptor, bytes, length, flags, to, to_bytes));
}

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags) {
  REAL(sendmsg);
  SEND(descriptor, message->msg_iov, message->msg_iovlen, real(descriptor, message, flags));
}

/* For datagrams; a stream that goes this way would have to be noted message by message. */
int sendmmsg(int descriptor, struct mmsghdr *messages, unsigned int count, int flags) {
  REAL(sendmmsg);
  if (is_tcp(descriptor)) note("x\t%d\n", SYS_sendmmsg);
  return real(descriptor, messages, count, flags);
}

/* ---- writes ---- */

/* What a write that has ended has left where. `offset` is -1 for the file's own position, which is behind it now. */
static void note_written(int descriptor, off_t offset, const struct iovec *pieces, ssize_t written, const char *path) {
  char line[PATH_MAX + 128];
  int before = errno;
  if (offset < 0) offset = lseek(descriptor, 0, SEEK_CUR) - written;
  int bytes = snprintf(line, sizeof line, "W\t%lu\t%d\t%lld\t%zd\t%s\n", inode_of_descriptor(descriptor),
                       is_sync(descriptor), (long long)offset, written, path);
  if (bytes < 0 || (size_t)bytes >= sizeof line) abort();
  pthread_mutex_lock(&log_lock);
  for (size_t rest = bytes_descriptor < 0 ? 0 : (size_t)written; rest > 0; pieces += 1) {
    size_t length = pieces->iov_len < rest ? pieces->iov_len : rest;
    write_all(bytes_descriptor, pieces->iov_base, length);
    rest -= length;
  }
  write_all(log_descriptor, line, (size_t)bytes);
  pthread_mutex_unlock(&log_lock);
  errno = before;
}

#define WRITE(descriptor, offset, pieces, count, call)                              \
  do {                                                                              \
    char path[PATH_MAX];                                                            \
    if (!path_of(descriptor, path)) {                                               \
      SEND(descriptor, pieces, count, call);                                        \
    }                                                                               \
    note("w\t%lu\t%d\t%s\n", inode_of_descriptor(descriptor), is_sync(descriptor), path); \
    ssize_t written = call;                                                         \
    if (written >= 0) note_written(descriptor, offset, pieces, written, path);      \
    return written;                                                                 \
  } while (0)

ssize_t write(int descriptor, const void *bytes, size_t length) {
  REAL(write);
  struct iovec piece = {(void *)bytes, length};
  WRITE(descriptor, -1, &piece, 1, real(descriptor, bytes, length));
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count) {
  REAL(writev);
  WRITE(descriptor, -1, pieces, count, real(descriptor, pieces, count));
}

#define PWRITE(name, offset_type)                                                        \
  ssize_t name(int descriptor, const void *bytes, size_t length, offset_type offset) {   \
    REAL(name);                                                                          \
    struct iovec piece = {(void *)bytes, length};                                        \
    WRITE(descriptor, offset, &piece, 1, real(descriptor, bytes, length, offset));       \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(name, offset_type)                                                       \
  ssize_t name(int descriptor, const struct iovec *pieces, int count, offset_type offset) { \
    REAL(name);                                                                          \
    WRITE(descriptor, offset, pieces, count, real(descriptor, pieces, count, offset));   \
  }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

#define PWRITEV2(name, offset_type)                                                      \
  ssize_t name(int descriptor, const struct iovec *pieces, int count, offset_type offset, int flags) { \
    REAL(name);                                                                          \
    WRITE(descriptor, offset, pieces, count, real(descriptor, pieces, count, offset, flags)); \
  }
PWRITEV2(pwritev2, off_t)
PWRITEV2(pwritev64v2, off64_t)

/* Lengthens or shortens a file, or writes to it in another way of which only the fact is noted. */
#define CHANGE(descriptor, result_type, to, call)                   \
  do {                                                              \
    char path[PATH_MAX];                                            \
    if (!path_of(descriptor, path)) return call;                    \
    unsigned long inode = inode_of_descriptor(descriptor);          \
    note("w\t%lu\t0\t%s\n", inode, path);                           \
    result_type result = call;                                      \
    if (result >= 0) note("W\t%lu\t0\t%lld\t-1\t%s\n", inode, (long long)(to), path); \
    return result;                                                  \
  } while (0)

int ftruncate(int descriptor, off_t length) {
  REAL(ftruncate);
  CHANGE(descriptor, int, length, real(descriptor, length));
}

int ftruncate64(int descriptor, off64_t length) {
  REAL(ftruncate64);
  CHANGE(descriptor, int, length, real(descriptor, length));
}

int fallocate(int descriptor, int mode, off_t offset, off_t length) {
  REAL(fallocate);
  CHANGE(descriptor, int, -1, real(descriptor, mode, offset, length));
}

int posix_fallocate(int descriptor, off_t offset, off_t length) {
  REAL(posix_fallocate);
  CHANGE(descriptor, int, -1, real(descriptor, offset, length));
}

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t length, unsigned int flags) {
  REAL(copy_file_range);
  CHANGE(to, ssize_t, -1, real(from, from_at, to, to_at, length, flags));
}

ssize_t sendfile(int to, int from, off_t *offset, size_t length) {
  REAL(sendfile);
  CHANGE(to, ssize_t, -1, real(to, from, offset, length));
}

ssize_t sendfile64(int to, int from, off64_t *offset, size_t length) {
  REAL(sendfile64);
  CHANGE(to, ssize_t, -1, real(to, from, offset, length));
}

#define TRUNCATE(name, length_type)                                 \
  int name(const char *given, length_type length) {                 \
    REAL(name);                                                     \
    char path[PATH_MAX];                                            \
    if (!resolve(AT_FDCWD, given, path)) return real(given, length); \
    note("w\t%lu\t0\t%s\n", inode_of(path), path);                  \
    int result = real(given, length);                               \
    if (result == 0) note("W\t%lu\t0\t%lld\t-1\t%s\n", inode_of(path), (long long)length, path); \
    return result;                                                  \
  }
TRUNCATE(truncate, off_t)
TRUNCATE(truncate64, off64_t)

#define MAP(name, offset_type)                                                                          \
  void *name(void *address, size_t length, int protection, int flags, int descriptor, offset_type offset) { \
    REAL(name);                                                                                         \
    char path[PATH_MAX];                                                                                \
    if ((flags & MAP_SHARED) != 0 && (protection & PROT_WRITE) != 0 && path_of(descriptor, path))       \
      note("m\t%lu\t%s\n", inode_of_descriptor(descriptor), path);                                      \
    return real(address, length, protection, flags, descriptor, offset);                                \
  }
MAP(mmap, off_t)
MAP(mmap64, off64_t)

/* ---- syncs ---- */

#define SYNC(name)                                                  \
  int name(int descriptor) {                                        \
    REAL(name);                                                     \
    char path[PATH_MAX];                                            \
    if (!path_of(descriptor, path)) return real(descriptor);        \
    unsigned long inode = inode_of_descriptor(descriptor);          \
    note("s\t%lu\t%s\n", inode, path);                              \
    int result = real(descriptor);                                  \
    note("S\t%lu\t%d\t%s\n", inode, result, path);                  \
    return result;                                                  \
  }
SYNC(fsync)
SYNC(fdatasync)

/* ---- names ---- */

static int creates(int flags) { return (flags & O_CREAT) != 0; }

/* Notes what an open that succeeded has done to the directory or to the content. */
static int opened(int descriptor, int flags, const char *path, unsigned long inode_before, off_t bytes_before) {
  if (descriptor < 0) return descriptor;
  if (creates(flags) && inode_before == 0) note_name('N', inode_of_descriptor(descriptor), path);
  else if ((flags & O_TRUNC) != 0 && bytes_before > 0)
    note("W\t%lu\t0\t0\t-1\t%s\n", inode_of_descriptor(descriptor), path);
  return descriptor;
}

static off_t bytes_of(const char *path) {
  struct stat facts;
  int before = errno;
  off_t bytes = stat(path, &facts) == 0 ? facts.st_size : 0;
  errno = before;
  return bytes;
}

#define OPEN_BODY(directory, call)                                                          \
  do {                                                                                      \
    char path[PATH_MAX];                                                                    \
    mode_t mode = 0;                                                                        \
    if (creates(flags) || (flags & O_TMPFILE) == O_TMPFILE) {                               \
      va_list values;                                                                       \
      va_start(values, flags);                                                              \
      mode = va_arg(values, mode_t);                                                        \
      va_end(values);                                                                       \
    }                                                                                       \
    if ((flags & (O_CREAT | O_TRUNC)) == 0 || !resolve(directory, given, path)) return call; \
    unsigned long inode = inode_of(path);                                                   \
    off_t bytes = bytes_of(path);                                                           \
    return opened(call, flags, path, inode, bytes);                                         \
  } while (0)

int open(const char *given, int flags, ...) {
  REAL(open);
  OPEN_BODY(AT_FDCWD, real(given, flags, mode));
}

int open64(const char *given, int flags, ...) {
  REAL(open64);
  OPEN_BODY(AT_FDCWD, real(given, flags, mode));
}

int openat(int directory, const char *given, int flags, ...) {
  REAL(openat);
  OPEN_BODY(directory, real(directory, given, flags, mode));
}

int openat64(int directory, const char *given, int flags, ...) {
  REAL(openat64);
  OPEN_BODY(directory, real(directory, given, flags, mode));
}

int creat(const char *given, mode_t mode) { return open(given, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *given, mode_t mode) { return open64(given, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int mkdirat(int directory, const char *given, mode_t mode) {
  REAL(mkdirat);
  char path[PATH_MAX];
  int result = real(directory, given, mode);
  if (result == 0 && resolve(directory, given, path)) note_name('D', inode_of(path), path);
  return result;
}

int mkdir(const char *given, mode_t mode) {
  REAL(mkdir);
  char path[PATH_MAX];
  int result = real(given, mode);
  if (result == 0 && resolve(AT_FDCWD, given, path)) note_name('D', inode_of(path), path);
  return result;
}

/* Lines of one rename, that none of another thread comes between. */
static void note_rename(const char *source, unsigned long moved, const char *target, unsigned long replaced) {
  char lines[3 * PATH_MAX + 256];
  int bytes = 0;
  if (target != NULL && replaced != 0) bytes += sprintf(lines, "R\t%lu\t%lu\t%s\n", inode_of_parent(target), replaced, target);
  if (source != NULL) bytes += sprintf(lines + bytes, "M\t%lu\t%lu\t%s\n", inode_of_parent(source), moved, source);
  if (target != NULL) sprintf(lines + bytes, "N\t%lu\t%lu\t%s\n", inode_of_parent(target), inode_of(target), target);
  if (source != NULL || target != NULL) note("%s", lines);
}

#define RENAME_BODY(from_directory, from, to_directory, to, call)   \
  do {                                                              \
    char source[PATH_MAX], target[PATH_MAX];                        \
    int from_ours = resolve(from_directory, from, source);          \
    int to_ours = resolve(to_directory, to, target);                \
    unsigned long moved = from_ours ? inode_of(source) : 0;         \
    unsigned long replaced = to_ours ? inode_of(target) : 0;        \
    int result = call;                                              \
    if (result != 0) return result;                                 \
    note_rename(from_ours ? source : NULL, moved, to_ours ? target : NULL, replaced); \
    return result;                                                  \
  } while (0)

int rename(const char *from, const char *to) {
  REAL(rename);
  RENAME_BODY(AT_FDCWD, from, AT_FDCWD, to, real(from, to));
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
  REAL(renameat);
  RENAME_BODY(from_directory, from, to_directory, to, real(from_directory, from, to_directory, to));
}

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned int flags) {
  REAL(renameat2);
  RENAME_BODY(from_directory, from, to_directory, to, real(from_directory, from, to_directory, to, flags));
}

#define REMOVE_BODY(directory, given, call)                         \
  do {                                                              \
    char path[PATH_MAX];                                            \
    if (!resolve(directory, given, path)) return call;              \
    unsigned long inode = inode_of(path);                           \
    int result = call;                                              \
    if (result == 0) note_name('R', inode, path);                   \
    return result;                                                  \
  } while (0)

int unlink(const char *given) {
  REAL(unlink);
  REMOVE_BODY(AT_FDCWD, given, real(given));
}

int rmdir(const char *given) {
  REAL(rmdir);
  REMOVE_BODY(AT_FDCWD, given, real(given));
}

int remove(const char *given) {
  REAL(remove);
  REMOVE_BODY(AT_FDCWD, given, real(given));
}

int unlinkat(int directory, const char *given, int flags) {
  REAL(unlinkat);
  REMOVE_BODY(directory, given, real(directory, given, flags));
}

#define LINK_BODY(directory, to, call)                                             \
  do {                                                                             \
    char path[PATH_MAX];                                                           \
    int result = call;                                                             \
    if (result == 0 && resolve(directory, to, path)) note_name('N', inode_of(path), path); \
    return result;                                                                 \
  } while (0)

int link(const char *from, const char *to) {
  REAL(link);
  LINK_BODY(AT_FDCWD, to, real(from, to));
}

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
  REAL(linkat);
  LINK_BODY(to_directory, to, real(from_directory, from, to_directory, to, flags));
}

int symlink(const char *from, const char *to) {
  REAL(symlink);
  LINK_BODY(AT_FDCWD, to, real(from, to));
}

int symlinkat(const char *from, int to_directory, const char *to) {
  REAL(symlinkat);
  LINK_BODY(to_directory, to, real(from, to_directory, to));
}

int bind(int descriptor, const struct sockaddr *address, socklen_t bytes) {
  REAL(bind);
  char path[PATH_MAX];
  int result = real(descriptor, address, bytes);
  if (result == 0 && address->sa_family == AF_UNIX) {
    const char *name = ((const struct sockaddr_un *)address)->sun_path;
    if (name[0] != 0 && resolve(AT_FDCWD, name, path)) note_name('N', inode_of(path), path);
  }
  return result;
}

/* ---- past the C library ---- */

static int changes_files(long number) {
  switch (number) {
    case SYS_write: case SYS_writev: case SYS_pwrite64: case SYS_pwritev: case SYS_pwritev2:
    case SYS_ftruncate: case SYS_truncate: case SYS_fallocate: case SYS_copy_file_range: case SYS_sendfile:
    case SYS_mkdirat: case SYS_renameat2: case SYS_unlinkat: case SYS_linkat: case SYS_symlinkat:
    case SYS_fsync: case SYS_fdatasync: case SYS_msync: case SYS_sync_file_range: case SYS_syncfs: case SYS_sync:
    case SYS_io_submit: case SYS_sendto: case SYS_sendmsg: case SYS_sendmmsg:
#ifdef SYS_open
    case SYS_open: case SYS_creat: case SYS_mkdir: case SYS_rename: case SYS_unlink: case SYS_rmdir: case SYS_link: case SYS_symlink:
#endif
#ifdef SYS_renameat
    case SYS_renameat:
#endif
      return 1;
    default:
      return 0;
  }
}

long syscall(long number, ...) {
  REAL(syscall);
  va_list values;
  va_start(values, number);
  long given[6];
  for (int index = 0; index < 6; index += 1) given[index] = va_arg(values, long);
  va_end(values);
  if (number == SYS_io_uring_setup && log_descriptor >= 0) {
    errno = ENOSYS;
    return -1;
  }
  if (log_descriptor >= 0 && changes_files(number)) note("x\t%ld\n", number);
  return real(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}
