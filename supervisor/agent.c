// See agent.h: makes the parts in order, connects them, and takes them apart again. Nothing that
// happens to the agent happens to the pods.
#include "supervisor/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/rest.h"
#include "supervisor/api.h"
#include "supervisor/device-filter.h"
#include "supervisor/inherited.h"
#include "supervisor/pressure.h"
#include "supervisor/renewals.h"
#include "supervisor/shutdown.h"

enum {
    SETTLE_USEC = 100000,
    MAP_SIZE_MAX = 4096,
    REST_USEC = 1000 * 1000, // after its start
};

// It need not be there, nor stay: a shim finds it when it comes.
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

// ---- what the source tells ----

static void on_pod_set(void *userdata, struct pod *pod, const char *file)
{
    struct agent *agent = userdata;
    revisions_set(agent->revisions, pod, file);
}

static void on_pod_removed(void *userdata, const char *namespace_, const char *name,
                           const char *uid, const char *file)
{
    struct agent *agent = userdata;
    revisions_removed(agent->revisions, namespace_, name, uid);
}

static void on_file_changed(void *userdata, const struct manifest_status *status)
{
    struct agent *agent = userdata;
    struct event_object about = {.file = status->file};
    if (status->n_pods) {
        about.namespace_ = status->pods[0]->metadata.namespace;
        about.pod = status->pods[0]->metadata.name;
        about.uid = status->pods[0]->metadata.uid;
    }
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < status->diags->n; i++) {
        buffer_truncate(&text, 0);
        diag_format(&status->diags->items[i], &text);
        bool error = status->diags->items[i].severity == DIAG_ERROR;
        event_add(agent->events, about, EVENT_WARNING,
                  error ? "ManifestRefused" : "ManifestWarning", "%s%s", buffer_str(&text),
                  error && status->has_last_good ? " (the last good version keeps running)" : "");
    }
    if (status->diags->dropped)
        event_add(agent->events, about, EVENT_WARNING, "ManifestRefused",
                  "%s: %zu more findings; see `mainstay validate`", status->file,
                  status->diags->dropped);
    if (status->state == MANIFEST_CONFLICT)
        event_add(agent->events, about, EVENT_WARNING, "ManifestConflict",
                  "%s claims a pod that %s provides: that one keeps running; remove one of the two",
                  status->file, status->conflict_with);
    if (status->state == MANIFEST_ACCEPTED)
        event_add(agent->events, about, EVENT_NORMAL, "ManifestAccepted", "%s is in force (%zu %s)",
                  status->file, status->n_pods, status->n_pods == 1 ? "pod" : "pods");
    api_manifest_changed(agent->api, status->file);
    agent_status_changed(agent);
}

static void on_file_removed(void *userdata, const char *file)
{
    struct agent *agent = userdata;
    event_add(agent->events, (struct event_object){.file = file}, EVENT_NORMAL, "ManifestRemoved",
              "%s was removed", file);
    api_manifest_changed(agent->api, file);
    agent_status_changed(agent);
}

static void on_synced(void *userdata, bool present)
{
    struct agent *agent = userdata;
    if (present) {
        pods_synced(agent->pods);
        changes_synced(agent->changes);
    } else {
        event_add(agent->events, (struct event_object){.file = agent->config->manifest_path},
                  EVENT_WARNING, "NoManifestDirectory",
                  "%s does not exist: what runs keeps running, and it is read as soon as it is "
                  "there (mkdir -p %s)",
                  agent->config->manifest_path, agent->config->manifest_path);
    }
    if (!agent->synced)
        agent_reload_synced(agent);
    agent->synced = true;
    agent_health_synced(agent);
    agent_status_tell(agent);
    notify_ready(agent->notify);
}

static void on_progress(void *userdata)
{
    agent_progress(userdata);
}

static const struct manifest_source_ops source_ops = {
    .progress = on_progress,
    .pod_set = on_pod_set,
    .pod_removed = on_pod_removed,
    .file_changed = on_file_changed,
    .file_removed = on_file_removed,
    .synced = on_synced,
};

// ---- what the pods tell ----

static void on_pod_changed(void *userdata, const struct pod_worker *w, bool deleted)
{
    struct agent *agent = userdata;
    if (agent->api)
        api_pod_changed(agent->api, w, deleted);
    if (agent->revisions && !deleted)
        revisions_pod_changed(agent->revisions, w);
    if (agent->changes)
        changes_pod_changed(agent->changes, w, deleted);
    agent_status_changed(agent);
}

static void on_trial_changed(void *userdata, const struct pod_worker *w)
{
    struct agent *agent = userdata;
    if (agent->api)
        api_pod_changed(agent->api, w, false);
    agent_status_changed(agent);
}

