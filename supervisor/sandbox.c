// See sandbox.h: the life of one sandbox. Whatever fails on the way up is taken apart again before
// the next attempt, and nothing waits for a plugin.
#include "supervisor/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/monotime.h"
#include "base/process.h"
#include "base/work.h"
#include "supervisor/sandbox-internal.h"

enum {
    REST_FIRST_USEC = 1000000, // between attempts, doubled each time
    REST_MOST_USEC = 30000000,
    DELETIONS_MOST = 4, // before a network is given up for gone
    TIMER_ACCURACY_USEC = 10000,
};

#define WORKS_FOR(s) WORK_SCOPE("pods", "pod", (s)->namespace_, (s)->pod)

void sandbox_event(const struct sandbox *s, enum event_type type, const char *reason,
                   const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    struct event_object about = {.namespace_ = s->namespace_, .pod = s->pod, .uid = s->uid};
    event_add(s->all->options.events, about, type, reason, "%s", message);
}

// ---- the list ----

struct sandbox *sandbox_find(const struct sandboxes *all, const char *uid)
{
    LIST_EACH (s, &all->list)
        if (str_equal((*s)->uid, uid))
            return *s;
    return NULL;
}

struct sandbox *sandbox_new(struct sandboxes *all, const char *uid)
{
    struct sandbox *s = xcalloc(1, sizeof(*s));
    s->all = all;
    s->uid = xstrdup(uid);
    s->dir = path_join(all->dir, uid);
    s->netns = path_join(s->dir, "net");
    *LIST_APPEND(&all->list) = s;
    return s;
}

static void stop_watching(struct sandbox *s)
{
    program_cancel(TAKE_PTR(s->maker));
    cni_call_cancel(TAKE_PTR(s->call));
    s->timer = sd_event_source_disable_unref(s->timer);
    s->pause = sd_event_source_disable_unref(s->pause);
}

static void view_clear(struct sandbox_view *view)
{
    free(view->net);
    free(view->ipc);
    free(view->uts);
    free(view->pid);
    free(view->shm);
    string_list_free(&view->ips);
    *view = (struct sandbox_view){0};
}

void sandbox_free(struct sandbox *s)
{
    stop_watching(s);
    view_clear(&s->view);
    free(s->uid);
    free(s->namespace_);
    free(s->pod);
    free(s->container_id);
    free(s->hostname);
    string_list_free(&s->words);
    json_decref(s->config);
    json_decref(s->result);
    json_decref(s->capabilities);
    free(s->dir);
    free(s->netns);
    free(s);
}

static void remove_from_list(struct sandbox *s)
{
    struct sandboxes *all = s->all;
    for (size_t i = 0; i < all->list.n; i++)
        if (all->list.items[i] == s) {
            all->list.items[i] = all->list.items[--all->list.n];
            break;
        }
    sandbox_free(s);
}

// ---- down ----

static void make(struct sandbox *s);

static int arm(struct sandbox *s, int64_t usec, sd_event_time_handler_t handler)
{
    s->timer = sd_event_source_disable_unref(s->timer);
    int r = sd_event_add_time_relative(s->all->options.event, &s->timer, CLOCK_BOOTTIME,
                                       (uint64_t)usec, TIMER_ACCURACY_USEC, handler, s);
    if (r < 0)
        sandbox_event(s, EVENT_WARNING, "TimerFailed", "%s", strerror(-r));
    return r;
}

static int on_rested(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct sandbox *s = userdata;
    WORKS_FOR(s);
    make(s);
    return 0;
}

static void rest(struct sandbox *s)
{
    int64_t usec = REST_FIRST_USEC;
    for (unsigned i = 1; i < s->attempts && usec < REST_MOST_USEC; i++)
        usec *= 2;
    s->state = SANDBOX_RESTING;
    arm(s, MIN(usec, (int64_t)REST_MOST_USEC), on_rested);
}

static void end_pause(struct sandbox *s)
{
    s->pause = sd_event_source_disable_unref(s->pause);
    if (s->pause_pid <= 0 || s->stale)
        return;
    _cleanup_close_ int pidfd = process_pidfd_if_same(s->pause_pid, s->pause_ticks);
    if (pidfd >= 0)
        process_signal(pidfd, SIGKILL);
    s->pause_pid = 0;
}

