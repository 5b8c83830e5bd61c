// /metrics: the agent itself, its pods, manifests and events; and /metrics/probes. Under the
// kubelet's names where it has the same (K/metrics/metrics.go, K/prober/prober_manager.go), else
// under mainstay_.
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/string-list.h"
#include "supervisor/api-metrics.h"

enum { STAT_MAX = 4096 };

// ---- this process (github.com/prometheus/client_golang's process collector) ----

static int64_t count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int64_t n = 0;
    if (!dir)
        return STATS_UNKNOWN;
    for (struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n - 1; // the one that reads the directory
}

static void add_process(struct api *api, struct buffer *out)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    struct stats_process process;
    struct rlimit files;
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        metric_heading(out, "process_cpu_seconds_total", "counter",
                       "CPU seconds that the agent has used.");
        metric_begin(out, "process_cpu_seconds_total", NULL);
        metric_seconds(out, (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * USEC_PER_SEC +
                                usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    }
    if (fs_read_file(AT_FDCWD, "/proc/self/stat", STAT_MAX, &text) == 0 &&
        stats_parse_process(buffer_str(&text), &process))
        metric_single(out, "process_resident_memory_bytes", "gauge",
                      "The agent's resident memory, in bytes.",
                      process.resident_pages * sysconf(_SC_PAGESIZE));
    metric_single(out, "process_open_fds", "gauge", "Descriptors that the agent has open.",
                  count_descriptors());
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
        metric_single(out, "process_max_fds", "gauge", "Descriptors that the agent may have open.",
                      (int64_t)files.rlim_cur);
    metric_heading(out, "process_start_time_seconds", "gauge",
                   "When the agent was started, in seconds since 1970.");
    metric_begin(out, "process_start_time_seconds", NULL);
    metric_seconds(out, api->agent->started_at.nsec / NSEC_PER_USEC);
}

// ---- pods ----

struct tally {
    int64_t running_pods, ready_pods, back_off;
    int64_t phases[4];
    int64_t containers[3];
};

static const char *const phases[] = {"Pending", "Running", "Succeeded", "Failed"};
// K/metrics/metrics.go: the states of running_containers.
static const char *const container_states[] = {"created", "running", "exited"};

static void count_pod(struct tally *t, const struct pod_worker *w)
{
    t->running_pods += pod_worker_is_alive(w);
    t->ready_pods += pod_worker_is_ready(w);
    for (size_t i = 0; i < ARRAY_SIZE(phases); i++)
        t->phases[i] += strcmp(pod_worker_phase(w), phases[i]) == 0;
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container_worker *c = &w->containers[i];
        t->back_off += c->state == CONTAINER_BACKOFF;
        t->containers[0] += c->state == CONTAINER_STARTING;
        t->containers[1] += c->pid != 0;
        t->containers[2] += c->pid == 0 && c->last.reason != NULL;
    }
}

static void add_labelled(struct buffer *out, const char *name, const char *label,
                         const char *const *values, const int64_t *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        metric_begin(out, name, label, values[i], NULL);
        metric_number(out, numbers[i]);
    }
}

static void add_pods(struct buffer *out, struct pod_worker **workers, size_t n)
{
    struct tally t = {0};
    for (size_t i = 0; i < n; i++)
        count_pod(&t, workers[i]);
    metric_single(out, "kubelet_running_pods", "gauge", "Number of pods that have a process.",
                  t.running_pods);
    metric_heading(out, "kubelet_running_containers", "gauge", "Number of containers by state.");
    add_labelled(out, "kubelet_running_containers", "container_state", container_states,
                 t.containers, ARRAY_SIZE(container_states));
    metric_heading(out, "mainstay_pods", "gauge", "Number of pods by phase.");
    add_labelled(out, "mainstay_pods", "phase", phases, t.phases, ARRAY_SIZE(phases));
    metric_single(out, "mainstay_pods_ready", "gauge", "Number of pods that are ready.",
                  t.ready_pods);
    metric_single(out, "mainstay_containers_in_back_off", "gauge",
                  "Number of containers that wait before their next start.", t.back_off);
}