static int good_manifest(void *userdata, const char *file, struct buffer *out)
{
    const struct agent *agent = userdata;
    return manifest_source_good_content(agent->source, file, out);
}

static void on_all_stopped(void *userdata)
{
    struct agent *agent = userdata;
    if (agent->stop_pods)
        sd_event_exit(agent->loop, 0);
    else
        shutdown_pods_stopped(agent->shutdown);
}

static void on_shutdown(void *userdata)
{
    struct agent *agent = userdata;
    pods_stop_for_shutdown(agent->pods);
}

static void on_shutdown_cancelled(void *userdata)
{
    struct agent *agent = userdata;
    pods_shutdown_cancelled(agent->pods);
}

static void make_pressure(struct agent *agent)
{
    struct pressure_options options = {
        .event = agent->loop,
        .program = agent->config->shim_path,
        .events = agent->events,
        .pods = agent->pods,
        .root_dir = agent->config->root_dir,
        .log_dir = agent->config->pod_log_dir,
        .run_dir = agent->config->run_dir,
        .limits = disk_limits_of(agent->config->disk_limits),
    };
    agent->pressure = pressure_new(&options);
}

static void make_renewals(struct agent *agent)
{
    struct renewals_options options = {
        .event = agent->loop,
        .events = agent->events,
        .program = agent->config->command_path,
        .dir = agent->config->renew_certificates,
        .manifests = agent->config->manifest_path,
    };
    if (!str_empty(options.dir))
        agent->renewals = renewals_new(&options);
}

// As under the kubelet, only where a time is configured for it.
static void make_shutdown(struct agent *agent)
{
    struct shutdown_options options = {
        .event = agent->loop,
        .events = agent->events,
        .budget_usec = agent->config->shutdown_usec,
        .begins = on_shutdown,
        .cancelled = on_shutdown_cancelled,
        .userdata = agent,
    };
    if (agent->config->shutdown_usec > 0)
        agent->shutdown = shutdown_new(&options);
}

void agent_stop_all(struct agent *agent, bool exit_after)
{
    if (!exit_after) {
        pods_stop_all(agent->pods);
        return;
    }
    agent->stop_pods = true;
    notify_stopping(agent->notify);
    pods_stop_for_exit(agent->pods);
    agent_extend_timeouts(agent);
    agent_status_changed(agent);
}

// ---- directories ----

static int make_directory(const char *path, mode_t mode, struct error *err)
{
    int r = fs_mkdir_parents(AT_FDCWD, path, mode);
    return r < 0 ? error_errno(err, r, "%s cannot be made", path) : 0;
}

static int lock_run_dir(struct agent *agent, struct error *err)
{
    _cleanup_free_ char *path = path_join(agent->config->run_dir, "lock");
    agent->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (agent->lock_fd < 0)
        return error_errno(err, errno, "%s", path);
    if (lock_take(agent->lock_fd) < 0)
        return error_set(err, EBUSY,
                         "another agent runs with %s (it holds %s): stop it, or give this one its "
                         "own --run-dir and --root-dir",
                         agent->config->run_dir, path);
    return 0;
}

static int make_directories(struct agent *agent, struct error *err)
{
    const struct config *config = agent->config;
    agent->state_dir = path_join(config->root_dir, "state/pods");
    agent->shims_dir = path_join(config->run_dir, "shims");
    agent->history_dir = path_join(config->root_dir, "state/history");
    agent->changes_dir = path_join(config->root_dir, "state/changes");
    int r = make_directory(config->run_dir, 0711, err);
    if (r >= 0)
        r = lock_run_dir(agent, err);
    if (r >= 0)
        r = make_directory(config->root_dir, 0711, err);
    if (r >= 0)
        r = make_directory(agent->state_dir, 0700, err);
    if (r >= 0)
        r = make_directory(agent->shims_dir, 0700, err);
    if (r >= 0)
        r = make_directory(config->pod_log_dir, 0755, err);
    return r;
}

// ---- parts ----

static void add_limitation(struct agent *agent, const char *sentence)
{
    string_list_add(&agent->limitations, sentence);
    event_add(agent->events, (struct event_object){0}, EVENT_WARNING, "HostLimitation", "%s",
              sentence);
}

// Elsewhere nobody can make a device that opens.
static bool in_first_user_namespace(void)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    unsigned inside = 1, outside = 1, count = 0;
    return fs_read_file(AT_FDCWD, "/proc/self/uid_map", MAP_SIZE_MAX, &text) == 0 &&
           sscanf(buffer_str(&text), "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 &&
           outside == 0 && count == UINT32_MAX;
}