static void remove_pins(struct sandbox *s)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    end_pause(s);
    view_clear(&s->view);
    if (sandbox_unpin(s->all, s->dir, &err) < 0)
        sandbox_event(s, EVENT_WARNING, "FailedCleanup", "%s", error_message(&err));
}

// The end of DELETING: nothing of the network is left, or all was tried.
static void deleted(struct sandbox *s)
{
    void *owner = s->owner;
    const struct sandbox_ops *ops = s->all->ops;
    remove_pins(s);
    json_decref(s->config);
    json_decref(s->result);
    s->config = s->result = NULL;
    s->stale = s->complete = false;
    if (s->next == SANDBOX_THEN_MAKE) {
        make(s);
        return;
    }
    sandbox_forget(s);
    if (s->next == SANDBOX_THEN_REST) {
        rest(s);
        return;
    }
    remove_from_list(s);
    if (owner)
        ops->down(owner);
}

static int start_delete(struct sandbox *s);

static int on_delete_again(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct sandbox *s = userdata;
    WORKS_FOR(s);
    if (start_delete(s) < 0)
        deleted(s);
    return 0;
}

static void on_del(void *userdata, int code, const char *message, json_t *result)
{
    struct sandbox *s = userdata;
    WORKS_FOR(s);
    s->call = NULL;
    if (code == 0) {
        deleted(s);
        return;
    }
    bool again = ++s->deletions < DELETIONS_MOST;
    sandbox_event(s, EVENT_WARNING, "FailedKillPodSandBox",
                  "the pod's network could not be taken away: %s%s", message,
                  again ? "; it is tried again"
                        : "; this was the last attempt, addresses and rules may be left");
    if (!again || arm(s, REST_FIRST_USEC << (s->deletions - 1), on_delete_again) < 0)
        deleted(s);
}

static void set_attachment(struct sandbox *s)
{
    s->attachment = (struct cni_attachment){
        .container_id = s->container_id,
        .netns = s->stale ? "" : s->netns,
        .ifname = "eth0",
        .namespace_ = s->namespace_,
        .pod = s->pod,
        .uid = s->uid,
        .capabilities = s->capabilities,
    };
}

static int start_delete(struct sandbox *s)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    set_attachment(s);
    int r = cni_call_start(&s->all->cni, false, s->config, &s->attachment, s->result, on_del, s,
                           &s->call, &err);
    if (r < 0)
        sandbox_event(s, EVENT_WARNING, "FailedKillPodSandBox", "%s", error_message(&err));
    return r;
}

// False where it was over at once: `s` may be gone then.
static bool take_apart(struct sandbox *s, enum sandbox_next next)
{
    stop_watching(s);
    s->state = SANDBOX_DELETING;
    s->next = next;
    s->deletions = 0;
    end_pause(s);
    return s->config && start_delete(s) == 0;
}

static void fail(struct sandbox *s, const char *why)
{
    void *owner = s->owner;
    if (owner)
        s->all->ops->failed(owner, why);
    if (!take_apart(s, SANDBOX_THEN_REST))
        deleted(s);
}

// ---- up ----

static int on_pause_gone(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct sandbox *s = userdata;
    WORKS_FOR(s);
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    s->complete = false;
    if (s->owner)
        s->all->ops->lost(s->owner, "the first process of the pod's PID namespace died");
    return 0;
}

static int watch_pause(struct sandbox *s)
{
    if (s->pause_pid <= 0 || s->pause)
        return 0;
    _cleanup_close_ int pidfd = process_pidfd_if_same(s->pause_pid, s->pause_ticks);
    if (pidfd < 0 || process_exited(pidfd))
        return -ESRCH;
    int r = sd_event_add_io(s->all->options.event, &s->pause, pidfd, EPOLLIN, on_pause_gone, s);
    if (r >= 0)
        r = sd_event_source_set_io_fd_own(s->pause, true);
    if (r >= 0)
        TAKE_FD(pidfd);
    return r;
}

static void be_up(struct sandbox *s)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    s->complete = true;
    if (watch_pause(s) < 0) {
        fail(s, "the first process of the pod's PID namespace died");
        return;
    }
    if (sandbox_save(s, &err) < 0) {
        fail(s, error_message(&err));
        return;
    }
    sandbox_look(s);
    s->state = SANDBOX_UP;
    s->attempts = 0;
    if (s->owner)
        s->all->ops->up(s->owner);
}

