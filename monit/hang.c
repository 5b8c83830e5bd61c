// See hang.h. What the thread says is composed on its stack and sent without waiting: what cannot
// be sent now is said again half a minute later.
#include "monit/hang.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/monotime.h"
#include "base/time-format.h"
#include "monit/notify.h"

enum {
    STACK_SIZE = 128 << 10, // a few pages of it are touched
    STEPS = 10,             // of the limit,
    STEPS_SEEN = 3,         // of which so many must be seen
    STEPS_CREDIT = 2,       // at most, from one look to the next
    REPEAT_USEC = 30000000,
    TEXT_SIZE = 512,
    JOURNAL_PRIORITY = 3,
};

struct hang {
    pthread_t thread;
    int64_t limit_usec;
    const char *identifier;
    int timer;   // of CLOCK_MONOTONIC, as work_clock()
    int manager; // connected to NOTIFY_SOCKET, or -1
    int journal; // connected to the journal, or -1: stderr
    int delay;   // the main thread's /proc/self/task/TID/schedstat
    int wchan;   // what it waits for in the kernel
    atomic_bool resting, stop;
    // What was told, for the main thread to read once `told` is set; the thread leaves it alone
    // until that is taken back.
    atomic_bool told;
    struct hang_report report;
    int64_t report_since;
    // The thread's own.
    struct work seen;        // at the last look
    bool counting;           // the clock says that it takes long
    int64_t looked, delayed; // the last look then: work_clock(), read_delay()
    int64_t waited;          // seen by then
    int64_t told_at;         // 0: not yet
};

static void arm(const struct hang *h, int64_t usec)
{
    struct itimerspec when = {
        .it_value = {.tv_sec = usec / USEC_PER_SEC, .tv_nsec = usec % USEC_PER_SEC * NSEC_PER_USEC},
    };
    timerfd_settime(h->timer, 0, &when, NULL);
}

// ---- saying ----

