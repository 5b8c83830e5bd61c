// The socket between the container's first process and its parent. See container-internal.h.
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/shim/container-internal.h"

enum { REPORT_MAX = 256 << 10 };

enum record_kind { RECORD_WARNINGS = 1, RECORD_COMMAND, RECORD_FAILURE };

union fd_control {
    char space[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

struct record {
    uint32_t kind;
    int32_t code;
    uint32_t reason;
    uint32_t length; // bytes of text that follow
};

const char *start_reason_name(enum start_reason reason)
{
    static const char *const names[] = {
        [START_REASON_MOUNT] = "FailedMount",
        [START_REASON_CONFIG] = "CreateContainerConfigError",
        [START_REASON_CREATE] = "CreateContainerError",
        [START_REASON_START] = "StartError",
    };
    return reason < ARRAY_SIZE(names) ? names[reason] : "CreateContainerError";
}

static void send_record(int socket, enum record_kind kind, enum start_reason reason, int code,
                        const char *text)
{
    struct record record = {kind, code, reason, (uint32_t)strlen(text)};
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    buffer_add(&out, &record, sizeof(record));
    buffer_add(&out, text, record.length);
    // A parent that no longer reads is about to end this process.
    (void)fs_write_all(socket, out.data, out.len);
}

void start_report_warnings(int socket, const struct buffer *warnings)
{
    if (warnings->len > 0)
        send_record(socket, RECORD_WARNINGS, 0, 0, buffer_str(warnings));
}

void start_report_command(int socket, const char *command)
{
    send_record(socket, RECORD_COMMAND, 0, 0, command);
}

void start_report_failure(int socket, enum start_reason reason, int code, const char *message)
{
    send_record(socket, RECORD_FAILURE, reason, code, message);
}

static void take_record(const struct record *record, const char *text, struct start_report *ret)
{
    switch (record->kind) {
    case RECORD_WARNINGS:
        buffer_add(&ret->warnings, text, record->length);
        break;
    case RECORD_COMMAND:
        free(ret->command);
        ret->command = xstrndup(text, record->length);
        break;
    case RECORD_FAILURE:
        free(ret->message);
        ret->message = xstrndup(text, record->length);
        ret->failed = true;
        ret->code = record->code < 0 ? record->code : -EIO;
        ret->reason = record->reason;
        break;
    default:
        break;
    }
}

// A descriptor needs bytes to come with: an empty warning.
void start_report_file(int socket, int fd)
{
    struct record record = {.kind = RECORD_WARNINGS};
    struct iovec part = {&record, sizeof(record)};
    union fd_control control = {0};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    while (sendmsg(socket, &header, MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
}

static void take_file(struct msghdr *header, struct start_report *ret)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(header);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return;
    cleanup_close(&ret->file);
    memcpy(&ret->file, CMSG_DATA(c), sizeof(ret->file));
}

static int read_all(int socket, struct buffer *in, struct start_report *ret)
{
    for (;;) {
        struct iovec part = {buffer_reserve(in, 4096), 4096};
        union fd_control control;
        struct msghdr header = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = &control,
                                .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            take_file(&header, ret);
        in->len += n > 0 ? (size_t)n : 0;
        if (in->len > REPORT_MAX)
            return -EPROTO;
    }
}

int start_report_read(int socket, struct start_report *ret)
{
    _cleanup_buffer_ struct buffer in = BUFFER_EMPTY;
    int code = read_all(socket, &in, ret);
    for (size_t at = 0; code == 0 && at < in.len;) {
        struct record record;
        if (in.len - at < sizeof(record))
            return -EPROTO;
        memcpy(&record, in.data + at, sizeof(record));
        at += sizeof(record);
        if (record.length > in.len - at)
            return -EPROTO;
        take_record(&record, in.data + at, ret);
        at += record.length;
    }
    return code;
}

void start_report_free(struct start_report *report)
{
    free(report->message);
    free(report->command);
    cleanup_close(&report->file);
    buffer_free(&report->warnings);
}
