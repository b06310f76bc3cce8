/*
 * A disk that hangs (LD_PRELOAD): syncs of other threads than the main one wait while the file that HUNG_WHILE names is
 * there. The main thread is spared, so that the loop of the process turns.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sync_with(long call, int number) {
  const char *path = getenv("HUNG_WHILE");
  while (path && syscall(SYS_gettid) != getpid() && access(path, F_OK) == 0) usleep(10000);
  return (int)syscall(call, number);
}

int fdatasync(int number) { return sync_with(SYS_fdatasync, number); }
int fsync(int number) { return sync_with(SYS_fsync, number); }
