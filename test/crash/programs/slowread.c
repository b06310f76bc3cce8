/*
 * A slow disk (LD_PRELOAD): each read of one page of a store takes a while, while the file that SLOW_WHILE names is
 * there: as many microseconds as SLOW_US. The program's own files are read as fast as ever.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096 };

static int is_store(int fd) {
  char link[32], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strstr(path, "/queue.db") != NULL;
}

static ssize_t read_slowly(int fd, void *buffer, size_t bytes, off_t at) {
  const char *path = getenv("SLOW_WHILE");
  if (path && bytes == PAGE && access(path, F_OK) == 0 && is_store(fd)) usleep(atoi(getenv("SLOW_US")));
  return syscall(SYS_pread64, fd, buffer, bytes, at);
}

ssize_t pread(int fd, void *buffer, size_t bytes, off_t at) { return read_slowly(fd, buffer, bytes, at); }
ssize_t pread64(int fd, void *buffer, size_t bytes, off_t at) { return read_slowly(fd, buffer, bytes, at); }
