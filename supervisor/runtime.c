// See runtime.h: the operations that the pod workers ask for, and the notes of the shims.
#include "supervisor/runtime.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/process.h"
#include "base/work.h"
#include "supervisor/pod-worker-internal.h"
#include "supervisor/runtime-internal.h"
#include "supervisor/seccomp.h"
#include "supervisor/shim-spare.h"
#include "supervisor/state.h"
#include "supervisor/termination-files.h"
#include "supervisor/termination.h"
#include "supervisor/volumes.h"

// ---- runs ----

struct run *run_new(struct runtime *rt)
{
    struct run *run = xcalloc(1, sizeof(*run));
    run->rt = rt;
    return run;
}

void run_stop_watching(struct run *run)
{
    if (run->empty_watch)
        cgroup_watch_free(TAKE_PTR(run->empty_watch));
    run->exit_watch = sd_event_source_disable_unref(run->exit_watch);
}

void run_free(struct run *run)
{
    if (!run)
        return;
    run_cancel_hook(run);
    probes_free(run->probes);
    cgroup_alarm_free(run->alarm);
    run_stop_watching(run);
    shim_link_free(run->link);
    shim_spec_free(&run->spec);
    free(run);
}

void run_list_remove(run_list *list, const struct run *run)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i] == run) {
            memmove(&list->items[i], &list->items[i + 1],
                    (list->n - i - 1) * sizeof(list->items[0]));
            list->n--;
            return;
        }
}

void run_set_done(struct run *run)
{
    run->role = RUN_DONE;
    *LIST_APPEND(&keep_of(run->c->pod)->done) = run;
    runtime_mark_dirty(run->rt, run->c->pod);
}

// ---- what the shims report ----

static void on_changed(void *userdata, struct shim_link *link, const struct shim_state *state)
{
    struct run *run = userdata;
    WORK_SCOPE("pods", "pod", run->spec.pod_namespace, run->spec.pod_name);
    if (run->role == RUN_CURRENT && state->phase == SHIM_PHASE_RUNNING)
        run_is_running(run, state, monotime_now());
}

// What the container wrote into its terminationMessagePath, or the end of its log under
// FallbackToLogsOnError. NULL where there is nothing.
static char *termination_message(const struct run *run, const struct shim_state *state)
{
    const struct container *spec = run->c->spec;
    bool failed = state->signaled || state->exit_code != 0;
    char *message = run->spec.termination_file ? termination_of_file(run->spec.termination_file)
                    : state->termination       ? termination_of_text(state->termination)
                                               : NULL;
    if (!message && failed && run->spec.log_path &&
        str_equal(spec->terminationMessagePolicy, "FallbackToLogsOnError"))
        message = termination_of_log(run->spec.log_path);
    return message;
}

// The end of a run as the worker is to record it: the shim's warnings make way for the termination
// message.
static void deliver_exit(struct run *run, const struct shim_state *state)
{
    struct container_worker *c = run->c;
    if (!state) {
        pod_worker_container_over(c, NULL, monotime_now());
        return;
    }
    struct shim_state exit = *state;
    _cleanup_free_ char *message = NULL;
    if (state->phase == SHIM_PHASE_EXITED) {
        bool killed = state->signaled && state->exit_code == SIGKILL;
        exit.oom_killed |= killed && cgroup_oom_kills(&run->spec.cgroup_dirs) > run->oom_kills;
        if (run->role == RUN_CURRENT)
            pod_worker_container_warned(c, state->message);
        message = termination_message(run, state);
        exit.message = message;
    }
    if (run->role == RUN_MISSED)
        pod_worker_record_missed(c, run->spec.restart_count, &exit);
    else
        pod_worker_container_over(c, &exit, monotime_now());
}

static void on_over(void *userdata, struct shim_link *link, const struct shim_state *state)
{
    struct run *run = userdata;
    WORK_SCOPE("pods", "pod", run->spec.pod_namespace, run->spec.pod_name);
    run->over = true;
    cgroup_alarm_free(TAKE_PTR(run->alarm));
    run->exit_known = state != NULL;
    switch (run->role) {
    case RUN_UNCLAIMED:
        break;
    case RUN_CURRENT:
        if (!pod_worker_has_recorded(run->c, run->spec.restart_count))
            deliver_exit(run, state);
        break;
    case RUN_MISSED:
        if (state)
            deliver_exit(run, state);
        else
            pod_worker_record_missed(run->c, run->spec.restart_count, NULL);
        run_set_done(run);
        break;
    case RUN_DONE:
        runtime_mark_dirty(run->rt, run->c->pod);
        break;
    case RUN_DOOMED:
        cgroup_kill(&run->spec.cgroup_dirs);
        shim_link_forget(run->link);
        run_list_remove(&run->rt->unclaimed, run);
        run_free(run);
        break;
    }
}

