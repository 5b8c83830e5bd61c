// See shim-journal.h.
#include "supervisor/shim/shim-journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/monotime.h"
#include "base/string-list.h"
#include "base/wait-budget.h"
#include "supervisor/shim/shim-priority.h"
#include "supervisor/shim/shim-stamp.h"

enum {
    BATCH_MAX = 32,
    PARTS = 4, // of a message: the fields of the container, the priority, the line, its end
    // A burst is more than fits at once: the container's output may wait for a journal that is
    // busy.
    WAIT_USEC_PER_SECOND = 500000,
    SEND_BUFFER = 256 << 10,   // bytes; the kernel takes it twice, a few hundred lines
    SAY_AGAIN_USEC = 1000000,  // what is missing is told then, where no line follows earlier
    LOOK_AGAIN_USEC = 1000000, // for a journal that was never there, and only while lines come
};

struct shim_journal {
    struct sockaddr_un address;
    int fd; // connected, or -1
    struct wait_budget budget;
    struct buffer fields;
    struct shim_priority streams[2]; // stdout, stderr
    char *log_path;
    uint64_t dropped, unsaid;       // in all; since the last message that said so
    walltime lost_since, lost_till; // the first and the last of the unsaid
    monotime say_at;                // only where something is unsaid
    bool seen;                      // there was a journal once, so that its absence is a gap
    bool absent;                    // there never was, and none is looked for before `look_at`
    monotime look_at;
    size_t n; // messages in the batch
    struct mmsghdr headers[BATCH_MAX];
    struct iovec parts[BATCH_MAX][PARTS];
};

static const char end_of_line[] = "\n";
static const char end_of_part[] = "\nCONTAINER_PARTIAL_MESSAGE=true\n";

static void add_field(struct buffer *out, const char *name, const char *value)
{
    if (!value || strchr(value, '\n'))
        return;
    buffer_printf(out, "%s=%s\n", name, value);
}

struct shim_journal *shim_journal_new(const struct shim_spec *spec)
{
    struct shim_journal *journal = xcalloc(1, sizeof(*journal));
    journal->fd = -1;
    journal->budget.usec_per_second = WAIT_USEC_PER_SECOND;
    journal->address.sun_family = AF_UNIX;
    // A path that is cut is not found, like one that is not there.
    snprintf(journal->address.sun_path, sizeof(journal->address.sun_path), "%s",
             spec->journal_socket);
    journal->log_path = xstrdup_or_null(spec->log_path);
    struct buffer *fields = &journal->fields;
    add_field(fields, "SYSLOG_IDENTIFIER", spec->container);
    add_field(fields, "CONTAINER_NAME", spec->container);
    add_field(fields, "MAINSTAY_POD", spec->pod_name);
    add_field(fields, "MAINSTAY_NAMESPACE", spec->pod_namespace);
    add_field(fields, "MAINSTAY_CONTAINER", spec->container);
    add_field(fields, "MAINSTAY_POD_UID", spec->pod_uid);
    buffer_printf(fields, "MAINSTAY_RESTART_COUNT=%" PRIu64 "\n", spec->restart_count);
    return journal;
}

static bool connected(struct shim_journal *journal)
{
    if (journal->fd >= 0)
        return true;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 ||
        connect(fd, (const struct sockaddr *)&journal->address, sizeof(journal->address)) < 0)
        return false;
    journal->fd = TAKE_FD(fd);
    (void)setsockopt(journal->fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER}, sizeof(int));
    wait_budget_progress(&journal->budget);
    journal->seen = true;
    journal->absent = false;
    return true;
}

