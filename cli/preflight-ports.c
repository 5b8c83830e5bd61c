// See preflight-internal.h: whether the ports of what is to run here are free, and who has them.
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/preflight-facts.h"
#include "cli/preflight-internal.h"

enum { PORT_MAX = 65535, PROC_NET_MAX = 64 << 20 };

// ---- who listens ----

struct holder {
    pid_t pid; // 0: not known
    char name[64];
};

// The program's name as it was started: the kernel's own name is cut at 15 characters.
static void read_name(pid_t pid, char *name, size_t size)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/cmdline", (int)pid);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, buffer_reserve(&text, 4096), 4095) : -1;
    if (n > 0) {
        text.data[n] = '\0';
        snprintf(name, size, "%s", path_base(text.data));
    }
}

static bool holds(pid_t pid, const struct listeners *sockets)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    bool found = false;
    for (const struct dirent *entry; !found && dir && (entry = readdir(dir));) {
        char target[64] = "";
        unsigned long long inode = 0;
        if (readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1) < 0 ||
            sscanf(target, "socket:[%llu]", &inode) != 1)
            continue;
        LIST_EACH (socket, &sockets->list)
            found = found || socket->inode == inode;
    }
    if (dir)
        closedir(dir);
    return found;
}

static void find_holder(const char *host, int port, struct holder *ret)
{
    static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    _cleanup_listeners_ struct listeners sockets = {0};
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
        if (fs_read_file(AT_FDCWD, tables[i], PROC_NET_MAX, &text) == 0)
            facts_listeners(buffer_str(&text), host, port, &sockets);
    }
    DIR *proc = sockets.list.n > 0 ? opendir("/proc") : NULL;
    for (const struct dirent *entry; proc && (entry = readdir(proc));) {
        long long pid = 0;
        if (str_to_int(entry->d_name, 1, INT32_MAX, &pid) < 0 || !holds((pid_t)pid, &sockets))
            continue;
        ret->pid = (pid_t)pid;
        read_name(ret->pid, ret->name, sizeof(ret->name));
        break;
    }
    if (proc)
        closedir(proc);
}

// ---- trying ----

// Binds as the component will. 0, or -errno: -EADDRINUSE, -EADDRNOTAVAIL, …
static int try_to_bind(const char *host, int port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    bool is_six = strchr(host, ':') != NULL;
    int one = 1;
    if (is_six ? inet_pton(AF_INET6, host, &six.sin6_addr) != 1
               : inet_pton(AF_INET, host, &four.sin_addr) != 1)
        return -EINVAL;
    _cleanup_close_ int fd =
        socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)); // as Go's listeners do
    int r = is_six ? bind(fd, (struct sockaddr *)&six, sizeof(six))
                   : bind(fd, (struct sockaddr *)&four, sizeof(four));
    return r < 0 || listen(fd, 1) < 0 ? -errno : 0;
}

static void say_taken(struct preflight *p, const struct pod *pod, const char *program,
                      const char *host, int port)
{
    struct holder holder = {0};
    char number[16];
    snprintf(number, sizeof(number), "%d", port);
    find_holder(host, port, &holder);
    if (str_equal(holder.name, program) && preflight_is_there(p, pod))
        preflight_find(p, PREFLIGHT_GOOD, number, "%s:%d is that of this node's %s (PID %d)", host,
                       port, program, (int)holder.pid);
    else if (holder.pid > 0)
        preflight_find(p, PREFLIGHT_ERROR, number,
                       "%s needs %s:%d, which %s (PID %d) has: stop that, or give %s another port",
                       program, host, port, *holder.name ? holder.name : "a process",
                       (int)holder.pid, program);
    else
        preflight_find(
            p, PREFLIGHT_ERROR, number,
            "%s needs %s:%d, which is taken: `ss -ltnp sport = :%d` as root tells by whom", program,
            host, port, port);
}

static void check_port(struct preflight *p, const struct pod *pod, const char *program,
                       const char *host, int port)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", port);
    int r = try_to_bind(host, port);
    if (r == 0)
        preflight_find(p, PREFLIGHT_GOOD, number, "%s:%d is free for %s", host, port, program);
    else if (r == -EADDRINUSE)
        say_taken(p, pod, program, host, port);
    else if (r == -EACCES)
        preflight_find(p, PREFLIGHT_NOT_CHECKED, number, "%s:%d can only be tried as root", host,
                       port);
    else if (r != -EADDRNOTAVAIL && r != -EINVAL && r != -EAFNOSUPPORT) // AdvertiseAddress tells
        preflight_find(p, PREFLIGHT_WARNING, number, "%s:%d cannot be tried: %s", host, port,
                       strerror(-r));
}

// ---- what listens where ----

static void check_urls(struct preflight *p, const struct pod *pod,
                       const struct container *container, const char *flag)
{
    const char *urls = container_flag(container, flag);
    _cleanup_free_ char *copy = xstrdup(urls ? urls : "");
    char *save = NULL;
    for (char *url = strtok_r(copy, ",", &save); url; url = strtok_r(NULL, ",", &save)) {
        _cleanup_free_ char *host = NULL;
        int port = 0;
        if (facts_url(url, &host, &port))
            check_port(p, pod, "etcd", str_equal(host, "localhost") ? "127.0.0.1" : host, port);
    }
}

static void check_secure_port(struct preflight *p, const char *program, int usual,
                              const char *usual_host)
{
    const struct pod *pod = NULL;
    const struct container *container = preflight_container(p, program, &pod);
    long long port = usual;
    if (!container)
        return;
    const char *given = container_flag(container, "secure-port");
    const char *host = container_flag(container, "bind-address");
    if (given && str_to_int(given, 0, PORT_MAX, &port) < 0)
        return; // the program itself will say so
    if (port > 0)
        check_port(p, pod, program, host ? host : usual_host, (int)port);
}

static void check_etcd(struct preflight *p)
{
    const struct pod *pod = NULL;
    const struct container *container = preflight_container(p, "etcd", &pod);
    if (!container)
        return;
    check_urls(p, pod, container, "listen-client-urls");
    check_urls(p, pod, container, "listen-peer-urls");
    check_urls(p, pod, container, "listen-metrics-urls");
}

void preflight_ports(struct preflight *p)
{
    check_etcd(p);
    check_secure_port(p, "kube-apiserver", 6443, "0.0.0.0");
    check_secure_port(p, "kube-controller-manager", 10257, "0.0.0.0");
    check_secure_port(p, "kube-scheduler", 10259, "0.0.0.0");
}
