/*
 * A slow disk (LD_PRELOAD): each read of one page by a task process takes a while, while the file that SLOW_WHILE names
 * is there.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* SQLite reads its log of some three hundred pages in one piece: that must take less than a process may be silent. */
enum { PAGE = 4096, DELAY_US = 40000 };

static ssize_t read_slowly(int fd, void *buffer, size_t bytes, off_t at) {
  const char *path = getenv("SLOW_WHILE");
  if (path && bytes == PAGE && access(path, F_OK) == 0) usleep(DELAY_US);
  return syscall(SYS_pread64, fd, buffer, bytes, at);
}

ssize_t pread(int fd, void *buffer, size_t bytes, off_t at) { return read_slowly(fd, buffer, bytes, at); }
ssize_t pread64(int fd, void *buffer, size_t bytes, off_t at) { return read_slowly(fd, buffer, bytes, at); }