static void add_restarts(struct buffer *out, struct pod_worker **workers, size_t n)
{
    static const char name[] = "mainstay_container_restarts_total";
    metric_heading(out, name, "counter", "How often a container was started again.");
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < workers[i]->n_containers; j++) {
            const struct object_meta *pod = &workers[i]->pod->metadata;
            const struct container_worker *c = &workers[i]->containers[j];
            metric_begin(out, name, "container", c->spec->name, "namespace", pod->namespace, "pod",
                         pod->name, "pod_uid", pod->uid, NULL);
            metric_number(out, (int64_t)c->restart_count);
        }
}

// ---- manifests and events ----

static void add_manifests(struct api *api, struct buffer *out)
{
    static const char *const states[] = {[MANIFEST_ACCEPTED] = "accepted",
                                         [MANIFEST_REFUSED] = "refused",
                                         [MANIFEST_CONFLICT] = "conflict"};
    int64_t numbers[ARRAY_SIZE(states)] = {0};
    struct status_context context = api_context_open(api);
    for (size_t i = 0; i < context.n_manifests; i++)
        numbers[context.manifests[i].state]++;
    api_context_close(&context);
    metric_heading(out, "mainstay_manifests", "gauge", "Number of manifests by state.");
    add_labelled(out, "mainstay_manifests", "state", states, numbers, ARRAY_SIZE(states));
}

static void add_event_count(void *userdata, const char *reason, enum event_type type, uint64_t n)
{
    struct buffer *out = userdata;
    metric_begin(out, "mainstay_events_total", "reason", reason, "type",
                 type == EVENT_WARNING ? "Warning" : "Normal", NULL);
    metric_number(out, (int64_t)n);
}

static void add_agent(struct api *api, struct buffer *out)
{
    struct agent *agent = api->agent;
    metric_heading(out, "mainstay_build_info", "gauge", "The agent's version; always 1.");
    metric_begin(out, "mainstay_build_info", "version", MAINSTAY_VERSION, NULL);
    metric_number(out, 1);
    metric_heading(out, "kubelet_node_name", "gauge", "The node's name; always 1.");
    metric_begin(out, "kubelet_node_name", "node", agent->config->node_name, NULL);
    metric_number(out, 1);
    metric_single(out, "mainstay_ready", "gauge", "1 where every part of the agent is ready.",
                  health_is_ready(agent->health));
    metric_heading(out, "mainstay_events_total", "counter",
                   "Events since the agent started, repetitions included.");
    event_log_each_count(agent->events, add_event_count, out);
}

api_result get_metrics(struct api *api, struct request *r)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    _cleanup_free_ struct pod_worker **workers = NULL;
    size_t n = pods_list(api->agent->pods, &workers);
    add_process(api, &out);
    add_agent(api, &out);
    add_pods(&out, workers, n);
    add_restarts(&out, workers, n);
    add_manifests(api, &out);
    return reply_typed(r, MHD_HTTP_OK, METRICS_CONTENT_TYPE, &out);
}

// ---- probes ----

static void add_probes(struct buffer *out, const struct container_worker *c)
{
    static const char *const results[PROBE_COUNTED] = {
        [PROBE_COUNTED_SUCCESS] = "successful", [PROBE_COUNTED_FAILURE] = "failed"};
    const struct object_meta *pod = &c->pod->pod->metadata;
    for (enum probe_kind kind = 0; kind < PROBE_KINDS; kind++)
        for (size_t i = 0; container_probe(c->spec, kind) && i < PROBE_COUNTED; i++) {
            metric_begin(out, "prober_probe_total", "container", c->spec->name, "namespace",
                         pod->namespace, "pod", pod->name, "pod_uid", pod->uid, "probe_type",
                         probe_kind_name(kind), "result", results[i], NULL);
            metric_number(out, (int64_t)c->probe_counts[kind][i]);
        }
}

api_result get_metrics_probes(struct api *api, struct request *r)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    _cleanup_free_ struct pod_worker **workers = NULL;
    size_t n = pods_list(api->agent->pods, &workers);
    metric_heading(&out, "prober_probe_total", "counter",
                   "How often a probe was asked, by kind and result.");
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < workers[i]->n_containers; j++)
            add_probes(&out, &workers[i]->containers[j]);
    return reply_typed(r, MHD_HTTP_OK, METRICS_CONTENT_TYPE, &out);
}
