// What the agent gets to know from the shim: the files `state` and `exit`, and the state messages.
#include "supervisor/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

enum {
    MESSAGE_MAX = 8 << 10, // of the warnings, so that a state always fits into a message
    EXIT_RESERVED = 16 << 10,
    EXIT_RETRY_MSEC = 1000,
};
static const char reserved_name[] = ".exit";

void shim_report_begin(struct shim *shim)
{
    shim->exit_file =
        openat(shim->dir, reserved_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    // Best effort: without it the exit is written like any other file.
    if (shim->exit_file >= 0)
        (void)!fallocate(shim->exit_file, 0, 0, EXIT_RESERVED);
}

// The start's warnings and what befell the log, one a line.
static void add_messages(struct shim *shim, struct buffer *out)
{
    if (shim->warnings)
        buffer_add(out, shim->warnings, strnlen(shim->warnings, MESSAGE_MAX));
    while (out->len > 0 && out->data[out->len - 1] == '\n')
        buffer_truncate(out, out->len - 1);
    if (!shim->log_file)
        return;
    const struct shim_log_losses *losses = shim_log_file_losses(shim->log_file);
    const char *separator = out->len > 0 ? "\n" : "";
    if (losses->failing)
        buffer_printf(out, "%sthe log file cannot be written: %s", separator,
                      strerror(-losses->code));
    separator = out->len > 0 ? "\n" : "";
    if (losses->lines > 0)
        buffer_printf(out, "%s%" PRIu64 " lines (%" PRIu64 " bytes) of the log were lost: %s",
                      separator, losses->lines, losses->bytes, strerror(-losses->code));
    // As long as the container runs it is the journal itself that is told, as soon as it listens.
    uint64_t unsaid = shim->journal ? shim_journal_unsaid(shim->journal) : 0;
    separator = out->len > 0 ? "\n" : "";
    if (unsaid > 0 && shim->state.phase == SHIM_PHASE_EXITED)
        buffer_printf(out,
                      "%sthe last %" PRIu64 " lines of run %" PRIu64 " did not reach the journal",
                      separator, unsaid, shim->spec.restart_count);
}

void shim_report_format(struct shim *shim, struct buffer *out)
{
    struct shim_state state = shim->state; // borrows its strings
    _cleanup_buffer_ struct buffer messages = BUFFER_EMPTY;
    if (shim->log) {
        struct shim_log_counts counts = shim_log_counts(shim->log);
        state.log_lines = counts.lines;
        state.log_bytes = counts.bytes;
    }
    if (shim->journal)
        state.journal_dropped = shim_journal_dropped(shim->journal);
    if (state.phase != SHIM_PHASE_FAILED) {
        add_messages(shim, &messages);
        state.message = messages.len > 0 ? messages.data : NULL;
    }
    shim_state_format(&state, out);
}

void shim_report_state(struct shim *shim)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    shim_report_format(shim, &text);
    shim_control_tell(shim);
    // Not to be written, it is not to be had by a later agent before that one connects: no more.
    (void)fs_write_atomic(shim->dir, "state", text.data, text.len, 0600, 0);
}

static int publish_reserved(struct shim *shim, const struct buffer *text)
{
    if (shim->exit_file < 0)
        return -EBADF;
    if (pwrite(shim->exit_file, text->data, text->len, 0) != (ssize_t)text->len ||
        ftruncate(shim->exit_file, (off_t)text->len) < 0 ||
        renameat(shim->dir, reserved_name, shim->dir, "exit") < 0)
        return errno ? -errno : -EIO;
    return 0;
}

// The end of what the container left in its own /dev.
static char *termination_message(const struct shim *shim)
{
    char text[SHIM_TERMINATION_BYTES];
    struct stat st;
    int fd = shim->child.termination;
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
        return NULL;
    ssize_t n = pread(fd, text, sizeof(text), MAX(st.st_size - (off_t)sizeof(text), (off_t)0));
    struct buffer out = BUFFER_EMPTY;
    for (ssize_t i = 0; i < n; i++)
        if (text[i])
            buffer_add_char(&out, text[i]);
    if (out.len > 0)
        return buffer_take(&out);
    buffer_free(&out);
    return NULL;
}

void shim_report_exit(struct shim *shim)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    shim->state.termination = termination_message(shim);
    shim_report_format(shim, &text);
    int code = publish_reserved(shim, &text);
    if (code < 0)
        shim_control_tell(shim); // else it is read once the shim is gone, and one wake-up is enough
    // A shim that ends without this file says that it was killed, so it tries for as long as the
    // directory is there.
    while (code < 0) {
        code = fs_write_atomic(shim->dir, "exit", text.data, text.len, 0600, 0);
        if (code == -ENOENT)
            break;
        if (code < 0)
            poll(NULL, 0, EXIT_RETRY_MSEC);
    }
}
