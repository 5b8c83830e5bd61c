// A guarded component that proves when it was alive: stamper DIR NODE.
//
// It maps DIR/NODE-START-PID and writes two points of CLOCK_BOOTTIME into it, in nanoseconds: its
// start, and the newest moment at which it was at work, again every tenth of a millisecond. However
// it is killed or stopped, the file has when that was. SIGTERM ends it, up to a third of a second
// later, so that it uses the time that it is given.
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_NSEC = 100000, SECOND_NSEC = 1000000000 };

static volatile sig_atomic_t told;

static void on_term(int number)
{
    told = 1;
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * SECOND_NSEC + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_term};
    uint64_t start = now(), end = UINT64_MAX;
    char path[4096];
    if (argc != 3)
        return 2;
    snprintf(path, sizeof(path), "%s/%s-%" PRIu64 "-%d", argv[1], argv[2], start, (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, 2 * sizeof(uint64_t)) < 0)
        return 1;
    volatile uint64_t *stamps =
        mmap(NULL, 2 * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (stamps == MAP_FAILED)
        return 1;
    sigaction(SIGTERM, &action, NULL);
    stamps[0] = start;
    while ((stamps[1] = now()) < end) {
        const struct timespec pause = {.tv_nsec = PAUSE_NSEC};
        if (told && end == UINT64_MAX)
            end = now() + start % (SECOND_NSEC / 3);
        nanosleep(&pause, NULL);
    }
    return 0;
}