const struct shim_link_ops run_link_ops = {.changed = on_changed, .over = on_over};

// ---- start ----

// A run starts in an empty cgroup only: what is in it otherwise was left by something that the
// records do not know, and is killed first.
static int check_nothing_left(const struct shim_spec *spec, struct error *err)
{
    pid_t pids[1] = {0};
    if (!spec->cgroup_dirs.n || cgroup_populated(&spec->cgroup_dirs) <= 0)
        return 0;
    size_t n = cgroup_pids(&spec->cgroup_dirs, pids, 1);
    cgroup_kill(&spec->cgroup_dirs);
    return error_set(err, EBUSY, "its cgroup still has processes (pid %d): they were killed",
                     n ? (int)pids[0] : 0);
}

static void tell_notes(struct container_worker *c, const struct string_list *notes)
{
    LIST_EACH (note, notes)
        pod_worker_event(c->pod, c, EVENT_NORMAL, "Prepared", "%s", *note);
}

static void tell_unenforced(struct container_worker *c, const struct string_list *unenforced)
{
    LIST_EACH (limit, unenforced)
        pod_worker_event(c->pod, c, EVENT_WARNING, "LimitNotEnforced", "%s", *limit);
}

static int op_start(void *runtime, struct container_worker *c, const char **ret_reason,
                    struct error *err)
{
    struct runtime *rt = runtime;
    _cleanup_string_list_ struct string_list notes = {0};
    struct run *run = run_new(rt);
    struct container_spec_options options = rt->options.containers;
    options.sandbox = sandbox_view(rt->sandboxes, c->pod->pod->metadata.uid);
    options.hidden_mount = sandboxes_mounted(rt->sandboxes);
    int r = container_spec_build(&options, c->pod->pod, c->spec, c->init, c->restart_count,
                                 &run->spec, &notes, ret_reason, err);
    if (r >= 0) {
        tell_notes(c, &notes);
        tell_unenforced(c, &run->spec.unenforced);
        *ret_reason = "CreateContainerError";
        r = check_nothing_left(&run->spec, err);
    }
    if (r >= 0)
        r = shim_link_start(&rt->options.shims, &run->spec, &run_link_ops, run, &run->link, err);
    if (r < 0) {
        run_free(run);
        return r;
    }
    shim_spec_drop_filter(&run->spec);
    run->role = RUN_CURRENT;
    run->c = c;
    volumes_limits_add(rt->limits, c->pod);
    run->oom_kills = cgroup_oom_kills(&run->spec.cgroup_dirs);
    run->refused = cgroup_forks_refused(&run->spec.cgroup_dirs);
    c->run = run;
    container_spec_tidy_logs(&rt->options.containers, c->pod->pod, c->spec->name, c->restart_count);
    return 0;
}

// ---- stop ----

static void op_signal(void *runtime, struct container_worker *c)
{
    struct run *run = c->run;
    if (!run || run->over)
        return;
    int number = run->spec.stop_signal ? (int)run->spec.stop_signal : SIGTERM;
    int r = shim_link_signal(run->link, number);
    if (r < 0 && r != -ESRCH) // it has just ended by itself: its exit is on the way
        pod_worker_event(c->pod, c, EVENT_WARNING, "SignalFailed",
                         "the shim of container %s does not take signals (%s): it is killed when "
                         "its grace period ends",
                         c->spec->name, strerror(-r));
}

static void op_kill(void *runtime, struct container_worker *c, bool shim_too)
{
    struct run *run = c->run;
    if (!run)
        return;
    cgroup_kill(&run->spec.cgroup_dirs);
    if (run->over)
        return;
    shim_link_kill(run->link);
    if (shim_too)
        shim_link_kill_shim(run->link);
}

// ---- probes ----

static void op_probe(void *runtime, struct container_worker *c, bool on)
{
    struct runtime *rt = runtime;
    struct run *run = c->run;
    if (!run)
        return;
    probes_free(TAKE_PTR(run->probes));
    if (on)
        run->probes = probes_new(rt->prober, c, run->link);
}

static void op_probe_on(void *runtime, struct container_worker *c, enum probe_kind kind)
{
    const struct run *run = c->run;
    if (run && run->probes)
        probes_go_on(run->probes, kind, monotime_now());
}

// ---- proof that nothing is left ----

