// See lock.h.
#include "base/lock.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/time.h>

#include "base/monotime.h"

enum { TRY_USEC = 50000, WAIT_USEC = 500000 };

static void on_alarm(int signal_number)
{
    (void)signal_number; // flock() returns, which is all
}

// The alarm repeats, so that one that comes just before flock() blocks is not the last.
static int lock_until(int fd, monotime end)
{
    while (flock(fd, LOCK_EX) < 0) {
        if (errno != EINTR)
            return -errno;
        if (monotime_reached(end, monotime_now()))
            return -EWOULDBLOCK;
    }
    return 0;
}

int lock_take(int fd)
{
    const struct itimerval often = {{0, TRY_USEC}, {0, TRY_USEC}}, never = {0};
    struct sigaction action = {.sa_handler = on_alarm}, before;
    sigset_t alarm_only, mask;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return -errno;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    sigaction(SIGALRM, &action, &before);
    sigprocmask(SIG_UNBLOCK, &alarm_only, &mask);
    setitimer(ITIMER_REAL, &often, NULL);
    int code = lock_until(fd, monotime_add_usec(monotime_now(), WAIT_USEC));
    setitimer(ITIMER_REAL, &never, NULL);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sigaction(SIGALRM, &before, NULL);
    return code;
}
