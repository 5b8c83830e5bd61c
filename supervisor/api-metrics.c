// /metrics/resource and /metrics/cadvisor: what node, pods and containers use, under the kubelet's
// names (K/metrics/collectors/resource_metrics.go) and cAdvisor's
// (vendor/github.com/google/cadvisor/metrics/prometheus.go). What is not known is left out.
#include "supervisor/api-metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/string-list.h"

enum unit { UNIT_ONE, UNIT_USEC };
enum about { ABOUT_NODE, ABOUT_POD, ABOUT_CONTAINER };

// A metric whose samples are one number of a struct stats (or stats_node) each.
struct metric {
    const char *name, *type, *help;
    enum about about;
    enum unit unit;
    size_t offset;
    const char *label, *value; // one more label, or NULL
    bool same;                 // as the metric before it, with another value of that label
};

#define NODE(n, t, u, member, h)                                                                   \
    {                                                                                              \
        .name = n, .type = t, .help = h, .about = ABOUT_NODE, .unit = u,                           \
        .offset = offsetof(struct stats_node, member)                                              \
    }
#define POD(n, t, u, member, h)                                                                    \
    {                                                                                              \
        .name = n, .type = t, .help = h, .about = ABOUT_POD, .unit = u,                            \
        .offset = offsetof(struct stats, member)                                                   \
    }
#define CONTAINER(n, t, u, member, h)                                                              \
    {                                                                                              \
        .name = n, .type = t, .help = h, .about = ABOUT_CONTAINER, .unit = u,                      \
        .offset = offsetof(struct stats, member)                                                   \
    }
#define LABELLED(n, t, u, member, l, v, h)                                                         \
    {                                                                                              \
        .name = n, .type = t, .help = h, .about = ABOUT_CONTAINER, .unit = u,                      \
        .offset = offsetof(struct stats, member), .label = l, .value = v                           \
    }
#define AGAIN(n, u, member, l, v)                                                                  \
    {                                                                                              \
        .name = n, .about = ABOUT_CONTAINER, .unit = u, .offset = offsetof(struct stats, member),  \
        .label = l, .value = v, .same = true                                                       \
    }

static const struct metric resource_metrics[] = {
    NODE("node_cpu_usage_seconds_total", "counter", UNIT_USEC, cpu_usec,
         "CPU seconds that the whole node has used."),
    NODE("node_memory_working_set_bytes", "gauge", UNIT_ONE, memory_working_set,
         "The node's memory in use without what is easily given back, in bytes."),
    NODE("node_swap_usage_bytes", "gauge", UNIT_ONE, swap_usage,
         "Swap that the node uses, in bytes."),
    POD("pod_cpu_usage_seconds_total", "counter", UNIT_USEC, cpu_usec,
        "CPU seconds that the pod has used."),
    POD("pod_memory_working_set_bytes", "gauge", UNIT_ONE, memory_working_set,
        "The pod's memory without inactive file pages, in bytes."),
    POD("pod_swap_usage_bytes", "gauge", UNIT_ONE, memory_swap,
        "Swap that the pod uses, in bytes."),
    CONTAINER("container_cpu_usage_seconds_total", "counter", UNIT_USEC, cpu_usec,
              "CPU seconds that the container has used."),
    CONTAINER("container_memory_working_set_bytes", "gauge", UNIT_ONE, memory_working_set,
              "The container's memory without inactive file pages, in bytes."),
    CONTAINER("container_swap_usage_bytes", "gauge", UNIT_ONE, memory_swap,
              "Swap that the container uses, in bytes."),
};

