// What HAProxy knows of its servers, kept for its next worker. HAProxy takes every server for up
// until its first check, which after a reload would cost the connections that go to a dead one
// until then; a file in the form of its own "show servers state" tells it better
// (server-state-file).
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/balancer.h"

enum { ANSWER_MAX = 1 << 20, ANSWER_SEC = 2 };
#define QUESTION "show servers state kube-apiserver\n"

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval limit = {.tv_sec = ANSWER_SEC};
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int ask(const char *root, struct buffer *answer)
{
    _cleanup_free_ char *path = xasprintf("%s/run/haproxy/admin.sock", root);
    _cleanup_close_ int fd = connect_to(path);
    if (fd < 0)
        return fd;
    if (send(fd, QUESTION, strlen(QUESTION), MSG_NOSIGNAL) != (ssize_t)strlen(QUESTION))
        return -EIO;
    return fs_read_fd(fd, ANSWER_MAX, answer);
}

// A server's line of "show servers state", version 1.
struct server {
    char name[256], address[64];
    int state, port;
};
enum { STATE_DOWN = 0 };

static bool read_line(const char *line, struct server *ret)
{
    return sscanf(line,
                  "%*s %*s %*s %255s %63s %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %d",
                  ret->name, ret->address, &ret->state, &ret->port) == 4;
}

// HAProxy would take the port from its state rather than from a configuration with another one.
static bool is_configured(const char *configuration, const struct server *server)
{
    bool v6 = strchr(server->address, ':') != NULL;
    _cleanup_free_ char *line = xasprintf(v6 ? "    server %s [%s]:%d\n" : "    server %s %s:%d\n",
                                          server->name, server->address, server->port);
    return strstr(configuration, line) != NULL;
}

// The lines of those that are down: the others are taken for up as it is. Nothing where all are,
// because what was known a while ago must not keep every connection away.
static void add_down(char *answer, const char *configuration, struct buffer *ret)
{
    _cleanup_buffer_ struct buffer lines = BUFFER_EMPTY;
    char *rest = NULL;
    bool up = false;
    for (char *line = strtok_r(answer, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        struct server server;
        if (*line == '#' || str_equal(line, "1"))
            buffer_printf(ret, "%s\n", line);
        else if (!read_line(line, &server))
            continue;
        else if (server.state != STATE_DOWN)
            up = true;
        else if (is_configured(configuration, &server))
            buffer_printf(&lines, "%s\n", line);
    }
    if (up)
        buffer_add_str(ret, buffer_str(&lines));
}

void balancer_keep_servers(const char *root, const struct buffer *configuration)
{
    _cleanup_free_ char *path = xasprintf("%s/run/haproxy/servers", root);
    _cleanup_buffer_ struct buffer answer = BUFFER_EMPTY, text = BUFFER_EMPTY;
    int code = ask(root, &answer);
    if (code == 0 && str_starts_with(buffer_str(&answer), "1\n")) {
        add_down(answer.data, buffer_str(configuration), &text);
        code = fs_write_atomic(AT_FDCWD, path, text.data, text.len, 0600, 0);
    } else if (code == 0) {
        code = -EPROTO;
    }
    if (code < 0) // what it knew before something went wrong may be long past
        unlink(path);
}