static size_t read_text(int fd, char *text, size_t size)
{
    ssize_t n = fd >= 0 ? pread(fd, text, size - 1, 0) : 0;
    text[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

static void say_to_manager(const struct hang *h, const char *text)
{
    char status[TEXT_SIZE + 32];
    int n = snprintf(status, sizeof(status), "STATUS=Unhealthy: %s", text);
    if (h->manager >= 0)
        (void)!send(h->manager, status, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool say_to_journal(const struct hang *h, const char *part, const char *text)
{
    char entry[TEXT_SIZE + 256];
    int n = snprintf(entry, sizeof(entry),
                     "MESSAGE=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE_ID=" HANG_MESSAGE_ID
                     "\nMAINSTAY_PART=%s\n",
                     text, JOURNAL_PRIORITY, h->identifier, part);
    return send(h->journal, entry, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

// Less than PIPE_BUF bytes: where there is room, all of it fits.
static void say_to_stderr(const struct hang *h, const char *text)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    char line[TEXT_SIZE + 128], when[RFC3339_NANO_SIZE];
    int n = snprintf(line, sizeof(line), "%s E %s: %s\n", walltime_format(walltime_now(), when),
                     h->identifier, text);
    if (poll(&room, 1, 0) > 0 && (room.revents & POLLOUT))
        (void)!write(STDERR_FILENO, line, (size_t)n);
}

static void report(struct hang *h, const char *part)
{
    if (atomic_load(&h->told))
        return;
    snprintf(h->report.part, sizeof(h->report.part), "%s", part);
    memcpy(h->report.what, h->seen.what, sizeof(h->report.what));
    h->report_since = h->seen.since;
    atomic_store(&h->told, true);
}

static void tell(struct hang *h, int64_t now)
{
    char text[TEXT_SIZE], wchan[64], duration[DURATION_SIZE];
    const char *part = h->seen.part ? h->seen.part : "loop";
    bool sleeps = read_text(h->wchan, wchan, sizeof(wchan)) > 0 && strcmp(wchan, "0") != 0;
    make_printable(h->seen.what);
    make_printable(wchan);
    duration_format_human((now - h->seen.since) / USEC_PER_SEC, duration);
    snprintf(text, sizeof(text), "%s hangs for %s%s%s%s%s%s", part, duration,
             h->seen.what[0] ? ": " : "", h->seen.what, sleeps ? " (waits in " : "",
             sleeps ? wchan : "", sleeps ? ")" : "");
    if (h->journal < 0 || !say_to_journal(h, part, text))
        say_to_stderr(h, text);
    say_to_manager(h, text);
    report(h, part); // last: the main thread sets STATUS= right when it reads this
    h->told_at = now;
}

// ---- looking ----

// Microseconds that the main thread has waited for a CPU so far; 0 where the kernel does not say.
static int64_t read_delay(const struct hang *h)
{
    char text[96];
    read_text(h->delay, text, sizeof(text));
    const char *wait = strchr(text, ' ');
    return wait ? strtoll(wait + 1, NULL, 10) / NSEC_PER_USEC : 0;
}

static void begin_counting(struct hang *h, int64_t now)
{
    h->counting = true;
    h->waited = h->told_at = 0;
    h->looked = now;
    h->delayed = read_delay(h);
}

static void count(struct hang *h, int64_t now)
{
    int64_t delayed = read_delay(h), most = STEPS_CREDIT * h->limit_usec / STEPS;
    h->waited += MAX(MIN(now - h->looked, most) - (delayed - h->delayed), 0);
    h->looked = now;
    h->delayed = delayed;
}

// Returns when to look again.
static int64_t look_at(struct hang *h, const struct work *work, int64_t now)
{
    int64_t step = h->limit_usec / STEPS;
    int64_t due = work->since + (STEPS - STEPS_SEEN) * step;
    if (work->step != h->seen.step)
        h->counting = false;
    h->seen = *work;
    if (now < due)
        return due - now;
    if (h->counting)
        count(h, now);
    else
        begin_counting(h, now);
    if (h->waited < STEPS_SEEN * step)
        return step;
    if (h->told_at == 0 || now - h->told_at >= REPEAT_USEC)
        tell(h, now);
    return h->limit_usec;
}

// The main thread may have armed the timer meanwhile, for what it works on now: where it has got on
// since, that is looked at soon. Where it gets on later, its own arming comes later too.
static void arm_again(const struct hang *h, uint64_t step, int64_t usec)
{
    struct work now;
    arm(h, usec);
    if (!work_read(&now) || now.step != step)
        arm(h, h->limit_usec / STEPS);
}

static void *observe(void *userdata)
{
    struct hang *h = userdata;
    uint64_t expired;
    struct work work;
    while (!atomic_load(&h->stop)) {
        if (read(h->timer, &expired, sizeof(expired)) < 0 && errno != EINTR)
            return NULL;
        if (atomic_load(&h->resting) || atomic_load(&h->stop))
            continue;
        if (work_read(&work))
            arm_again(h, work.step, look_at(h, &work, work_clock()));
        else
            arm(h, h->limit_usec / STEPS);
    }
    return NULL;
}

// ---- the main thread's half ----

static int open_task(const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)gettid(), name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int open_journal(void)
{
    static const struct sockaddr_un address = {.sun_family = AF_UNIX,
                                               .sun_path = "/run/systemd/journal/socket"};
    if (!log_is_journal())
        return -1;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    return TAKE_FD(fd);
}

static int start_thread(struct hang *h)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    int code = pthread_attr_init(&attributes);
    if (code != 0)
        return -code;
    code = pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (code == 0)
        code = pthread_create(&h->thread, &attributes, observe, h);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -code;
}

static void close_all(struct hang *h)
{
    int fds[] = {h->timer, h->manager, h->journal, h->delay, h->wchan};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        cleanup_close(&fds[i]);
    free(h);
}

int hang_new(const struct hang_options *options, struct hang **ret, struct error *err)
{
    char when[RFC3339_NANO_SIZE];
    struct hang *h = xcalloc(1, sizeof(*h));
    h->limit_usec = options->limit_usec;
    h->identifier = options->identifier;
    h->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    h->manager = options->notify_socket ? notify_connect(options->notify_socket, err) : -1;
    h->journal = open_journal();
    h->delay = open_task("schedstat");
    h->wchan = open_task("wchan");
    walltime_format(walltime_now(), when); // what it needs is read before the thread needs it
    int code = h->timer < 0 ? -errno : 0;
    if (code == 0)
        code = start_thread(h);
    if (code < 0) {
        close_all(h);
        return error_errno(err, code, "start the thread that looks for hangs");
    }
    hang_work(h);
    *ret = h;
    return 0;
}

void hang_free(struct hang *h)
{
    if (!h)
        return;
    atomic_store(&h->stop, true);
    arm(h, 1);
    pthread_join(h->thread, NULL);
    close_all(h);
}

void hang_work(struct hang *h)
{
    if (!h)
        return;
    work_step();
    atomic_store(&h->resting, false);
    arm(h, (STEPS - STEPS_SEEN) * h->limit_usec / STEPS);
}

void hang_rest(struct hang *h)
{
    if (!h)
        return;
    work_step();
    atomic_store(&h->resting, true);
    arm(h, 0);
}

bool hang_is_over(struct hang *h, struct hang_report *ret)
{
    if (!h || !atomic_load_explicit(&h->told, memory_order_acquire))
        return false;
    *ret = h->report;
    ret->usec = work_clock() - h->report_since;
    atomic_store(&h->told, false);
    return true;
}