static const struct metric cadvisor_metrics[] = {
    LABELLED("container_cpu_usage_seconds_total", "counter", UNIT_USEC, cpu_usec, "cpu", "total",
             "CPU seconds used."),
    CONTAINER("container_cpu_user_seconds_total", "counter", UNIT_USEC, cpu_user_usec,
              "CPU seconds used in user mode."),
    CONTAINER("container_cpu_system_seconds_total", "counter", UNIT_USEC, cpu_system_usec,
              "CPU seconds used in the kernel."),
    CONTAINER("container_cpu_cfs_periods_total", "counter", UNIT_ONE, cpu_periods,
              "Periods of the CPU quota that are over."),
    CONTAINER("container_cpu_cfs_throttled_periods_total", "counter", UNIT_ONE,
              cpu_throttled_periods, "Periods in which the CPU quota was used up."),
    CONTAINER("container_cpu_cfs_throttled_seconds_total", "counter", UNIT_USEC, cpu_throttled_usec,
              "Seconds that it had to wait for the next period of its quota."),
    CONTAINER("container_memory_usage_bytes", "gauge", UNIT_ONE, memory_usage,
              "Memory in use with all of the page cache, in bytes."),
    CONTAINER("container_memory_working_set_bytes", "gauge", UNIT_ONE, memory_working_set,
              "Memory without inactive file pages, in bytes."),
    CONTAINER("container_memory_rss", "gauge", UNIT_ONE, memory_rss, "Anonymous memory, in bytes."),
    CONTAINER("container_memory_cache", "gauge", UNIT_ONE, memory_cache, "Page cache, in bytes."),
    CONTAINER("container_memory_mapped_file", "gauge", UNIT_ONE, memory_mapped,
              "Mapped files, in bytes."),
    CONTAINER("container_memory_swap", "gauge", UNIT_ONE, memory_swap, "Swap in use, in bytes."),
    CONTAINER("container_memory_failcnt", "counter", UNIT_ONE, memory_failures,
              "How often the memory limit was reached."),
    LABELLED("container_memory_failures_total", "counter", UNIT_ONE, page_faults, "failure_type",
             "pgfault",
             "Page faults: pgfault those without, pgmajfault those with a read from disk."),
    AGAIN("container_memory_failures_total", UNIT_ONE, major_page_faults, "failure_type",
          "pgmajfault"),
    CONTAINER("container_oom_events_total", "counter", UNIT_ONE, oom_kills,
              "Processes that were killed for want of memory."),
    CONTAINER("container_fs_reads_bytes_total", "counter", UNIT_ONE, read_bytes,
              "Bytes read from disks."),
    CONTAINER("container_fs_writes_bytes_total", "counter", UNIT_ONE, written_bytes,
              "Bytes written to disks."),
    CONTAINER("container_fs_reads_total", "counter", UNIT_ONE, reads, "Read operations on disks."),
    CONTAINER("container_fs_writes_total", "counter", UNIT_ONE, writes,
              "Write operations on disks."),
    CONTAINER("container_processes", "gauge", UNIT_ONE, processes, "Processes in the container."),
    CONTAINER("container_threads", "gauge", UNIT_ONE, threads, "Threads in the container."),
    CONTAINER("container_threads_max", "gauge", UNIT_ONE, threads_limit,
              "Threads that the container may have."),
    CONTAINER("container_pressure_cpu_waiting_seconds_total", "counter", UNIT_USEC,
              pressure[STATS_CPU].some.total_usec, "Seconds in which some task waited for CPU."),
    CONTAINER("container_pressure_cpu_stalled_seconds_total", "counter", UNIT_USEC,
              pressure[STATS_CPU].full.total_usec, "Seconds in which every task waited for CPU."),
    CONTAINER("container_pressure_memory_waiting_seconds_total", "counter", UNIT_USEC,
              pressure[STATS_MEMORY].some.total_usec,
              "Seconds in which some task waited for memory."),
    CONTAINER("container_pressure_memory_stalled_seconds_total", "counter", UNIT_USEC,
              pressure[STATS_MEMORY].full.total_usec,
              "Seconds in which every task waited for memory."),
    CONTAINER("container_pressure_io_waiting_seconds_total", "counter", UNIT_USEC,
              pressure[STATS_IO].some.total_usec, "Seconds in which some task waited for I/O."),
    CONTAINER("container_pressure_io_stalled_seconds_total", "counter", UNIT_USEC,
              pressure[STATS_IO].full.total_usec, "Seconds in which every task waited for I/O."),
};

struct exposition {
    struct sampling *sampling;
    const struct metric *metrics;
    size_t n, next;
    bool cadvisor; // its labels, and no time stamps
};

// ---- one sample ----

static void end_line(const struct exposition *e, struct buffer *out, const struct metric *m,
                     int64_t value, walltime at)
{
    if (m->unit == UNIT_USEC)
        metric_seconds(out, value);
    else
        metric_number(out, value);
    if (e->cadvisor)
        return;
    buffer_truncate(out, out->len - 1);
    buffer_printf(out, " %" PRId64 "\n", at.nsec / (NSEC_PER_USEC * USEC_PER_MSEC));
}

static int64_t number_of(const struct metric *m, const void *stats)
{
    return *(const int64_t *)((const char *)stats + m->offset);
}

static void begin_cadvisor(struct buffer *out, const struct metric *m, const struct pod_sample *pod,
                           const struct container_sample *c)
{
    // The last pair is none where the metric has no label of its own.
    metric_begin(out, m->name, "container", c ? c->name : "", "id", c ? c->cgroup : pod->cgroup,
                 "image", c ? c->image : "", "name", c ? c->id : "", "namespace", pod->namespace_,
                 "pod", pod->name, m->label, m->value, NULL);
}

static void add_container(const struct exposition *e, struct buffer *out, const struct metric *m,
                          const struct pod_sample *pod, const struct container_sample *c)
{
    int64_t value = number_of(m, &c->stats);
    if (value < 0)
        return;
    if (e->cadvisor)
        begin_cadvisor(out, m, pod, c);
    else
        metric_begin(out, m->name, "container", c->name, "namespace", pod->namespace_, "pod",
                     pod->name, NULL);
    end_line(e, out, m, value, c->stats.at);
}

static void add_pod(const struct exposition *e, struct buffer *out, const struct metric *m,
                    const struct pod_sample *pod)
{
    int64_t value = number_of(m, &pod->stats);
    if (m->about == ABOUT_POD && value >= 0) {
        metric_begin(out, m->name, "namespace", pod->namespace_, "pod", pod->name, NULL);
        end_line(e, out, m, value, pod->stats.at);
    }
    if (m->about == ABOUT_CONTAINER)
        LIST_EACH (c, &pod->containers)
            add_container(e, out, m, pod, c);
}