static void confine_devices(struct agent *agent)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (agent->unprivileged || !in_first_user_namespace())
        return;
    int r = cgroup_tree_has_v2(agent->cgroups) ? device_filter_new(&agent->devices, &err)
                                               : error_set(&err, ENOTSUP, "no cgroup v2");
    if (r >= 0)
        return;
    _cleanup_free_ char *sentence =
        xasprintf("a container with CAP_MKNOD can open every device: %s", error_message(&err));
    add_limitation(agent, sentence);
}

static int make_cgroups(struct agent *agent, struct error *err)
{
    int r = cgroup_tree_open(agent->config->cgroup_name, &agent->cgroups, err);
    if (r < 0)
        return r;
    cgroup_tree_set_policy(agent->cgroups, &agent->config->limits);
    if (!cgroup_tree_can_kill(agent->cgroups))
        add_limitation(agent, "no writable cgroup: limits are not enforced, and a process that "
                              "leaves its container's PID namespace is not found (run as root, or "
                              "delegate a cgroup to this user)");
    if (agent->unprivileged)
        add_limitation(agent,
                       "the agent is an ordinary user: containers run as that user in a "
                       "user namespace; other users, privileged and low ports cannot be had");
    confine_devices(agent);
    return 0;
}

static int make_pods(struct agent *agent, struct error *err)
{
    const struct config *config = agent->config;
    struct pods_options options = {
        .guard_program = agent->config->command_path,
        .guard_patience_usec = agent->config->quorum_guard_usec,
        .runtime =
            {
                .event = agent->loop,
                .containers =
                    {
                        .root_dir = config->root_dir,
                        .run_dir = config->run_dir,
                        .log_dir = config->pod_log_dir,
                        .container_links_dir = str_equal(config->pod_log_dir, "/var/log/pods")
                                                   ? "/var/log/containers"
                                                   : NULL,
                        .node_name = config->node_name,
                        .node_ip = str_empty(config->node_ip) ? NULL : config->node_ip,
                        .dns = {.cluster_dns = config->cluster_dns,
                                .cluster_domain = config->cluster_domain,
                                .resolv_conf = config->resolv_conf,
                                .node_ip = str_empty(config->node_ip) ? NULL : config->node_ip},
                        .journal_socket = JOURNAL_SOCKET,
                        .cgroups = agent->cgroups,
                        .devices = agent->devices,
                        .unprivileged = agent->unprivileged,
                        .seccomp_root = config->seccomp_root,
                        .seccomp_default = config->seccomp_default,
                        .log_max_bytes = config->log_max_bytes,
                        .log_max_files = config->log_max_files,
                    },
                .shims = {.event = agent->loop,
                          .shims_dir = agent->shims_dir,
                          .shim_path = config->shim_path},
                .state_dir = agent->state_dir,
                .cni_conf_dir = config->cni_conf_dir,
                .cni_bin_dirs = config->cni_bin_dir,
                .cni_timeout_usec = config->cni_timeout_usec,
                .events = agent->events,
                .volume_stats_usec = (uint64_t)config->volume_stats_usec,
            },
        .curve = config->backoff,
        .allowed_unsafe_sysctls = config->allowed_unsafe_sysctls,
        .budget = {config->shutdown_usec, config->shutdown_critical_usec},
        .changed = on_pod_changed,
        .progress = on_progress,
        .all_stopped = on_all_stopped,
        .userdata = agent,
    };
    int r = pods_new(&options, &agent->pods, err);
    if (r >= 0)
        r = pods_restore(agent->pods, &agent->adopted, err);
    return r;
}

// What is told how the pods change.
static int make_followers(struct agent *agent, struct error *err)
{
    const struct revisions_options options = {
        .event = agent->loop,
        .dir = agent->history_dir,
        .node_name = agent->config->node_name,
        .events = agent->events,
        .pods = agent->pods,
        .manifest = good_manifest,
        .changed = on_trial_changed,
        .userdata = agent,
    };
    const struct changes_options changes = {
        .event = agent->loop,
        .dir = agent->changes_dir,
        .events = agent->events,
        .pods = agent->pods,
    };
    int r = revisions_new(&options, &agent->revisions, err);
    return r < 0 ? r : changes_new(&changes, &agent->changes, err);
}

static int make_source(struct agent *agent, struct error *err)
{
    _cleanup_free_ char *last_good = path_join(agent->config->root_dir, "state/manifests");
    struct manifest_source_options options = {
        .directory = agent->config->manifest_path,
        .state_dir = last_good,
        .node_name = agent->config->node_name,
        .rescan_usec = agent->config->file_check_usec,
        .settle_usec = SETTLE_USEC,
        .url = agent->config->manifest_url,
        .url_headers = agent->config->manifest_url_headers,
        .url_poll_usec = agent->config->http_check_usec,
    };
    return manifest_source_new(agent->loop, &options, &source_ops, agent, &agent->source, err);
}

