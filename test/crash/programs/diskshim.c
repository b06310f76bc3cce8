/*
 * Stands between a relay and its disk (LD_PRELOAD): counts, records, fails or ends at each call that changes the state
 * folder. All processes of one relay share a control file, which the test reads and writes while they run, and one log.
 * Calls on other files and on sockets pass untouched. A process of no known kind (a shell, ps) is left alone.
 *
 *   DISKSHIM_STATE    the state folder, absolute
 *   DISKSHIM_OMIT     patterns of names in it that are not meant, separated by colons
 *   DISKSHIM_KINDS    kind=part of the command line, separated by commas; the first is the supervisor
 *   DISKSHIM_CONTROL  the control file: struct control, at least 4096 bytes
 *   DISKSHIM_LOG      the log: struct record, its two names and its data, again and again
 *
 * test/kit/diskshim.ts is the other side of both structures.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum op { OPEN = 1, WRITE, TRUNCATE, SYNC, SYNCED, RENAME, UNLINK, MKDIR, LINK };
enum mode { NOTHING = 0, FAIL, SHORTEN, KILL_BEFORE, KILL_AFTER };
enum thread { ANY_THREAD = 0, MAIN, POOL };
enum { SUPERVISOR = 1, KINDS = 8, FILES = 65536, PATTERN = 128, FAILURES = 128 };

/* A sync that failed. `number` counts all of them from 1. */
struct failure {
  uint64_t inode;
  uint32_t number, error;
};

struct control {
  uint32_t mode, kind, error, ops;
  uint64_t from, count, matched;
  uint32_t whole_relay, fired, record_data, pad;
  uint32_t deaf_kind, deaf_thread;
  uint64_t counts[KINDS];
  char pattern[PATTERN], deaf[PATTERN], fired_at[PATTERN];
  uint32_t failed;
  struct failure failures[FAILURES];
};
_Static_assert(sizeof(struct control) <= 4096, "the control file is one page");

struct record {
  uint32_t bytes;
  uint8_t op, kind, thread, created;
  uint32_t pid;
  int32_t error;
  uint64_t index, inode, offset, length, begun;
  uint16_t name_bytes, other_bytes;
  uint32_t data_bytes;
};

/* What a call is about to do. */
struct call {
  enum op op;
  const char *name, *other;
  uint64_t inode, offset, length, index, begun;
  int created, is_short, kills;
};

struct file {
  char *name;
  dev_t device;
  ino_t inode;
  int appends;
  /* The number of the newest failed sync that this open description need not hear of. */
  uint32_t heard;
};

static struct control *control;
static struct file *files[FILES];
static char state[PATH_MAX], omitted[1024];
static size_t state_bytes;
static int kind, log_file = -1;
static pthread_mutex_t here = PTHREAD_MUTEX_INITIALIZER;

/* One order of all calls: this lock is held from before a change to after its record. */
static void lock(void) {
  pthread_mutex_lock(&here);
  while (log_file >= 0 && flock(log_file, LOCK_EX) < 0 && errno == EINTR) {}
}

static void unlock(void) {
  int error = errno;
  if (log_file >= 0) flock(log_file, LOCK_UN);
  pthread_mutex_unlock(&here);
  errno = error;
}

static int kind_of_this(const char *kinds) {
  char line[8192], all[1024], *rest, *one;
  int found = 0, number = 0;
  int file = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
  ssize_t bytes = file < 0 ? 0 : read(file, line, sizeof line);
  if (file >= 0) close(file);
  snprintf(all, sizeof all, "%s", kinds);
  for (one = strtok_r(all, ",", &rest); one && !found && bytes > 0; one = strtok_r(NULL, ",", &rest)) {
    char *part = strchr(one, '=');
    number += 1;
    if (part && memmem(line, bytes, part + 1, strlen(part + 1))) found = number;
  }
  return found;
}

__attribute__((constructor)) static void begin(void) {
  const char *folder = getenv("DISKSHIM_STATE"), *kinds = getenv("DISKSHIM_KINDS"), *omit = getenv("DISKSHIM_OMIT");
  const char *path = getenv("DISKSHIM_CONTROL"), *log = getenv("DISKSHIM_LOG");
  if (!folder || !kinds || !path || !log || !(kind = kind_of_this(kinds))) return;
  int file = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
  if (file < 0) return;
  void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  syscall(SYS_close, file);
  int opened = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
  log_file = fcntl(opened, F_DUPFD_CLOEXEC, 500);
  syscall(SYS_close, opened);
  state_bytes = snprintf(state, sizeof state, "%s", folder);
  snprintf(omitted, sizeof omitted, "%s", omit ? omit : "");
  /* All of a relay can be ended at once, and none of it outlives the test. */
  if (kind == SUPERVISOR) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
  if (mapped != MAP_FAILED) control = mapped;
}

