/* A disk that takes longer for each sync: preloaded into PostgreSQL by scripts/bench. SLOW_SYNC_MS says how
 * many milliseconds, one unless it is set. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int later(const char *name, int fd)
{
    const char *said = getenv("SLOW_SYNC_MS");
    const long ms = said ? strtol(said, NULL, 10) : 1;
    const struct timespec longer = {ms / 1000, ms % 1000 * 1000000};
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);

    nanosleep(&longer, NULL);
    return real(fd);
}

int fsync(int fd) { return later("fsync", fd); }
int fdatasync(int fd) { return later("fdatasync", fd); }