static void on_empty(void *userdata)
{
    struct run *run = userdata;
    WORK_SCOPE("pods", "pod", run->spec.pod_namespace, run->spec.pod_name);
    pod_worker_container_proven(run->c, monotime_now());
}

static void op_prove(void *runtime, struct container_worker *c);

static int on_first_process_gone(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct run *run = userdata;
    WORK_SCOPE("pods", "pod", run->spec.pod_namespace, run->spec.pod_name);
    op_prove(run->rt, run->c);
    return 0;
}

// A shim that recorded an exit has reaped the container's first process, and with it its PID
// namespace. After a shim's death that process, which dies with it unless it asked not to, and
// which may be in another cgroup by now, is killed and awaited.
static bool first_process_is_gone(struct run *run)
{
    const struct shim_state *state = shim_link_state(run->link);
    if (run->exit_known || state->pid == 0)
        return true;
    _cleanup_close_ int pidfd = process_pidfd_if_same(state->pid, state->start_ticks);
    if (pidfd < 0 || process_exited(pidfd))
        return true;
    process_signal(pidfd, SIGKILL);
    int r = sd_event_add_io(run->rt->options.event, &run->exit_watch, pidfd, EPOLLIN,
                            on_first_process_gone, run);
    if (r >= 0)
        r = sd_event_source_set_io_fd_own(run->exit_watch, true);
    if (r >= 0)
        TAKE_FD(pidfd);
    return false;
}

static void op_prove(void *runtime, struct container_worker *c)
{
    struct runtime *rt = runtime;
    struct run *run = c->run;
    _cleanup_error_ struct error err = ERROR_NONE;
    run_stop_watching(run);
    bool empty = !run->spec.cgroup_dirs.n || cgroup_populated(&run->spec.cgroup_dirs) == 0;
    if (!empty)
        cgroup_kill(&run->spec.cgroup_dirs);
    if (!first_process_is_gone(run))
        return;
    if (empty) {
        pod_worker_container_proven(c, monotime_now());
        return;
    }
    // Where it cannot be watched, the deadline of this state kills and looks again.
    if (cgroup_watch_empty(rt->options.event, &run->spec.cgroup_dirs, on_empty, run,
                           &run->empty_watch, &err) < 0)
        pod_worker_event(c->pod, c, EVENT_WARNING, "CgroupNotWatched", "%s", error_message(&err));
}

static void op_forget(void *runtime, struct container_worker *c)
{
    struct run *run = c->run;
    c->run = NULL;
    run_cancel_hook(run);
    probes_free(TAKE_PTR(run->probes));
    run_stop_watching(run);
    run_set_done(run);
}

// ---- the pod's end ----

static void remove_message(const struct runtime *rt, struct pod_worker *w, const char *path)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (termination_file_remove(rt->options.containers.root_dir, path, &err) < 0)
        pod_worker_event(w, NULL, EVENT_WARNING, "FailedCleanup", "%s", error_message(&err));
}

static void forget_all(const struct runtime *rt, struct pod_worker *w)
{
    struct keep *keep = keep_of(w);
    LIST_EACH (run, &keep->done) {
        if ((*run)->over)
            shim_link_forget((*run)->link);
        remove_message(rt, w, (*run)->spec.termination_file);
        run_free(*run);
    }
    keep->done.n = 0;
}

static void op_bury(void *runtime, struct pod_worker *w)
{
    struct runtime *rt = runtime;
    _cleanup_error_ struct error err = ERROR_NONE;
    const struct container_spec_options *containers = &rt->options.containers;
    struct volumes_options volumes = runtime_volumes(rt);
    forget_all(rt, w);
    volumes_limits_remove(rt->limits, w);
    if (volumes_remove(&volumes, w->pod->metadata.uid, &err) < 0)
        pod_worker_event(w, NULL, EVENT_WARNING, "FailedCleanup", "%s", error_message(&err));
    volumes_sweeper_kick(rt->sweeper);
    error_clear(&err);
    if (container_spec_remove_older_logs(containers, w->pod, &err) < 0)
        pod_worker_event(w, NULL, EVENT_WARNING, "FailedCleanup", "%s", error_message(&err));
    if (containers->cgroups) {
        int r = cgroup_remove_pod(containers->cgroups, w->pod);
        if (r < 0)
            pod_worker_event(w, NULL, EVENT_WARNING, "FailedCleanup", "cgroup: %s", strerror(-r));
    }
    state_remove(rt->options.state_dir, w->pod->metadata.uid);
}