static void on_added(void *userdata, int code, const char *message, json_t *result)
{
    struct sandbox *s = userdata;
    WORKS_FOR(s);
    s->call = NULL;
    if (code < 0) {
        fail(s, message);
        return;
    }
    struct cni_result read;
    cni_result_read(result, &read);
    bool empty = read.ips.n == 0;
    cni_result_free(&read);
    s->result = json_incref(result);
    if (empty)
        fail(s, "the CNI plugins gave the pod no address");
    else
        be_up(s);
}

static void add_network(struct sandbox *s)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    const char *problem = NULL;
    const json_t *config = network_watch_config(s->all->network, &problem);
    if (!config) {
        fail(s, problem);
        return;
    }
    s->config = json_deep_copy(config);
    s->state = SANDBOX_ADDING;
    set_attachment(s);
    int code = sandbox_save(s, &err);
    if (code == 0)
        code = cni_call_start(&s->all->cni, true, s->config, &s->attachment, NULL, on_added, s,
                              &s->call, &err);
    if (code < 0)
        fail(s, error_message(&err));
    else if (json_object_get(s->capabilities, "portMappings") &&
             !cni_config_takes(s->config, "portMappings"))
        sandbox_event(s, EVENT_WARNING, "HostPortNotMapped",
                      "no plugin of the CNI configuration has the capability portMappings: the "
                      "pod's hostPort is not reachable");
}

static void on_made(void *userdata, const struct program_end *end)
{
    struct sandbox *s = userdata;
    long long pid = 0;
    unsigned long long ticks = 0;
    WORKS_FOR(s);
    s->maker = NULL;
    if (end->code < 0) {
        _cleanup_free_ char *said = xstrndup(end->output, strcspn(end->output, "\n"));
        fail(s, *said ? said : end->why);
        return;
    }
    if (string_list_contains(&s->words, "pid") &&
        sscanf(end->output, "%lld %llu", &pid, &ticks) != 2) {
        fail(s, "the first process of the PID namespace is not told");
        return;
    }
    s->pause_pid = (pid_t)pid;
    s->pause_ticks = ticks;
    if (s->own_network)
        add_network(s);
    else
        be_up(s);
}

// What CNI plugins keep is filed under this, so each attempt has its own.
static char *new_container_id(const struct sandbox *s)
{
    char hex[DIGEST_HEX_SIZE];
    _cleanup_free_ char *text =
        xasprintf("%s %s %lld", s->uid, s->all->boot_id, (long long)walltime_now().nsec);
    return xstrdup(digest_sha256_hex(text, strlen(text), hex));
}

static void make(struct sandbox *s)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    s->timer = sd_event_source_disable_unref(s->timer);
    s->attempts++;
    s->state = SANDBOX_MAKING;
    free(s->container_id);
    s->container_id = new_container_id(s);
    int code = sandbox_save(s, &err);
    if (code == 0)
        code = sandbox_make(s, on_made, &err);
    if (code < 0)
        fail(s, error_message(&err));
}

void sandboxes_try_again(struct sandboxes *all)
{
    for (size_t i = 0; i < all->list.n; i++)
        if (all->list.items[i]->state == SANDBOX_RESTING)
            arm(all->list.items[i], 1, on_rested);
}

// ---- what the pod workers ask for ----

static void replace(char **member, const char *text)
{
    free(*member);
    *member = xstrdup(text);
}

int sandbox_raise(struct sandboxes *all, const struct pod *pod, const char *hostname, void *owner)
{
    struct sandbox *s = sandbox_find(all, pod->metadata.uid);
    if (!s && !sandbox_is_wanted(all, pod))
        return 1;
    if (!s)
        s = sandbox_new(all, pod->metadata.uid);
    s->owner = owner;
    if (s->state == SANDBOX_UP && !s->stale && watch_pause(s) >= 0)
        return 1;
    bool leftover = s->config || s->state == SANDBOX_UP;
    replace(&s->namespace_, pod->metadata.namespace);
    replace(&s->pod, pod->metadata.name);
    s->own_network = !pod->spec.hostNetwork;
    sandbox_set_words(s, pod, hostname);
    if (!leftover) {
        json_decref(s->capabilities);
        s->capabilities = sandbox_capabilities(pod);
        s->attempts = 0;
        // From the loop, so that `failed` does not come from inside this call.
        s->state = SANDBOX_RESTING;
        arm(s, 0, on_rested);
    } else if (!take_apart(s, SANDBOX_THEN_MAKE)) {
        s->state = SANDBOX_RESTING;
        remove_pins(s);
        arm(s, 0, on_rested);
    }
    return 0;
}

