// See reset.h.
#include "cli/reset.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/client.h"
#include "cli/guard-wait.h"
#include "cli/init-preflight.h"
#include "cli/node-manifests.h"
#include "cli/pki-report.h"
#include "cli/pod-wait.h"
#include "cli/term.h"

enum { CMDLINE_MAX = 1 << 20 };

// ---- what runs without an agent ----

// The words of a process, separated by NUL.
static int read_cmdline(const char *pid, struct buffer *out)
{
    _cleanup_free_ char *path = xasprintf("/proc/%s/cmdline", pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    for (;;) {
        ssize_t n = read(fd, buffer_reserve(out, 4096), 4096);
        if (n <= 0 || out->len > CMDLINE_MAX)
            return n < 0 ? -errno : 0;
        out->len += (size_t)n;
    }
}

static bool is_run_by(const struct container *container, const struct buffer *cmdline)
{
    const char *p = cmdline->data, *end = p + cmdline->len;
    for (size_t i = 0; i < container->command.n; i++) {
        const char *word = container->command.items[i];
        if (p >= end || !str_equal(i == 0 ? path_base(p) : p, i == 0 ? path_base(word) : word))
            return false;
        p += strlen(p) + 1;
    }
    return container->command.n > 0;
}

struct search {
    pid_t pid;
    const char *name; // of the container's program
    const struct buffer *cmdline;
    bool found;
};

static void compare(void *userdata, const struct pod *pod, const struct container *container)
{
    struct search *search = userdata;
    if (!search->found && is_run_by(container, search->cmdline)) {
        search->found = true;
        search->name = path_base(container->command.items[0]);
    }
}

static int check_nothing_runs(const struct node_manifests *pods, struct error *err)
{
    DIR *proc = opendir("/proc");
    int code = 0;
    for (const struct dirent *entry; code == 0 && proc && (entry = readdir(proc));) {
        _cleanup_buffer_ struct buffer cmdline = BUFFER_EMPTY;
        struct search search = {.cmdline = &cmdline};
        if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name) ||
            read_cmdline(entry->d_name, &cmdline) < 0 || cmdline.len == 0)
            continue;
        buffer_add_char(&cmdline, '\0');
        node_manifests_each(pods, compare, &search);
        if (search.found)
            code = error_set(err, EBUSY,
                             "%s (PID %s) runs, and no agent answers that could stop it: start the "
                             "agent, or stop it yourself, and run this again",
                             search.name, entry->d_name);
    }
    if (proc)
        closedir(proc);
    return code;
}

// ---- stopping ----

static int remove_file(const char *path, const char *what, struct error *err)
{
    if (unlink(path) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "cannot remove %s", path);
    pki_say(what, TERM_PLAIN, path, NULL);
    fflush(stdout);
    return 0;
}

static int wait_gone(const char *const *manifests, size_t n, const char *socket, monotime deadline,
                     struct error *err)
{
    _cleanup_client_ struct client *client = client_new(socket);
    int code = 0;
    for (size_t i = 0; i < n && code == 0; i++) {
        const char *base = path_base(manifests[i]);
        _cleanup_free_ char *pod = xstrndup(base, strcspn(base, "."));
        const struct pod_target target = {.namespace_ = "kube-system", .name = pod};
        // What becomes of the quorum was decided when the member left the cluster.
        code = guard_force(client, target.namespace_, pod, true, err);
        if (code == 0)
            code = pods_wait(client, &target, 1, POD_GOAL_GONE, 0, deadline, err);
        if (code == 0)
            pki_say("gone", TERM_PLAIN, pod, NULL);
        fflush(stdout);
    }
    return code;
}

int reset_stop(const char *const *manifests, size_t n, const char *directory, const char *socket,
               bool force, monotime deadline, struct error *err)
{
    _cleanup_agent_seen_ struct agent_seen agent = {0};
    _cleanup_node_manifests_ struct node_manifests pods = {0};
    int code = 0;
    if (n == 0)
        return 0;
    agent_see(socket, directory, &agent);
    for (size_t i = 0; i < n; i++)
        node_manifests_load(manifests[i], NULL, &pods, NULL);
    if (!agent.is_ours && !force)
        code = check_nothing_runs(&pods, err);
    for (size_t i = 0; i < n && code == 0; i++)
        code = remove_file(manifests[i], "removed", err);
    return code == 0 && agent.is_ours ? wait_gone(manifests, n, socket, deadline, err) : code;
}

// ---- files ----

// The directory itself may be a mount point, or a package's: it stays.
static int remove_contents(const char *path, struct error *err)
{
    DIR *dir = opendir(path);
    int code = dir ? 0 : errno == ENOENT ? 0 : -errno;
    for (const struct dirent *entry; code == 0 && dir && (entry = readdir(dir));)
        if (!str_equal(entry->d_name, ".") && !str_equal(entry->d_name, "..") &&
            !str_equal(entry->d_name, "lost+found"))
            code = fs_remove_tree(dirfd(dir), entry->d_name);
    if (dir)
        closedir(dir);
    if (code < 0)
        return error_errno(err, code, "cannot remove what is in %s", path);
    _cleanup_free_ char *what = xasprintf("%s/*", path);
    pki_say("removed", TERM_PLAIN, what, NULL);
    return 0;
}

int reset_remove(const struct made_item *item, struct error *err)
{
    return item->kind == MADE_ETCD_DATA ? remove_contents(item->path, err)
                                        : remove_file(item->path, "removed", err);
}

void reset_tidy(const struct node_places *places)
{
    static const char *const below[] = {"etc/haproxy", "etc/nginx", "etc/keepalived"};
    _cleanup_free_ char *etcd = path_join(places->pki_dir, "etcd");
    rmdir(etcd); // each only where it is empty
    rmdir(places->pki_dir);
    for (size_t i = 0; i < ARRAY_SIZE(below) && *places->root; i++) {
        _cleanup_free_ char *path = path_join(places->root, below[i]);
        rmdir(path);
    }
}
