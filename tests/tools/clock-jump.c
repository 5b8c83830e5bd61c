// Loaded into a program by LD_PRELOAD, so that a test can make its clocks jump: the file that
// CLOCK_JUMP_FILE names holds two signed 64-bit numbers, the seconds that are added to
// CLOCK_REALTIME and, as after a suspend, to CLOCK_BOOTTIME.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *jumps;

__attribute__((constructor)) static void open_jumps(void)
{
    const char *path = getenv("CLOCK_JUMP_FILE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        jumps = map;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    static int (*real)(clockid_t clock, struct timespec * ret);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, ret);
    if (code == 0 && jumps && clock == CLOCK_REALTIME)
        ret->tv_sec += jumps[0];
    if (code == 0 && jumps && (clock == CLOCK_BOOTTIME || clock == CLOCK_BOOTTIME_ALARM))
        ret->tv_sec += jumps[1];
    return code;
}

time_t time(time_t *ret)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret)
        *ret = now.tv_sec;
    return now.tv_sec;
}
