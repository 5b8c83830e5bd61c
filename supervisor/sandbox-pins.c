// See sandbox.h: the namespaces of a pod as files, and the program that makes them. All of them are
// below one private mount, so that a container on the host's root can let go of them at once, and
// nothing of them shows in other mount namespaces.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/process.h"
#include "supervisor/sandbox-internal.h"

enum { MAKE_TIMEOUT_USEC = 30000000 };

static const char *const pins[] = {"net", "ipc", "uts", "pid"};

// ---- the mount that all are below ----

static int mount_dir(struct sandboxes *all, struct error *err)
{
    if (all->mounted)
        return 0;
    int code = fs_mkdir_parents(AT_FDCWD, all->dir, 0700);
    if (code < 0)
        return error_errno(err, code, "%s", all->dir);
    if (mount(all->dir, all->dir, NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, all->dir, NULL, MS_PRIVATE, NULL) < 0)
        return error_errno(err, errno, "cannot make %s a mount of its own", all->dir);
    all->mounted = true;
    return 0;
}

// Once the last is gone.
static void unmount_dir(struct sandboxes *all)
{
    DIR *dir = opendir(all->dir);
    bool empty = true;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        empty &= entry->d_name[0] == '.';
    if (dir)
        closedir(dir);
    if (!empty)
        return;
    while (umount2(all->dir, UMOUNT_NOFOLLOW | MNT_DETACH) == 0)
        ;
    rmdir(all->dir);
    all->mounted = false;
}

const char *sandboxes_mounted(const struct sandboxes *all)
{
    return all->mounted ? all->dir : NULL;
}

// ---- pins ----

static bool is_pin(const char *dir, const char *name)
{
    struct statfs fs;
    _cleanup_free_ char *path = path_join(dir, name);
    return statfs(path, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

static char *pin_path(const struct sandbox *s, const char *name)
{
    return is_pin(s->dir, name) ? path_join(s->dir, name) : NULL;
}

bool sandbox_is_pinned(const struct sandbox *s)
{
    return is_pin(s->dir, s->own_network ? "net" : "ipc") || is_pin(s->dir, "uts") ||
           is_pin(s->dir, "pid");
}

void sandbox_look(struct sandbox *s)
{
    struct cni_result result = {0};
    struct statfs fs;
    cni_result_read(s->result, &result);
    string_list_free(&s->view.ips);
    s->view.ips = result.ips;
    char **const paths[] = {&s->view.net, &s->view.ipc, &s->view.uts, &s->view.pid};
    for (size_t i = 0; i < ARRAY_SIZE(pins); i++) {
        free(*paths[i]);
        *paths[i] = pin_path(s, pins[i]);
    }
    free(s->view.shm);
    s->view.shm = path_join(s->dir, "shm");
    if (statfs(s->view.shm, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
        free(TAKE_PTR(s->view.shm));
}

// The first process of a PID namespace of which no record tells, since the agent that had it made
// died meanwhile.
static void kill_first(const char *dir)
{
    _cleanup_free_ char *path = path_join(dir, "pause");
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int pid = 0;
    unsigned long long ticks = 0;
    if (fs_read_file(AT_FDCWD, path, 64, &text) < 0)
        return;
    if (sscanf(buffer_str(&text), "%d %llu", &pid, &ticks) == 2 && pid > 0) {
        _cleanup_close_ int pidfd = process_pidfd_if_same(pid, ticks);
        if (pidfd >= 0)
            process_signal(pidfd, SIGKILL);
    }
    unlink(path);
}

int sandbox_unpin(struct sandboxes *all, const char *dir, struct error *err)
{
    kill_first(dir);
    static const char *const names[] = {"net", "ipc", "uts", "pid", "shm"};
    int code = 0;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *path = path_join(dir, names[i]);
        while (umount2(path, UMOUNT_NOFOLLOW | MNT_DETACH) == 0)
            ;
        if (unlink(path) < 0 && errno != ENOENT && rmdir(path) < 0 && errno != ENOENT)
            code = error_errno(err, errno, "%s cannot be removed", path);
    }
    if (rmdir(dir) < 0 && errno != ENOENT && code == 0)
        code = error_errno(err, errno, "%s cannot be removed", dir);
    unmount_dir(all);
    return code;
}

void sandboxes_unpin_strangers(struct sandboxes *all)
{
    _cleanup_string_list_ struct string_list names = {0};
    DIR *dir = opendir(all->dir);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && !sandbox_find(all, entry->d_name))
            string_list_add_owned(&names, path_join(all->dir, entry->d_name));
    if (dir)
        closedir(dir);
    LIST_EACH (path, &names) {
        _cleanup_error_ struct error err = ERROR_NONE;
        if (sandbox_unpin(all, *path, &err) < 0)
            log_warning("%s", error_message(&err));
    }
}

// ---- the program ----

int sandbox_make(struct sandbox *s, void (*made)(void *userdata, const struct program_end *end),
                 struct error *err)
{
    _cleanup_string_list_ struct string_list argv = {0};
    int code = sandbox_unpin(s->all, s->dir, err); // what an earlier attempt has left
    if (code == 0)
        code = mount_dir(s->all, err);
    if (code == 0 && mkdir(s->dir, 0700) < 0)
        code = error_errno(err, errno, "%s", s->dir);
    if (code < 0)
        return code;
    string_list_add(&argv, "mainstay-shim");
    string_list_add(&argv, "--sandbox");
    string_list_add(&argv, s->dir);
    LIST_EACH (word, &s->words)
        string_list_add(&argv, *word);
    _cleanup_free_ char **vector = string_list_argv(&argv);
    struct program_options options = {
        .event = s->all->options.event,
        .path = s->all->options.shim_path,
        .argv = vector,
        .environment = (char *[]){NULL},
        .timeout_usec = MAKE_TIMEOUT_USEC,
    };
    return program_start(&options, made, s, &s->maker, err);
}
