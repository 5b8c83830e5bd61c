// See log.h. Identifier, level and the journal's socket are the only state; they are set once,
// before any thread or loop exists, and a program without log_open() logs everything to stderr.
// sd_journal_send() is not used: it waits for as long as the journal hangs, and a loop must not.
#include "base/log.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/monotime.h"
#include "base/time-format.h"
#include "base/wait-budget.h"
#include "base/work.h"

enum {
    WAIT_USEC_PER_SECOND = 100000,
    MESSAGE_MAX = 64 << 10, // bytes; a longer one is cut, so that it always fits into a datagram
};

static struct {
    const char *identifier;
    enum log_level level;
    bool journal;
    int fd;        // connected to the journal, or -1
    uint64_t lost; // messages that the journal did not take, and does not know about
    walltime lost_since, lost_till;
    struct wait_budget budget;
} state = {.identifier = "mainstay",
           .level = LOG_LEVEL_INFO,
           .fd = -1,
           .budget.usec_per_second = WAIT_USEC_PER_SECOND};

static bool connect_journal(void)
{
    static const struct sockaddr_un address = {.sun_family = AF_UNIX,
                                               .sun_path = "/run/systemd/journal/socket"};
    if (state.fd < 0)
        state.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // Also anew, where the journal's socket is another one now.
    return state.fd >= 0 &&
           connect(state.fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

// systemd sets JOURNAL_STREAM=DEVICE:INODE of the stream it connected; a redirected stderr differs.
// Where there is no journal just then it gives a service /dev/null: nobody reads that, and the
// journal may come yet.
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long device, inode;
    struct stat st;
    if (fstat(STDERR_FILENO, &st) < 0)
        return false;
    if (!stream)
        return getenv("INVOCATION_ID") && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3) &&
               !connect_journal();
    return sscanf(stream, "%lu:%lu", &device, &inode) == 2 && st.st_dev == device &&
           st.st_ino == inode;
}

void log_open(const char *identifier, enum log_level most_verbose)
{
    state.identifier = identifier;
    state.level = most_verbose;
    state.journal = stderr_is_journal();
}

void log_set_level(enum log_level most_verbose)
{
    state.level = most_verbose;
}

bool log_is_journal(void)
{
    return state.journal;
}

static void write_stderr(enum log_level level, const char *message)
{
    static const char letters[] = "EEEEWNID";
    char when[RFC3339_NANO_SIZE];
    fprintf(stderr, "%s %c %s: %s\n", walltime_format(walltime_now(), when), letters[level & 7],
            state.identifier, message);
}

// ---- the journal's native protocol ----

static int send_now(const struct buffer *text)
{
    return send(state.fd, text->data, text->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static bool send_text(const struct buffer *text, bool patiently)
{
    if (state.fd < 0 && !connect_journal())
        return false;
    int code = send_now(text);
    if (code < 0 && code != -EAGAIN && code != -EINTR && connect_journal())
        code = send_now(text);
    while (patiently && code == -EAGAIN && wait_budget_poll(&state.budget, state.fd))
        code = send_now(text);
    if (code == 0)
        wait_budget_progress(&state.budget);
    return code == 0;
}

// A value of several lines goes with its length.
static void add_field(struct buffer *out, const char *name, size_t name_len, const char *value,
                      size_t len)
{
    buffer_add(out, name, name_len);
    if (memchr(value, '\n', len)) {
        uint64_t size = htole64(len);
        buffer_add_char(out, '\n');
        buffer_add(out, &size, sizeof(size));
    } else {
        buffer_add_char(out, '=');
    }
    buffer_add(out, value, len);
    buffer_add_char(out, '\n');
}

static void add_message(struct buffer *out, enum log_level level, const char *message)
{
    buffer_printf(out, "SYSLOG_IDENTIFIER=%s\nPRIORITY=%d\n", state.identifier, (int)level);
    add_field(out, "MESSAGE", strlen("MESSAGE"), message, strnlen(message, MESSAGE_MAX));
}

static bool say_what_is_lost(bool patiently)
{
    if (state.lost == 0)
        return true;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    char since[RFC3339_NANO_SIZE], till[RFC3339_NANO_SIZE];
    walltime_format_nano(state.lost_since, since);
    walltime_format_nano(state.lost_till, till);
    _cleanup_free_ char *message =
        xasprintf("%" PRIu64 " messages before this one did not reach the journal (%s to %s)",
                  state.lost, since, till);
    add_message(&text, LOG_LEVEL_WARNING, message);
    buffer_printf(&text,
                  "MESSAGE_ID=" LOG_GAP_ID "\nMAINSTAY_LOST_MESSAGES=%" PRIu64
                  "\nMAINSTAY_LOST_SINCE=%s\nMAINSTAY_LOST_UNTIL=%s\n",
                  state.lost, since, till);
    if (!send_text(&text, patiently))
        return false;
    state.lost = 0;
    return true;
}

static void write_journal(enum log_level level, const char *message, const char *const *fields)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    add_message(&text, level, message);
    for (; fields && *fields; fields++) {
        const char *value = strchr(*fields, '=');
        if (value)
            add_field(&text, *fields, (size_t)(value - *fields), value + 1,
                      strnlen(value + 1, MESSAGE_MAX));
    }
    if (say_what_is_lost(true) && send_text(&text, true))
        return;
    state.lost_till = walltime_now();
    if (state.lost++ == 0)
        state.lost_since = state.lost_till;
}

// ---- public ----

void log_flush(void)
{
    say_what_is_lost(false);
}

void log_write_fields(enum log_level level, const char *message, const char *const *fields)
{
    if (level > state.level)
        return;
    WORK_SCOPE("log", "message", NULL, NULL); // stderr may be a pipe that nobody reads
    if (state.journal)
        write_journal(level, message, fields);
    else
        write_stderr(level, message);
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level > state.level)
        return;
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    log_write_fields(level, message, NULL);
}
