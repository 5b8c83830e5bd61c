// See log.h. The identifier and level are the only state; they are set once, before any thread or
// loop exists, and a program without log_open() logs everything to stderr.
#include "base/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
// The place would be this file's own, whoever logs.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/alloc.h"
#include "base/monotime.h"
#include "base/time-format.h"

static struct {
    const char *identifier;
    enum log_level level;
    bool journal;
} state = {.identifier = "mainstay", .level = LOG_LEVEL_INFO};

// systemd sets JOURNAL_STREAM=DEVICE:INODE of the stream it connected; a redirected stderr differs.
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long device, inode;
    struct stat st;
    return stream && sscanf(stream, "%lu:%lu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
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

static void write_stderr(enum log_level level, const char *message)
{
    static const char letters[] = "EEEEWNID";
    char when[RFC3339_NANO_SIZE];
    fprintf(stderr, "%s %c %s: %s\n", walltime_format(walltime_now(), when), letters[level & 7],
            state.identifier, message);
}

static int write_journal(enum log_level level, const char *message, const char *const *fields)
{
    enum { MOST_FIELDS = 24 };
    struct iovec iov[MOST_FIELDS + 3];
    _cleanup_free_ char *text = xasprintf("MESSAGE=%s", message);
    _cleanup_free_ char *identifier = xasprintf("SYSLOG_IDENTIFIER=%s", state.identifier);
    char priority[16];
    snprintf(priority, sizeof(priority), "PRIORITY=%d", level);
    const char *own[] = {text, identifier, priority};
    int n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        iov[n++] = (struct iovec){(void *)own[i], strlen(own[i])};
    for (; fields && *fields && n < MOST_FIELDS; fields++)
        iov[n++] = (struct iovec){(void *)*fields, strlen(*fields)};
    return sd_journal_sendv(iov, n);
}

void log_write_fields(enum log_level level, const char *message, const char *const *fields)
{
    if (level > state.level)
        return;
    if (!state.journal || write_journal(level, message, fields) < 0)
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