static int is_omitted(const char *name) {
  char all[sizeof omitted], *rest, *one;
  memcpy(all, omitted, sizeof all);
  for (one = strtok_r(all, ":", &rest); one; one = strtok_r(NULL, ":", &rest))
    if (fnmatch(one, name, 0) == 0) return 1;
  return 0;
}

/* The name within the state folder ("." is the folder itself), or NULL. */
static const char *name_of(int folder, const char *path, char *room) {
  char at[64];
  ssize_t bytes = 0;
  if (!control) return NULL;
  if (path[0] != '/') {
    if (folder == AT_FDCWD) snprintf(at, sizeof at, "/proc/self/cwd");
    else snprintf(at, sizeof at, "/proc/self/fd/%d", folder);
    if ((bytes = readlink(at, room, PATH_MAX - 1)) < 0) return NULL;
    room[bytes++] = '/';
  }
  snprintf(room + bytes, PATH_MAX - bytes, "%s", path);
  if (strncmp(room, state, state_bytes) != 0) return NULL;
  if (room[state_bytes] == 0) return ".";
  if (room[state_bytes] != '/') return NULL;
  const char *name = room + state_bytes + 1;
  return is_omitted(name) ? NULL : name;
}

/* What is open there, if it is of the state folder: a number may have been used again for a socket. */
static struct file *file_at(int number) {
  struct stat now;
  if (!control || number < 0 || number >= FILES || !files[number]) return NULL;
  struct file *file = files[number];
  if (fstat(number, &now) == 0 && now.st_ino == file->inode && now.st_dev == file->device) return file;
  files[number] = NULL;
  return NULL;
}

static void remember(int number, const char *name, int flags) {
  struct stat now;
  struct file *file = malloc(sizeof *file);
  if (number < 0 || number >= FILES || !file || fstat(number, &now) != 0) return free(file);
  uint32_t heard = __atomic_load_n(&control->failed, __ATOMIC_SEQ_CST);
  *file = (struct file){strdup(name), now.st_dev, now.st_ino, (flags & O_APPEND) != 0, heard};
  files[number] = file;
}

static enum thread thread_of_this(void) {
  return syscall(SYS_gettid) == getpid() ? MAIN : POOL;
}

static void append(const struct call *call, int error, const struct iovec *data, int pieces, size_t bytes) {
  struct iovec all[3 + 64];
  int count = 3;
  size_t left = control->record_data ? bytes : 0;
  struct record record = {0};
  record.op = call->op;
  record.kind = kind;
  record.thread = thread_of_this();
  record.created = call->created;
  record.pid = getpid();
  record.error = error;
  record.index = call->index;
  record.inode = call->inode;
  record.offset = call->offset;
  record.length = call->length;
  record.begun = call->begun;
  record.name_bytes = strlen(call->name);
  record.other_bytes = call->other ? strlen(call->other) : 0;
  record.data_bytes = left;
  record.bytes = sizeof record + record.name_bytes + record.other_bytes + left;
  all[0] = (struct iovec){&record, sizeof record};
  all[1] = (struct iovec){(void *)call->name, record.name_bytes};
  all[2] = (struct iovec){(void *)call->other, record.other_bytes};
  for (int piece = 0; piece < pieces && left > 0 && count < 67; piece++) {
    size_t part = data[piece].iov_len < left ? data[piece].iov_len : left;
    all[count++] = (struct iovec){data[piece].iov_base, part};
    left -= part;
  }
  if (syscall(SYS_writev, log_file, all, count) != record.bytes) abort();
}

