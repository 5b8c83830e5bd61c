// Messages of the shim's socket and the socket itself (shim-proto.h). Used on both ends.
#include "supervisor/shim/shim-proto.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/fs.h"

enum { LISTEN_BACKLOG = 64 };

union fds_control {
    char space[CMSG_SPACE(SHIM_FDS_MOST * sizeof(int))];
    struct cmsghdr align;
};

int shim_message_send(int fd, const struct shim_message *message, const void *text, const int *fds,
                      size_t n_fds)
{
    struct iovec parts[2] = {{(void *)message, sizeof(*message)}, {(void *)text, message->length}};
    struct msghdr header = {.msg_iov = parts, .msg_iovlen = 2};
    union fds_control control = {0};
    if (message->length > SHIM_MESSAGE_MAX - sizeof(*message) || n_fds > SHIM_FDS_MOST)
        return -EMSGSIZE;
    if (n_fds > 0) {
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(rights), fds, n_fds * sizeof(int));
    }
    for (;;) {
        if (sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

void shim_received_clear(struct shim_received *received)
{
    buffer_free(&received->text);
    for (size_t i = 0; i < ARRAY_SIZE(received->fds); i++) {
        cleanup_close(&received->fds[i]);
        received->fds[i] = -1;
    }
    received->head = (struct shim_message){0};
}

static void take_fds(struct msghdr *header, int fds[SHIM_FDS_MOST])
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(c), MIN(n, (size_t)SHIM_FDS_MOST) * sizeof(int));
    }
}

// The length of the next message, without taking it.
static ssize_t peek_length(int fd)
{
    for (;;) {
        ssize_t n = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
        if (n > 0)
            return n;
        if (n == 0)
            return -ECONNRESET; // an empty message would be malformed as well
        if (errno != EINTR)
            return -errno;
    }
}

int shim_message_receive(int fd, struct shim_received *ret)
{
    shim_received_clear(ret);
    ssize_t size = peek_length(fd);
    if (size < 0)
        return (int)size;
    size_t text_size = (size_t)size - MIN((size_t)size, sizeof(ret->head));
    if (text_size > SHIM_MESSAGE_MAX)
        return -EBADMSG;
    union fds_control control = {0};
    struct iovec parts[2] = {{&ret->head, sizeof(ret->head)},
                             {buffer_reserve(&ret->text, text_size), text_size}};
    struct msghdr header = {
        .msg_iov = parts,
        .msg_iovlen = 2,
        .msg_control = &control,
        .msg_controllen = CMSG_LEN(SHIM_FDS_MOST * sizeof(int)), // no room for another
    };
    ssize_t n;
    do
        n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    take_fds(&header, ret->fds);
    if ((size_t)n != sizeof(ret->head) + text_size || ret->head.length != text_size ||
        (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return -EBADMSG;
    ret->text.len = text_size;
    ret->text.data[text_size] = '\0';
    return 0;
}

// The ids of shims are long, socket addresses are short: the directory is opened and named by its
// descriptor. *ret_dir is that descriptor; it must stay open while the address is used.
static int socket_address(int dirfd, const char *path, struct sockaddr_un *ret, int *ret_dir)
{
    const char *base = path_base(path);
    _cleanup_free_ char *dir = base == path ? xstrdup(".") : xstrndup(path, (size_t)(base - path));
    _cleanup_close_ int fd = openat(dirfd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", fd, base);
    if (n >= (int)sizeof(ret->sun_path))
        return -ENAMETOOLONG;
    *ret_dir = TAKE_FD(fd);
    return 0;
}

static int socket_open(int dirfd, const char *path, bool listening)
{
    struct sockaddr_un address;
    _cleanup_close_ int dir = -1;
    int code = socket_address(dirfd, path, &address, &dir);
    if (code < 0)
        return code;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    const struct sockaddr *where = (const struct sockaddr *)&address;
    if (listening) {
        if (bind(fd, where, sizeof(address)) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
            return -errno;
    } else if (connect(fd, where, sizeof(address)) < 0) {
        return -errno;
    }
    return TAKE_FD(fd);
}

int shim_socket_listen(int dirfd, const char *path)
{
    return socket_open(dirfd, path, true);
}

int shim_socket_connect(int dirfd, const char *path)
{
    return socket_open(dirfd, path, false);
}