// ---- time, saving, the owner ----

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct pod_worker *w = userdata;
    WORK_SCOPE("pods", "pod", w->pod->metadata.namespace, w->pod->metadata.name);
    pod_worker_tick(w, monotime_now());
    return 0;
}

static void op_arm(void *runtime, struct pod_worker *w, monotime deadline)
{
    struct runtime *rt = runtime;
    struct keep *keep = keep_of(w);
    if (monotime_is_never(deadline)) {
        if (keep->timer)
            sd_event_source_set_enabled(keep->timer, SD_EVENT_OFF);
        return;
    }
    int r = 0;
    if (work_is_silenced("pods"))
        return;
    if (!keep->timer)
        r = sd_event_add_time(rt->options.event, &keep->timer, CLOCK_BOOTTIME, deadline.usec, 1000,
                              on_timer, w);
    else
        r = sd_event_source_set_time(keep->timer, deadline.usec);
    if (r >= 0)
        r = sd_event_source_set_enabled(keep->timer, SD_EVENT_ONESHOT);
    if (r < 0)
        pod_worker_event(w, NULL, EVENT_WARNING, "TimerFailed", "%s", strerror(-r));
}

static void op_save(void *runtime, struct pod_worker *w)
{
    struct runtime *rt = runtime;
    if (w->state != POD_GONE)
        runtime_mark_dirty(rt, w);
    runtime_count_tier(rt, w, false);
    rt->ops->changed(rt->userdata, w);
}

static void op_gone(void *runtime, struct pod_worker *w)
{
    struct runtime *rt = runtime;
    rt->ops->gone(rt->userdata, w);
}

const struct pod_runtime_ops runtime_ops = {
    .start = op_start,
    .signal = op_signal,
    .kill = op_kill,
    .hook = runtime_hook,
    .cancel_hook = runtime_cancel_hook,
    .probe = op_probe,
    .probe_on = op_probe_on,
    .prove = op_prove,
    .forget = op_forget,
    .prepare = runtime_prepare,
    .dismantle = runtime_dismantle,
    .reclaim = runtime_reclaim,
    .bury = op_bury,
    .save = op_save,
    .arm = op_arm,
    .gone = op_gone,
};

int runtime_new(const struct runtime_options *options, const struct runtime_owner_ops *ops,
                void *userdata, struct runtime **ret, struct error *err)
{
    struct runtime *rt = xcalloc(1, sizeof(*rt));
    rt->options = *options;
    rt->ops = ops;
    rt->userdata = userdata;
    rt->options.containers.seccomp = seccomp_cache_new();
    rt->options.shims.spare = shim_spare_new(options->event, options->shims.shim_path);
    rt->prober = prober_new(options->event, options->containers.node_ip);
    struct volumes_options volumes = runtime_volumes(rt);
    rt->sweeper =
        volumes_sweeper_new(options->event, options->shims.shim_path, &volumes, options->events);
    rt->limits = volumes_limits_new(options->event, options->shims.shim_path, &volumes,
                                    options->volume_stats_usec);
    int r = runtime_keep_init(rt, err);
    if (r >= 0)
        r = runtime_sandboxes_init(rt, err);
    if (r < 0) {
        runtime_free(rt);
        return r;
    }
    *ret = rt;
    return 0;
}

void runtime_free(struct runtime *rt)
{
    if (!rt)
        return;
    LIST_EACH (run, &rt->unclaimed)
        run_free(*run);
    free(rt->unclaimed.items);
    runtime_keep_free(rt);
    sandboxes_free(rt->sandboxes);
    prober_free(rt->prober);
    seccomp_cache_free(rt->options.containers.seccomp);
    shim_spare_free(rt->options.shims.spare);
    volumes_sweeper_free(rt->sweeper);
    volumes_limits_free(rt->limits);
    free(rt);
}

const char *runtime_run_id(const struct container_worker *c)
{
    const struct run *run = c->run;
    return run && !run->over ? run->spec.id : NULL;
}

const char *runtime_run_cgroup(const struct container_worker *c)
{
    const struct run *run = c->run;
    return run && run->spec.cgroup_dirs.n ? run->spec.cgroup_dirs.items[0] : NULL;
}

const struct shim_spec *runtime_run_spec(const struct container_worker *c)
{
    const struct run *run = c->run;
    return run ? &run->spec : NULL;
}

uint64_t runtime_overdue_probe(const struct container_worker *c, monotime now)
{
    const struct run *run = c->run;
    return run && run->probes ? probes_overdue(run->probes, now) : 0;
}

struct shim_link *runtime_run_link(const struct container_worker *c)
{
    const struct run *run = c->run;
    return run && !run->over ? run->link : NULL;
}