static bool is_known_of_any(const struct exposition *e, const struct metric *m)
{
    LIST_EACH (pod, &e->sampling->pods) {
        if (m->about == ABOUT_POD && number_of(m, &pod->stats) >= 0)
            return true;
        LIST_EACH (c, &pod->containers)
            if (m->about == ABOUT_CONTAINER && number_of(m, &c->stats) >= 0)
                return true;
    }
    return false;
}

static void add_metric(const struct exposition *e, struct buffer *out, const struct metric *m)
{
    const struct stats_node *node = &e->sampling->node;
    bool of_node = m->about == ABOUT_NODE;
    if (of_node ? number_of(m, node) < 0 : !is_known_of_any(e, m))
        return;
    if (!m->same)
        metric_heading(out, m->name, m->type, m->help);
    if (of_node) {
        metric_begin(out, m->name, NULL);
        end_line(e, out, m, number_of(m, node), node->at);
        return;
    }
    LIST_EACH (pod, &e->sampling->pods)
        add_pod(e, out, m, pod);
}

// ---- what is not in the tables ----

static void add_starts(const struct exposition *e, struct buffer *out)
{
    static const char name[] = "container_start_time_seconds";
    metric_heading(out, name, "gauge", "When the container was started, in seconds since 1970.");
    LIST_EACH (pod, &e->sampling->pods)
        LIST_EACH (c, &pod->containers) {
            const struct metric m = {.name = name};
            if (e->cadvisor)
                begin_cadvisor(out, &m, pod, c);
            else
                metric_begin(out, name, "container", c->name, "namespace", pod->namespace_, "pod",
                             pod->name, NULL);
            metric_seconds(out, c->started.nsec / NSEC_PER_USEC);
        }
}

static void add_specs(const struct exposition *e, struct buffer *out)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } specs[] = {
        {"container_spec_cpu_shares", "CPU share of the container.",
         offsetof(struct cgroup_numbers, cpu_shares)},
        {"container_spec_cpu_quota", "CPU quota of the container.",
         offsetof(struct cgroup_numbers, cpu_quota)},
        {"container_spec_cpu_period", "CPU period of the container.",
         offsetof(struct cgroup_numbers, cpu_period)},
        {"container_spec_memory_limit_bytes", "The container's memory limit in bytes, 0 for none.",
         offsetof(struct cgroup_numbers, memory_limit)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        const struct metric m = {.name = specs[i].name};
        metric_heading(out, m.name, "gauge", specs[i].help);
        LIST_EACH (pod, &e->sampling->pods)
            LIST_EACH (c, &pod->containers) {
                int64_t n = *(const int64_t *)((const char *)&c->limits + specs[i].offset);
                if (n == 0 && i > 0)
                    continue; // no such limit
                begin_cadvisor(out, &m, pod, c);
                metric_number(out, n);
            }
    }
}

static void add_tail(const struct exposition *e, struct buffer *out)
{
    static const char scrape[] = "1 if there was an error while getting container metrics, 0 "
                                 "otherwise";
    add_starts(e, out);
    if (!e->cadvisor) {
        metric_single(out, "scrape_error", "gauge", scrape, 0);
        metric_single(out, "resource_scrape_error", "gauge", scrape, 0);
        return;
    }
    add_specs(e, out);
    metric_single(out, "machine_cpu_cores", "gauge", "CPUs of the node.", e->sampling->node.cpus);
    metric_single(out, "machine_memory_bytes", "gauge", "Memory of the node, in bytes.",
                  e->sampling->node.memory_total);
}

// ---- the replies ----

static int fill(void *data, struct buffer *out, size_t most)
{
    struct exposition *e = data;
    if (!sampling_step(e->sampling))
        return 1;
    for (; e->next < e->n && out->len < most; e->next++)
        add_metric(e, out, &e->metrics[e->next]);
    if (e->next < e->n)
        return 1;
    add_tail(e, out);
    return -1;
}

static void free_exposition(void *data)
{
    struct exposition *e = data;
    sampling_free(e->sampling);
    free(e);
}

static api_result expose(struct api *api, struct request *r, const struct metric *metrics, size_t n,
                         bool cadvisor)
{
    static const struct stream_ops ops = {.fill = fill, .free = free_exposition};
    api_result result;
    if (api_streams_are_full(api, r, &result))
        return result;
    struct exposition *e = xcalloc(1, sizeof(*e));
    *e = (struct exposition){sampling_new(api, NULL), metrics, n, 0, cadvisor};
    return reply_stream(api, r, METRICS_CONTENT_TYPE, &ops, e, NULL);
}

api_result get_metrics_resource(struct api *api, struct request *r)
{
    return expose(api, r, resource_metrics, ARRAY_SIZE(resource_metrics), false);
}

api_result get_metrics_cadvisor(struct api *api, struct request *r)
{
    return expose(api, r, cadvisor_metrics, ARRAY_SIZE(cadvisor_metrics), true);
}