int sandbox_lower(struct sandboxes *all, const char *uid)
{
    struct sandbox *s = sandbox_find(all, uid);
    if (!s)
        return 1;
    s->next = SANDBOX_THEN_DOWN;
    if (s->state == SANDBOX_DELETING)
        return 0;
    if (take_apart(s, SANDBOX_THEN_DOWN))
        return 0;
    s->owner = NULL; // it is told by what is returned
    deleted(s);
    return 1;
}

int sandbox_claim(struct sandboxes *all, const char *uid, void *owner)
{
    struct sandbox *s = sandbox_find(all, uid);
    if (!s)
        return 0;
    s->owner = owner;
    return s->state == SANDBOX_UP && !s->stale && watch_pause(s) >= 0 ? 1 : -ESTALE;
}

void sandbox_release(struct sandboxes *all, const char *uid)
{
    struct sandbox *s = sandbox_find(all, uid);
    if (s)
        s->owner = NULL;
}

const struct sandbox_view *sandbox_view(const struct sandboxes *all, const char *uid)
{
    const struct sandbox *s = sandbox_find(all, uid);
    return s && s->state == SANDBOX_UP ? &s->view : NULL;
}

const char *sandboxes_network_problem(struct sandboxes *all)
{
    const char *problem = NULL;
    if (all->options.unprivileged)
        return "the agent is an ordinary user and cannot give a pod a network of its own: set "
               "hostNetwork: true, or run it as root";
    network_watch_config(all->network, &problem);
    return problem;
}

void sandboxes_tidy(struct sandboxes *all)
{
    for (size_t i = all->list.n; i > 0; i--) {
        struct sandbox *s = all->list.items[i - 1];
        if (!s->owner && s->state != SANDBOX_DELETING)
            sandbox_lower(all, s->uid);
    }
    sandboxes_unpin_strangers(all);
}

// ---- all of them ----

static void split_dirs(const char *text, struct string_list *ret)
{
    for (const char *p = text ? text : ""; *p;) {
        size_t length = strcspn(p, ",");
        if (length > 0)
            string_list_add_owned(ret, xstrndup(p, length));
        p += length + (p[length] == ',');
    }
}

static bool is_mount(const char *path)
{
    struct statx st;
    return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) == 0 &&
           (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

int sandboxes_new(const struct sandbox_options *options, const struct sandbox_ops *ops,
                  void *userdata, struct sandboxes **ret, struct error *err)
{
    struct sandboxes *all = xcalloc(1, sizeof(*all));
    all->options = *options;
    all->ops = ops;
    all->userdata = userdata;
    all->dir = path_join(options->run_dir, "ns");
    all->state_dir = path_join(options->root_dir, "state/sandboxes");
    process_boot_id(all->boot_id);
    split_dirs(options->cni_bin_dirs, &all->bin_dirs);
    all->cni = (struct cni_options){
        .event = options->event,
        .bin_dirs = &all->bin_dirs,
        .timeout_usec = options->timeout_usec,
    };
    all->mounted = is_mount(all->dir);
    int code = fs_mkdir_parents(AT_FDCWD, all->state_dir, 0700);
    if (code < 0)
        error_errno(err, code, "%s", all->state_dir);
    if (code == 0)
        code = network_watch_new(all, err);
    if (code < 0) {
        sandboxes_free(all);
        return code;
    }
    sandboxes_load(all);
    *ret = all;
    return 0;
}

void sandboxes_free(struct sandboxes *all)
{
    if (!all)
        return;
    LIST_EACH (s, &all->list)
        sandbox_free(*s);
    free(all->list.items);
    network_watch_free(all->network);
    string_list_free(&all->bin_dirs);
    free(all->dir);
    free(all->state_dir);
    free(all);
}
