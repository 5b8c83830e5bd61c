// See reach.h.
#include "etcd/reach.h"

#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"

static int parse(const char *url, char **ret_host, char **ret_port, struct error *err)
{
    CURLU *parts = curl_url();
    char *host = NULL, *port = NULL;
    bool ok = parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
              curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
              curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    if (ok) {
        size_t len = strlen(host);
        bool brackets = len > 2 && host[0] == '[';
        *ret_host = brackets ? xstrndup(host + 1, len - 2) : xstrdup(host);
        *ret_port = xstrdup(port);
    }
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return ok ? 0 : error_set(err, EINVAL, "\"%s\" is no URL", url);
}

static int connect_to(const struct addrinfo *to, int timeout_msec)
{
    int reason = 0;
    socklen_t size = sizeof(reason);
    _cleanup_close_ int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int n = poll(&wait, 1, timeout_msec);
    if (n <= 0)
        return n < 0 ? -errno : -ETIMEDOUT;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &size) < 0)
        return -errno;
    return -reason;
}

int etcd_reach(const char *url, int timeout_msec, struct error *err)
{
    _cleanup_free_ char *host = NULL, *port = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int code = parse(url, &host, &port, err);
    if (code < 0)
        return code;
    int wrong = getaddrinfo(host, port, &hints, &list);
    if (wrong != 0)
        return error_set(err, EHOSTUNREACH, "%s: %s", url, gai_strerror(wrong));
    code = -EHOSTUNREACH;
    for (const struct addrinfo *a = list; a && code != 0; a = a->ai_next)
        code = connect_to(a, timeout_msec);
    freeaddrinfo(list);
    if (code == -ECONNREFUSED)
        return error_set(err, code, "nothing listens on %s", url);
    return code < 0 ? error_errno(err, code, "%s", url) : 0;
}
