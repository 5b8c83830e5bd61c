// See api-socket.h.
#include "supervisor/api-socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/process.h"

#ifndef SIOCUNIXFILE // of <linux/un.h>, which cannot be included beside <sys/un.h>
#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0)
#endif

int api_socket_lock(const char *path, struct error *err)
{
    _cleanup_free_ char *lock = xasprintf("%s.lock", path);
    int code = fs_mkdir_parents_of(AT_FDCWD, path);
    if (code < 0)
        return error_errno(err, code, "make the directory of %s", path);
    _cleanup_close_ int fd =
        open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return error_errno(err, errno, "open %s", lock);
    if (lock_take(fd) == -EWOULDBLOCK)
        return error_set(err, EADDRINUSE,
                         "another agent is running: it holds %s (see `mainstay status`, or give "
                         "this one its own --socket)",
                         lock);
    return TAKE_FD(fd);
}

// A listener that was killed may have a child that is about to exec: that holds the socket for a
// moment longer, but answers nobody.
static bool listener_lives(int fd)
{
    struct ucred listener;
    socklen_t size = sizeof(listener);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &listener, &size) < 0 || listener.pid <= 0)
        return true; // nothing is known about it, as from another PID namespace
    _cleanup_close_ int pidfd = process_pidfd(listener.pid);
    return pidfd == -ESRCH ? false : pidfd < 0 || !process_exited(pidfd);
}

// 1: somebody answers; 0: nobody does; else a negative errno.
static int somebody_answers(const struct sockaddr_un *address)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return listener_lives(fd);
    if (errno == EAGAIN)
        return 1;
    return errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
}

static int remove_stale(const char *path, const struct sockaddr_un *address, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "look at %s", path);
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, EEXIST, "%s is in the way: it is not a socket", path);
    int code = somebody_answers(address);
    if (code < 0)
        return error_errno(err, code, "connect to %s", path);
    if (code > 0)
        return error_set(err, EADDRINUSE, "another agent is running: somebody answers on %s", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_errno(err, errno, "remove the stale socket %s", path);
    return 0;
}

int api_socket_open_local(const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, ENAMETOOLONG,
                         "the socket's path %s is longer than %zu bytes: choose another --socket",
                         path, sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path));
    int code = remove_stale(path, &address, err);
    if (code < 0)
        return code;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // The mode of the descriptor becomes that of the file: it is never open to others.
    if (fd < 0 || fchmod(fd, 0600) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, SOMAXCONN) < 0)
        return error_errno(err, errno, "listen on %s", path);
    return TAKE_FD(fd);
}

static bool is_listening(int fd)
{
    int on = 0;
    socklen_t size = sizeof(on);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

// The kernel tells which file is the socket's own, but only to who may administer the network: an
// ordinary user's agent has to believe the name.
bool api_socket_is_local(int fd, const char *path)
{
    struct sockaddr_un bound = {0};
    socklen_t size = sizeof(bound) - 1; // keeps a zero at the end
    struct stat own, there;
    if (!is_listening(fd) || getsockname(fd, (struct sockaddr *)&bound, &size) < 0 ||
        bound.sun_family != AF_UNIX || strcmp(bound.sun_path, path) != 0)
        return false;
    if (lstat(path, &there) < 0 || !S_ISSOCK(there.st_mode))
        return false;
    _cleanup_close_ int file = ioctl(fd, SIOCUNIXFILE);
    return file < 0 ||
           (fstat(file, &own) == 0 && own.st_ino == there.st_ino && own.st_dev == there.st_dev);
}

static socklen_t parse_address(const char *text, int port, struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    *ret = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return sizeof(*v4);
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return sizeof(*v6);
    }
    return 0;
}

int api_socket_open_health(const char *address, int port, struct error *err)
{
    struct sockaddr_storage bound;
    socklen_t size = parse_address(address, port, &bound);
    int on = 1;
    if (size == 0)
        return error_set(err, EINVAL, "healthz address %s is no IP address", address);
    _cleanup_close_ int fd = socket(bound.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return error_errno(err, errno, "make the healthz socket");
    if (bind(fd, (struct sockaddr *)&bound, size) == 0 && listen(fd, SOMAXCONN) == 0)
        return TAKE_FD(fd);
    if (errno == EADDRINUSE)
        return error_set(err, EADDRINUSE,
                         "the healthz port %s:%d is taken, perhaps by a kubelet or another agent: "
                         "stop that one, or choose with --healthz-port (0: none)",
                         address, port);
    return error_errno(err, errno, "listen on %s:%d", address, port);
}

bool api_socket_is_health(int fd, const char *address, int port)
{
    struct sockaddr_storage wanted, bound = {0};
    socklen_t wanted_size = parse_address(address, port, &wanted), size = sizeof(bound);
    return wanted_size > 0 && is_listening(fd) &&
           getsockname(fd, (struct sockaddr *)&bound, &size) == 0 && size == wanted_size &&
           memcmp(&bound, &wanted, size) == 0;
}

bool api_socket_peer_is_trusted(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid();
}