static void end_life(void) {
  if (control->whole_relay) kill(0, SIGKILL);
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* Numbers the call. An error that it is to fail with, or 0. */
static int judge(struct call *call) {
  call->index = __atomic_add_fetch(&control->counts[kind], 1, __ATOMIC_SEQ_CST);
  uint32_t mode = __atomic_load_n(&control->mode, __ATOMIC_SEQ_CST);
  if (mode == NOTHING || (control->kind && control->kind != (uint32_t)kind)) return 0;
  if (!(control->ops >> call->op & 1) || fnmatch(control->pattern, call->name, 0) != 0) return 0;
  uint64_t number = __atomic_add_fetch(&control->matched, 1, __ATOMIC_SEQ_CST);
  if (number < control->from || number - control->from >= control->count) return 0;
  if (mode == SHORTEN && (call->op != WRITE || call->length < 2)) return 0;
  snprintf(control->fired_at, PATTERN, "%d %d %s", kind, call->op, call->name);
  __atomic_add_fetch(&control->fired, 1, __ATOMIC_SEQ_CST);
  if (mode == KILL_BEFORE) end_life();
  call->kills = mode == KILL_AFTER;
  call->is_short = mode == SHORTEN;
  return mode == FAIL ? (int)control->error : 0;
}

/* To be called with the lock held; gives the result back with errno as it was. */
static long finish(const struct call *call, long result, const struct iovec *data, int pieces) {
  int error = errno;
  append(call, result < 0 ? error : 0, data, pieces, call->op == WRITE && result > 0 ? result : 0);
  if (call->kills) end_life();
  unlock();
  errno = error;
  return result;
}

static long refuse(const struct call *call, int error) {
  errno = error;
  return finish(call, -1, NULL, 0);
}

static long open_file(int folder, const char *path, int flags, mode_t mode) {
  char room[PATH_MAX];
  const char *name = name_of(folder, path, room);
  if (!name) return syscall(SYS_openat, folder, path, flags, mode);
  if (!(flags & (O_CREAT | O_TRUNC))) {
    long number = syscall(SYS_openat, folder, path, flags, mode);
    if (number >= 0) remember(number, name, flags);
    return number;
  }
  struct call call = {.op = OPEN, .name = name};
  lock();
  call.created = faccessat(folder, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
  int error = judge(&call);
  if (error) return refuse(&call, error);
  long number = syscall(SYS_openat, folder, path, flags, mode);
  if (number >= 0) {
    remember(number, name, flags);
    if (files[number]) call.inode = files[number]->inode;
    /* The length it has now is told, so that O_TRUNC needs no record of its own. */
    call.length = flags & O_TRUNC ? 0 : UINT64_MAX;
  }
  return finish(&call, number, NULL, 0);
}

static ssize_t write_file(int number, const struct iovec *data, int pieces, off_t at) {
  struct file *file = file_at(number);
  struct iovec half;
  struct stat now;
  struct call call = {.op = WRITE};
  if (!file) return at < 0 ? syscall(SYS_writev, number, data, pieces) : syscall(SYS_pwritev, number, data, pieces, at, 0);
  lock();
  call.name = file->name;
  call.inode = file->inode;
  if (file->appends && fstat(number, &now) == 0) call.offset = now.st_size;
  else call.offset = at < 0 ? lseek(number, 0, SEEK_CUR) : at;
  for (int piece = 0; piece < pieces; piece++) call.length += data[piece].iov_len;
  int error = judge(&call);
  if (error) return refuse(&call, error);
  if (call.is_short) {
    half = (struct iovec){data[0].iov_base, (data[0].iov_len + 1) / 2};
    data = &half;
    pieces = 1;
  }
  long result = at < 0 ? syscall(SYS_writev, number, data, pieces) : syscall(SYS_pwritev, number, data, pieces, at, 0);
  return finish(&call, result, data, pieces);
}

static void fail(struct file *file, int error) {
  uint32_t number = __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
  control->failures[number % FAILURES] = (struct failure){file->inode, number, error};
  file->heard = number;
}

/*
 * Linux tells a failed sync once to every open description of the file that is older (errseq_t), whichever process has it.
 * An error that this one has not heard of, or 0.
 */
static int untold(struct file *file) {
  int error = 0;
  for (int at = 0; at < FAILURES; at++) {
    struct failure *failure = &control->failures[at];
    if (failure->inode != file->inode || failure->number <= file->heard) continue;
    file->heard = failure->number;
    error = failure->error;
  }
  return error;
}

static int sync_file(int number, long system_call) {
  struct file *file = file_at(number);
  struct call call = {.op = SYNC};
  if (!file) return syscall(system_call, number);
  call.name = file->name;
  call.inode = file->inode;
  if ((control->deaf_kind == 0 || control->deaf_kind == (uint32_t)kind) && control->deaf[0] &&
      (control->deaf_thread == ANY_THREAD || control->deaf_thread == thread_of_this()) &&
      fnmatch(control->deaf, call.name, 0) == 0)
    return 0;
  lock();
  int error = judge(&call);
  call.begun = lseek(log_file, 0, SEEK_END);
  append(&call, 0, NULL, 0, 0);
  unlock();
  int result = error ? -1 : syscall(system_call, number);
  int own = errno;
  lock();
  if (error) fail(file, error);
  else error = untold(file);
  call.op = SYNCED;
  errno = error ? error : own;
  return finish(&call, error ? -1 : result, NULL, 0);
}

static int truncate_file(int number, off_t length) {
  struct file *file = file_at(number);
  struct call call = {.op = TRUNCATE, .length = length};
  if (!file) return syscall(SYS_ftruncate, number, length);
  call.name = file->name;
  call.inode = file->inode;
  lock();
  int error = judge(&call);
  return error ? refuse(&call, error) : finish(&call, syscall(SYS_ftruncate, number, length), NULL, 0);
}

static int change_name(enum op op, int folder, const char *from, int other_folder, const char *to, long flags) {
  char room[PATH_MAX], other_room[PATH_MAX];
  struct call call = {.op = op, .name = name_of(folder, from, room)};
  if (to) call.other = name_of(other_folder, to, other_room);
  int is_ours = call.name != NULL;
  if (is_ours) {
    struct stat now;
    lock();
    if (syscall(SYS_newfstatat, folder, from, &now, AT_SYMLINK_NOFOLLOW) == 0) call.inode = now.st_ino;
    int error = judge(&call);
    if (error) return refuse(&call, error);
  }
  long result = op == RENAME ? syscall(SYS_renameat2, folder, from, other_folder, to, flags)
                : op == LINK ? syscall(SYS_linkat, folder, from, other_folder, to, flags)
                : op == MKDIR ? syscall(SYS_mkdirat, folder, from, flags)
                              : syscall(SYS_unlinkat, folder, from, flags);
  return is_ours ? finish(&call, result, NULL, 0) : result;
}

#define MODE(flags, last)                          \
  ({                                               \
    mode_t mode = 0;                               \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {       \
      va_list list;                                \
      va_start(list, last);                        \
      mode = va_arg(list, unsigned);               \
      va_end(list);                                \
    }                                              \
    mode;                                          \
  })

int open(const char *path, int flags, ...) { return open_file(AT_FDCWD, path, flags, MODE(flags, flags)); }
int open64(const char *path, int flags, ...) { return open_file(AT_FDCWD, path, flags, MODE(flags, flags)); }
int openat(int folder, const char *path, int flags, ...) { return open_file(folder, path, flags, MODE(flags, flags)); }
int openat64(int folder, const char *path, int flags, ...) { return open_file(folder, path, flags, MODE(flags, flags)); }
int creat(const char *path, mode_t mode) { return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

ssize_t write(int number, const void *data, size_t bytes) {
  if (!file_at(number)) return syscall(SYS_write, number, data, bytes);
  return write_file(number, &(struct iovec){(void *)data, bytes}, 1, -1);
}
ssize_t pwrite(int number, const void *data, size_t bytes, off_t at) {
  if (!file_at(number)) return syscall(SYS_pwrite64, number, data, bytes, at);
  return write_file(number, &(struct iovec){(void *)data, bytes}, 1, at);
}
ssize_t pwrite64(int number, const void *data, size_t bytes, off_t at) { return pwrite(number, data, bytes, at); }
ssize_t writev(int number, const struct iovec *data, int pieces) { return write_file(number, data, pieces, -1); }
ssize_t pwritev(int number, const struct iovec *data, int pieces, off_t at) { return write_file(number, data, pieces, at); }
ssize_t pwritev64(int number, const struct iovec *data, int pieces, off_t at) { return write_file(number, data, pieces, at); }

int fsync(int number) { return sync_file(number, SYS_fsync); }
int fdatasync(int number) { return sync_file(number, SYS_fdatasync); }
int ftruncate(int number, off_t length) { return truncate_file(number, length); }
int ftruncate64(int number, off_t length) { return truncate_file(number, length); }

int rename(const char *from, const char *to) { return change_name(RENAME, AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int folder, const char *from, int other, const char *to) { return change_name(RENAME, folder, from, other, to, 0); }
int renameat2(int folder, const char *from, int other, const char *to, unsigned flags) {
  return change_name(RENAME, folder, from, other, to, flags);
}
int link(const char *from, const char *to) { return change_name(LINK, AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int folder, const char *from, int other, const char *to, int flags) {
  return change_name(LINK, folder, from, other, to, flags);
}
int unlink(const char *path) { return change_name(UNLINK, AT_FDCWD, path, 0, NULL, 0); }
int unlinkat(int folder, const char *path, int flags) { return change_name(UNLINK, folder, path, 0, NULL, flags); }
int rmdir(const char *path) { return change_name(UNLINK, AT_FDCWD, path, 0, NULL, AT_REMOVEDIR); }
int remove(const char *path) {
  int result = unlink(path);
  return result < 0 && errno == EISDIR ? rmdir(path) : result;
}
int mkdir(const char *path, mode_t mode) { return change_name(MKDIR, AT_FDCWD, path, 0, NULL, mode); }
int mkdirat(int folder, const char *path, mode_t mode) { return change_name(MKDIR, folder, path, 0, NULL, mode); }
