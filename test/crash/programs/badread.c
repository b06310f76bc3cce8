/*
 * A disk that reads badly (LD_PRELOAD), while the file that READ_WHILE names is there. Each read of one page of a store
 * takes READ_US microseconds. Reads of a store fail with the number READ_ERRNO: the first READ_TIMES of each process, or
 * all of them. The program's own files are read as ever.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096 };

static int number(const char *name) {
  const char *text = getenv(name);
  return text ? atoi(text) : 0;
}

static int is_store(int fd) {
  char link[32], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strstr(path, "/queue.db") != NULL && strstr(path, "lock") == NULL;
}

static ssize_t read_badly(int fd, void *buffer, size_t bytes, off_t at) {
  static int failed = 0;
  const char *flag = getenv("READ_WHILE");
  if (flag && access(flag, F_OK) == 0 && is_store(fd)) {
    int error = number("READ_ERRNO"), times = number("READ_TIMES");
    if (error && (times == 0 || failed++ < times)) {
      errno = error;
      return -1;
    }
    if (bytes == PAGE) usleep(number("READ_US"));
  }
  return syscall(SYS_pread64, fd, buffer, bytes, at);
}

ssize_t pread(int fd, void *buffer, size_t bytes, off_t at) { return read_badly(fd, buffer, bytes, at); }
ssize_t pread64(int fd, void *buffer, size_t bytes, off_t at) { return read_badly(fd, buffer, bytes, at); }