static void make_events(struct agent *agent)
{
    _cleanup_free_ char *path = path_join(agent->config->root_dir, "state/events");
    agent->events = event_log_open(path, agent->config->node_name);
    LIST_EACH (note, &agent->config->notes)
        event_add(agent->events, (struct event_object){0}, EVENT_NORMAL, "ConfigurationNote", "%s",
                  *note);
}

// Half of what is mapped, the libraries' above all, is needed for the start only.
static int on_rest(sd_event_source *source, uint64_t usec, void *userdata)
{
    process_rest(true);
    return 0;
}

static int agent_make(struct agent *agent, struct error *err)
{
    int r = agent_make_loop(agent, err);
    if (r >= 0)
        inherited_watch(agent->loop);
    if (r >= 0)
        r = agent_hang_start(agent, err);
    if (r >= 0)
        r = make_directories(agent, err);
    if (r < 0)
        return r;
    agent_pidfile_write(agent);
    make_events(agent);
    agent_reload_receive(agent);
    r = make_cgroups(agent, err);
    if (r >= 0)
        r = agent_health_start(agent, err);
    if (r >= 0) {
        agent_extend_timeouts(agent);
        r = make_pods(agent, err);
    }
    if (r >= 0)
        r = make_followers(agent, err);
    if (r >= 0)
        r = api_start(agent, &agent->api, err);
    if (r >= 0)
        r = make_source(agent, err);
    if (r >= 0) {
        make_pressure(agent);
        make_renewals(agent);
        make_shutdown(agent);
        (void)sd_event_add_time_relative(agent->loop, NULL, CLOCK_MONOTONIC, REST_USEC,
                                         REST_USEC / 4, on_rest, agent);
    }
    return r;
}

static void agent_clear(struct agent *agent)
{
    if (agent->pods)
        pods_flush(agent->pods);
    api_free(agent->api); // answers to the end, with all that the others know
    agent->api = NULL;
    manifest_source_free(agent->source);
    shutdown_free(agent->shutdown);
    renewals_free(agent->renewals);
    agent->renewals = NULL;
    pressure_free(agent->pressure);
    agent->pressure = NULL;
    revisions_free(agent->revisions);
    agent->revisions = NULL;
    changes_free(agent->changes);
    agent->changes = NULL;
    pods_free(agent->pods);
    sd_event_source_disable_unref(agent->status_timer);
    sd_event_source_disable_unref(agent->timeout_timer);
    agent_health_end(agent);
    if (agent->cgroups)
        cgroup_tree_remove(agent->cgroups); // what is empty; containers that run keep theirs
    cgroup_tree_free(agent->cgroups);
    device_filter_free(agent->devices);
    event_log_free(agent->events);
    sd_event_unref(agent->loop);
    string_list_free(&agent->limitations);
    free(agent->state_dir);
    free(agent->shims_dir);
    free(agent->history_dir);
    free(agent->changes_dir);
    free(agent->refused);
    free(agent->reloaded);
    if (agent->lock_fd >= 0 && !agent->reexec)
        agent_pidfile_remove(agent);
    if (agent->lock_fd >= 0)
        close(agent->lock_fd);
    hang_free(agent->hang);
}

// Returns only where that fails. What the loop blocks stays blocked over it: a signal that comes on
// the way is not lost, and does not kill.
static int execute_anew(const struct agent *agent, struct error *err)
{
    handover_pass(agent->handover);
    execvp(agent->argv[0], agent->argv);
    agent_pidfile_remove(agent);
    return error_errno(err, errno, "%s cannot be executed anew", agent->argv[0]);
}

int agent_run(const struct config *config, char *const *argv, struct handover *handover,
              bool *ret_started, struct error *err)
{
    struct agent agent = {.config = config,
                          .argv = argv,
                          .handover = handover,
                          .started_at = walltime_now(),
                          .lock_fd = -1,
                          .unprivileged = geteuid() != 0};
    int r = agent_make(&agent, err);
    *ret_started = r >= 0;
    if (r >= 0) {
        log_info("mainstayd " MAINSTAY_VERSION
                 " on node %s watches %s (%llu containers adopted; cgroups: %s)",
                 config->node_name, config->manifest_path, (unsigned long long)agent.adopted,
                 cgroup_tree_describe(agent.cgroups));
        r = agent_loop(&agent);
        if (r < 0)
            error_errno(err, r, "event loop");
    }
    agent_clear(&agent);
    if (r >= 0 && agent.reexec)
        return execute_anew(&agent, err);
    return r < 0 ? r : 0;
}
