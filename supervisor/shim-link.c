// Starting and finding shims (shim-link.h); the conversation with them is in shim-link-state.c.
#include "supervisor/shim-link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"
#include "supervisor/shim-link-internal.h"
#include "supervisor/shim-spare.h"

enum { SPEC_MAX = 16 << 20 };

static struct shim_link *link_new(const struct shim_link_options *options, const char *id,
                                  const struct shim_link_ops *ops, void *userdata)
{
    struct shim_link *link = xcalloc(1, sizeof(*link));
    *link = (struct shim_link){
        .event = sd_event_ref(options->event),
        .shims_dir = xstrdup(options->shims_dir),
        .id = xstrdup(id),
        .ops = ops,
        .userdata = userdata,
        .dir = -1,
        .socket = -1,
        .pidfd = -1,
    };
    return link;
}

void shim_link_destroy(struct shim_link *link)
{
    sd_event_source_disable_unref(link->socket_source);
    sd_event_source_disable_unref(link->pidfd_source);
    sd_event_source_disable_unref(link->look_again);
    sd_event_unref(link->event);
    cleanup_close(&link->socket);
    cleanup_close(&link->pidfd);
    cleanup_close(&link->dir);
    shim_state_clear(&link->state);
    free(link->shims_dir);
    free(link->id);
    free(link);
}

void shim_link_free(struct shim_link *link)
{
    if (!link || link->freed)
        return;
    link->freed = true;
    while (link->execs)
        shim_exec_cancel(link->execs);
    if (link->callbacks == 0)
        shim_link_destroy(link);
}

// --- starting

static int make_directory(struct shim_link *link, struct error *err)
{
    _cleanup_free_ char *path = path_join(link->shims_dir, link->id);
    if (!path_is_name(link->id))
        return error_set(err, EINVAL, "\"%s\" cannot be the name of a shim", link->id);
    int code = mkdir(path, 0700) < 0 ? -errno : 0;
    if (code == -ENOENT && fs_mkdir_parents(AT_FDCWD, link->shims_dir, 0700) == 0)
        code = mkdir(path, 0700) < 0 ? -errno : 0;
    if (code < 0)
        return error_errno(err, code, "cannot make %s", path);
    link->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (link->dir >= 0)
        return 0;
    code = -errno;
    rmdir(path);
    return error_errno(err, code, "cannot open %s", path);
}

