/* A disk that takes a millisecond longer for each sync: preloaded into PostgreSQL by scripts/bench. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

static int later(const char *name, int fd)
{
    const struct timespec millisecond = {0, 1000000};
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);

    nanosleep(&millisecond, NULL);
    return real(fd);
}

int fsync(int fd) { return later("fsync", fd); }
int fdatasync(int fd) { return later("fdatasync", fd); }