// A message that is too big for a datagram goes as a sealed memfd, as the protocol has it.
static int send_as_file(int fd, const struct msghdr *message)
{
    _cleanup_close_ int file = memfd_create("journal-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0 || writev(file, message->msg_iov, (int)message->msg_iovlen) < 0 ||
        fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -errno;
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr header = {.msg_control = &control, .msg_controllen = sizeof(control)};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &file, sizeof(int));
    return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

// Sends one message that could not be sent with the others: 0, or why not.
static int send_alone(struct shim_journal *journal, const struct msghdr *message)
{
    if (!connected(journal))
        return -ENOTCONN;
    if (sendmsg(journal->fd, message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
        wait_budget_progress(&journal->budget);
        return 0;
    }
    int code = -errno;
    if (code == -EMSGSIZE || code == -ENOBUFS)
        return send_as_file(journal->fd, message);
    if (code != -EAGAIN && code != -EINTR) {
        // The socket is another one now, or gone: found again by its name.
        close(journal->fd);
        journal->fd = -1;
    }
    return code;
}

// As send_alone(), for as long as it may wait.
static int send_patiently(struct shim_journal *journal, const struct msghdr *message)
{
    int code = send_alone(journal, message);
    while (code == -EAGAIN && wait_budget_poll(&journal->budget, journal->fd))
        code = send_alone(journal, message);
    return code;
}

// The marker in the place of lines that are missing, with a MESSAGE_ID of its own.
static void format_marker(const struct shim_journal *journal, struct buffer *out)
{
    struct shim_stamp since = {0}, till = {0};
    shim_stamp_set(&since, journal->lost_since);
    shim_stamp_set(&till, journal->lost_till);
    buffer_printf(out,
                  "MESSAGE_ID=" SHIM_JOURNAL_GAP_ID "\nPRIORITY=4\nMAINSTAY_LOST_LINES=%" PRIu64
                  "\nMAINSTAY_LOST_SINCE=%s\nMAINSTAY_LOST_UNTIL=%s\n"
                  "MESSAGE=mainstay: %" PRIu64
                  " lines before this one did not reach the journal (%s to %s)",
                  journal->unsaid, since.text, till.text, journal->unsaid, since.text, till.text);
    if (journal->log_path && !strchr(journal->log_path, '\n'))
        buffer_printf(out, ": they are in %s", journal->log_path);
    buffer_add_char(out, '\n');
}

static bool say_what_is_missing(struct shim_journal *journal)
{
    if (journal->unsaid == 0)
        return true;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    format_marker(journal, &text);
    struct iovec parts[2] = {{journal->fields.data, journal->fields.len}, {text.data, text.len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (send_patiently(journal, &message) < 0)
        return false;
    journal->unsaid = 0;
    return true;
}

static void drop(struct shim_journal *journal, size_t n)
{
    monotime now = monotime_now();
    journal->lost_till = walltime_now();
    if (journal->unsaid == 0)
        journal->lost_since = journal->lost_till;
    journal->dropped += n;
    journal->unsaid += n;
    journal->say_at = monotime_add_usec(now, SAY_AGAIN_USEC);
    journal->absent = !journal->seen;
    journal->look_at = monotime_add_usec(now, LOOK_AGAIN_USEC);
}

monotime shim_journal_deadline(const struct shim_journal *journal)
{
    return journal->seen && journal->unsaid > 0 ? journal->say_at : MONOTIME_NEVER;
}

void shim_journal_retry(struct shim_journal *journal)
{
    if (journal->unsaid == 0 || (connected(journal) && say_what_is_missing(journal)))
        return;
    journal->say_at = monotime_add_usec(monotime_now(), SAY_AGAIN_USEC);
}

// Lines are counted and no more, until it is time to look again.
static void look_for_journal(struct shim_journal *journal)
{
    monotime now = monotime_now();
    journal->lost_till = walltime_now();
    if (!monotime_reached(journal->look_at, now))
        return;
    journal->look_at = monotime_add_usec(now, LOOK_AGAIN_USEC);
    if (connected(journal))
        say_what_is_missing(journal);
}

void shim_journal_flush(struct shim_journal *journal)
{
    size_t done = 0, n = journal->n;
    bool again = true; // once, after a new connection
    journal->n = 0;
    if (journal->absent)
        look_for_journal(journal);
    if (n == 0)
        return;
    if (!connected(journal) || !say_what_is_missing(journal)) {
        drop(journal, n);
        return;
    }
    while (done < n) {
        int sent = journal->fd < 0 ? -1
                                   : sendmmsg(journal->fd, journal->headers + done,
                                              (unsigned)(n - done), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            done += (size_t)sent;
            continue;
        }
        int code = send_patiently(journal, &journal->headers[done].msg_hdr);
        if (code == 0) {
            done++;
        } else if (journal->fd < 0 && again) {
            again = false;
        } else {
            drop(journal, n - done); // it hangs, lags behind or is gone
            return;
        }
    }
}

void shim_journal_add(struct shim_journal *journal, const char *line, size_t len, bool is_stderr,
                      bool partial)
{
    static const char *const priorities[8] = {
        "PRIORITY=0\nMESSAGE=", "PRIORITY=1\nMESSAGE=", "PRIORITY=2\nMESSAGE=",
        "PRIORITY=3\nMESSAGE=", "PRIORITY=4\nMESSAGE=", "PRIORITY=5\nMESSAGE=",
        "PRIORITY=6\nMESSAGE=", "PRIORITY=7\nMESSAGE=",
    };
    if (journal->absent) {
        journal->dropped++;
        journal->unsaid++;
        return;
    }
    if (journal->n == BATCH_MAX)
        shim_journal_flush(journal);
    int level = shim_priority_next(&journal->streams[is_stderr], line, len, is_stderr, partial);
    const char *priority = priorities[level & 7];
    const char *end = partial ? end_of_part : end_of_line;
    struct iovec *parts = journal->parts[journal->n];
    parts[0] = (struct iovec){journal->fields.data, journal->fields.len};
    parts[1] = (struct iovec){(void *)priority, strlen(priority)};
    parts[2] = (struct iovec){(void *)line, len};
    parts[3] = (struct iovec){(void *)end, strlen(end)};
    journal->headers[journal->n++] = (struct mmsghdr){
        .msg_hdr = {.msg_iov = parts, .msg_iovlen = PARTS},
    };
}

uint64_t shim_journal_dropped(const struct shim_journal *journal)
{
    return journal->seen ? journal->dropped : 0;
}

uint64_t shim_journal_unsaid(const struct shim_journal *journal)
{
    return journal->seen ? journal->unsaid : 0;
}

void shim_journal_free(struct shim_journal *journal)
{
    if (!journal)
        return;
    cleanup_close(&journal->fd);
    buffer_free(&journal->fields);
    free(journal->log_path);
    free(journal);
}