static int make_lock(int dir)
{
    _cleanup_close_ int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int write_spec(int dir, const struct shim_spec *spec, int *ret_memfd)
{
    _cleanup_buffer_ struct buffer data = BUFFER_EMPTY;
    shim_spec_encode(spec, &data);
    int code = fs_write_atomic(dir, "spec", data.data, data.len, 0600, 0);
    if (code < 0)
        return code;
    *ret_memfd = shim_spawn_spec_memfd(data.data, data.len);
    return MIN(*ret_memfd, 0);
}

static void reap(struct shim_link *link)
{
    if (link->child <= 0)
        return;
    kill(link->child, SIGKILL);
    while (waitpid(link->child, NULL, 0) < 0 && errno == EINTR)
        continue;
    link->child = 0;
}

static int spawn(struct shim_link *link, const struct shim_link_options *options,
                 const struct shim_spec *spec, struct error *err)
{
    _cleanup_close_ int lock = -1, listener = -1, memfd = -1;
    int code = lock = make_lock(link->dir);
    if (code >= 0)
        code = listener = shim_socket_listen(link->dir, "socket");
    if (code >= 0)
        code = write_spec(link->dir, spec, &memfd);
    if (code >= 0)
        code = shim_link_converse(link); // answered as soon as there is somebody
    if (code < 0)
        return error_errno(err, code, "cannot prepare shim %s", link->id);
    _cleanup_free_ char *title =
        xasprintf("%s/%s/%s", spec->pod_namespace ? spec->pod_namespace : "",
                  spec->pod_name ? spec->pod_name : "", spec->container ? spec->container : "");
    struct shim_spawn how = {
        .program = options->shim_path,
        .title = title,
        .spec = memfd,
        .lock = lock,
        .socket = listener,
        .dir = link->dir,
    };
    if (options->spare && shim_spare_take(options->spare, &how, &link->child) == 0)
        return 0;
    return shim_spawn(&how, &link->child, err);
}

// What a failed start has made: by name, because there may be no descriptor left to list it with.
static void discard(struct shim_link *link)
{
    static const char *const names[] = {"lock", "socket", "spec", "state", "exit", ".exit"};
    _cleanup_free_ char *path = path_join(link->shims_dir, link->id);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        unlinkat(link->dir, names[i], 0);
    if (rmdir(path) < 0)
        (void)fs_remove_tree(AT_FDCWD, path);
}

int shim_link_start(const struct shim_link_options *options, const struct shim_spec *spec,
                    const struct shim_link_ops *ops, void *userdata, struct shim_link **ret,
                    struct error *err)
{
    struct shim_link *link = link_new(options, spec->id, ops, userdata);
    int code = make_directory(link, err);
    if (code < 0) {
        shim_link_destroy(link);
        return code;
    }
    code = spawn(link, options, spec, err);
    if (code == 0) {
        // Three descriptors have just been closed, so there is one for this.
        int pidfd = process_pidfd(link->child);
        code = pidfd < 0 ? pidfd : shim_link_watch(link, pidfd);
        if (code < 0)
            error_errno(err, code, "cannot watch shim %s", link->id);
    }
    if (code < 0) {
        reap(link);
        discard(link);
        shim_link_destroy(link);
        return code;
    }
    link->state.shim_pid = link->child;
    *ret = link;
    return 0;
}

// --- adopting

static int read_spec(int dir, struct shim_spec *ret, struct error *err)
{
    _cleanup_buffer_ struct buffer data = BUFFER_EMPTY;
    int code = fs_read_file(dir, "spec", SPEC_MAX, &data);
    if (code < 0)
        return error_errno(err, code, "cannot read the shim's spec");
    return shim_spec_decode(data.data, data.len, ret, err);
}

// How far it got according to its files: `exit` where it is there, else `state`.
static void read_known_state(struct shim_link *link, bool dead)
{
    struct shim_state state;
    if ((dead && shim_link_read_state(link->dir, "exit", &state) == 0) ||
        shim_link_read_state(link->dir, "state", &state) == 0)
        link->state = state;
    link->told_running = link->state.phase == SHIM_PHASE_RUNNING || dead;
}

static int attach(struct shim_link *link, struct error *err)
{
    int pidfd = shim_link_lock_pidfd(link->dir);
    // Asked for after the pidfd was opened: where the lock is held, the pidfd's process holds it.
    bool dead = shim_link_lock_is_free(link->dir);
    read_known_state(link, dead);
    int code = 0;
    if (!dead && pidfd >= 0)
        code = shim_link_watch(link, pidfd);
    else
        cleanup_close(&pidfd);
    if (code == 0 && !dead)
        code = shim_link_converse(link);
    // One that is dead, dies just now, or has no room for another client is looked at again from
    // the loop.
    bool short_of_descriptors = code == -EMFILE || code == -ENFILE || code == -ENOMEM;
    if ((code < 0 || dead) && !short_of_descriptors)
        code = shim_link_look_again(link);
    return code < 0 ? error_errno(err, code, "cannot adopt shim %s", link->id) : 0;
}

int shim_link_adopt(const struct shim_link_options *options, const char *id,
                    const struct shim_link_ops *ops, void *userdata, struct shim_link **ret,
                    struct shim_spec *ret_spec, struct error *err)
{
    _cleanup_free_ char *path = path_join(options->shims_dir, id);
    struct shim_link *link = link_new(options, id, ops, userdata);
    link->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (link->dir < 0) {
        int code = error_errno(err, -errno, "cannot open %s", path);
        shim_link_destroy(link);
        return code;
    }
    struct shim_spec spec;
    int code = read_spec(link->dir, &spec, err);
    if (code == -ENOENT && shim_link_lock_is_free(link->dir)) {
        // The spec is written before the shim is started: nothing ever ran here.
        (void)shim_link_forget(link);
    } else if (code == 0) {
        code = attach(link, err);
        if (code < 0)
            shim_spec_free(&spec);
    }
    if (code < 0) {
        shim_link_destroy(link);
        return code;
    }
    *ret_spec = spec;
    *ret = link;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int shim_link_list(const char *shims_dir, struct string_list *ret, struct error *err)
{
    DIR *entries = opendir(shims_dir);
    if (!entries)
        return errno == ENOENT ? 0 : error_errno(err, -errno, "cannot list %s", shims_dir);
    for (struct dirent *entry; (entry = readdir(entries));) {
        struct stat st;
        if (entry->d_name[0] != '.' &&
            fstatat(dirfd(entries), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(st.st_mode))
            string_list_add(ret, entry->d_name);
    }
    closedir(entries);
    if (ret->n > 1)
        qsort(ret->items, ret->n, sizeof(ret->items[0]), by_name);
    return 0;
}

// --- talking

const char *shim_link_id(const struct shim_link *link)
{
    return link->id;
}

const struct shim_state *shim_link_state(const struct shim_link *link)
{
    return &link->state;
}

static int send(struct shim_link *link, const struct shim_message *message)
{
    if (link->over)
        return -ESRCH;
    int code = link->socket >= 0 ? 0 : shim_link_converse(link);
    return code < 0 ? code : shim_message_send(link->socket, message, NULL, NULL, 0);
}

void shim_link_ask(struct shim_link *link)
{
    if (link->over || shim_link_unanswered(link) != 0)
        return;
    // One that takes no message is one that does not answer: where the connection is at its end,
    // the loop finds out.
    link->asked++;
    if (link->socket >= 0)
        (void)shim_message_send(link->socket, &(struct shim_message){.type = SHIM_HELLO}, NULL,
                                NULL, 0);
    else
        (void)shim_link_look_again(link);
}

uint64_t shim_link_unanswered(const struct shim_link *link)
{
    return link->asked != link->answered ? link->asked : 0;
}

bool shim_link_was_heard(const struct shim_link *link)
{
    return link->answered > 0;
}

int shim_link_signal(struct shim_link *link, int signal_number)
{
    return send(link, &(struct shim_message){.type = SHIM_SIGNAL, .number = signal_number});
}

int shim_link_kill(struct shim_link *link)
{
    return send(link, &(struct shim_message){.type = SHIM_KILL});
}

int shim_link_kill_shim(struct shim_link *link)
{
    if (link->over)
        return -ESRCH;
    int pidfd = link->pidfd;
    if (pidfd >= 0)
        return process_signal(pidfd, SIGKILL);
    // Adopted before it signed its lock; by now it has.
    pidfd = shim_link_lock_pidfd(link->dir);
    if (pidfd < 0)
        return pidfd;
    int code = shim_link_watch(link, pidfd);
    return code < 0 ? code : process_signal(link->pidfd, SIGKILL);
}

int shim_link_forget(struct shim_link *link)
{
    _cleanup_free_ char *path = path_join(link->shims_dir, link->id);
    return fs_remove_tree(AT_FDCWD, path);
}
