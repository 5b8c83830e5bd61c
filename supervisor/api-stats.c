// /stats/summary: what node, pods and containers use, in the kubelet's schema
// (k8s.io/kubelet/pkg/apis/stats/v1alpha1), with "io" and "psi" as later releases have them.
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/string-list.h"
#include "supervisor/api-samples.h"
#include "supervisor/json-text.h"

enum { LOG_FILES_MOST = 64, BLOCK = 512 };

struct summary {
    struct sampling *sampling;
    bool brief; // only_cpu_and_memory
    bool begun;
    size_t next;
};

// ---- pieces ----

static void set_known(json_t *o, const char *key, int64_t n)
{
    if (n >= 0)
        json_object_set_new(o, key, json_integer(n));
}

static void set_nsec(json_t *o, const char *key, int64_t usec)
{
    if (usec >= 0 && usec <= INT64_MAX / NSEC_PER_USEC)
        set_known(o, key, usec * NSEC_PER_USEC);
}

static json_t *pressure_line(const struct stats_pressure_line *line)
{
    json_t *o = json_object();
    set_nsec(o, "total", line->total_usec);
    json_object_set_new(o, "avg10", json_real(line->avg10 / 100.0));
    json_object_set_new(o, "avg60", json_real(line->avg60 / 100.0));
    json_object_set_new(o, "avg300", json_real(line->avg300 / 100.0));
    return o;
}

static void set_pressure(json_t *o, const struct stats_pressure *pressure)
{
    json_t *psi = json_object();
    if (pressure->full.total_usec >= 0)
        json_object_set_new(psi, "full", pressure_line(&pressure->full));
    if (pressure->some.total_usec >= 0)
        json_object_set_new(psi, "some", pressure_line(&pressure->some));
    if (json_object_size(psi) > 0)
        json_object_set(o, "psi", psi);
    json_decref(psi);
}

// With what was filled in beside the time; without it the object is left out.
static void set_timed(json_t *to, const char *key, json_t *o, walltime at)
{
    if (json_object_size(o) > 0) {
        json_object_set_new(o, "time", json_time(at));
        json_object_set(to, key, o);
    }
    json_decref(o);
}

static void set_cpu(json_t *to, const struct stats *s)
{
    json_t *cpu = json_object();
    set_known(cpu, "usageNanoCores", s->cpu_rate);
    set_nsec(cpu, "usageCoreNanoSeconds", s->cpu_usec);
    set_pressure(cpu, &s->pressure[STATS_CPU]);
    set_timed(to, "cpu", cpu, s->at);
}

static void set_memory(json_t *to, const struct stats *s)
{
    json_t *memory = json_object(), *swap = json_object();
    if (s->memory_limit >= 0 && s->memory_working_set >= 0)
        set_known(memory, "availableBytes",
                  MAX(s->memory_limit - s->memory_working_set, (int64_t)0));
    set_known(memory, "usageBytes", s->memory_usage);
    set_known(memory, "workingSetBytes", s->memory_working_set);
    set_known(memory, "rssBytes", s->memory_rss);
    set_known(memory, "pageFaults", s->page_faults);
    set_known(memory, "majorPageFaults", s->major_page_faults);
    set_pressure(memory, &s->pressure[STATS_MEMORY]);
    if (s->memory_of_processes)
        json_object_set_new(memory, "source", json_string("processes"));
    set_timed(to, "memory", memory, s->at);
    set_known(swap, "swapUsageBytes", s->memory_swap);
    set_timed(to, "swap", swap, s->at);
}

static void set_io(json_t *to, const struct stats *s)
{
    json_t *io = json_object();
    set_known(io, "readBytes", s->read_bytes);
    set_known(io, "writeBytes", s->written_bytes);
    set_known(io, "reads", s->reads);
    set_known(io, "writes", s->writes);
    set_pressure(io, &s->pressure[STATS_IO]);
    set_timed(to, "io", io, s->at);
}

static void set_processes(json_t *to, const struct stats *s)
{
    json_t *o = json_object();
    set_known(o, "process_count", s->processes);
    set_known(o, "thread_count", s->threads);
    set_known(o, "thread_limit", s->threads_limit);
    if (json_object_size(o) > 0)
        json_object_set(to, "process_stats", o);
    json_decref(o);
}

static void set_fs(json_t *to, const char *key, const struct stats_fs *fs, int64_t used,
                   int64_t inodes_used, walltime at)
{
    json_t *o = json_object();
    set_known(o, "availableBytes", fs->available);
    set_known(o, "capacityBytes", fs->capacity);
    set_known(o, "usedBytes", used);
    set_known(o, "inodesFree", fs->inodes_free);
    set_known(o, "inodes", fs->inodes);
    set_known(o, "inodesUsed", inodes_used);
    set_timed(to, key, o, at);
}

// What a container's log files take, which are a handful in one directory.
static void set_logs(json_t *to, const struct container_sample *c)
{
    DIR *dir = opendir(c->log_dir);
    struct stats_fs fs;
    int64_t used = 0, n = 0;
    if (!dir)
        return;
    for (struct dirent *entry; n < LOG_FILES_MOST && (entry = readdir(dir));) {
        struct stat st;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode))
            continue;
        used += (int64_t)st.st_blocks * BLOCK;
        n++;
    }
    closedir(dir);
    stats_read_fs(c->log_dir, &fs);
    set_fs(to, "logs", &fs, used, n, c->stats.at);
}

// ---- node, pods ----

static json_t *node_json(const struct summary *s)
{
    const struct config *config = s->sampling->api->agent->config;
    const struct stats_node *node = &s->sampling->node;
    walltime booted = {node->booted_sec > 0 ? node->booted_sec * NSEC_PER_SEC : 0};
    json_t *o = json_object(), *cpu = json_object(), *memory = json_object(), *io = json_object(),
           *limits = json_object();
    json_object_set_new(o, "nodeName", json_text(config->node_name));
    json_set_time(o, "startTime", booted);
    set_nsec(cpu, "usageCoreNanoSeconds", node->cpu_usec);
    set_pressure(cpu, &node->pressure[STATS_CPU]);
    set_timed(o, "cpu", cpu, node->at);
    set_known(memory, "availableBytes", node->memory_available);
    set_known(memory, "usageBytes", node->memory_usage);
    set_known(memory, "workingSetBytes", node->memory_working_set);
    set_known(memory, "rssBytes", node->memory_rss);
    set_known(memory, "pageFaults", node->page_faults);
    set_known(memory, "majorPageFaults", node->major_page_faults);
    set_pressure(memory, &node->pressure[STATS_MEMORY]);
    set_timed(o, "memory", memory, node->at);
    set_pressure(io, &node->pressure[STATS_IO]);
    set_timed(o, "io", io, node->at);
    set_known(limits, "maxpid", node->processes_limit);
    set_known(limits, "curproc", node->processes);
    set_timed(o, "rlimit", limits, node->at);
    if (!s->brief) {
        struct stats_fs fs;
        stats_read_fs(config->root_dir, &fs);
        set_fs(o, "fs", &fs, fs.used, fs.inodes < 0 ? STATS_UNKNOWN : fs.inodes - fs.inodes_free,
               node->at);
    }
    return o;
}

static json_t *container_json(const struct summary *s, const struct container_sample *c)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", json_text(c->name));
    json_object_set_new(o, "startTime", json_time(c->started));
    set_cpu(o, &c->stats);
    set_memory(o, &c->stats);
    if (s->brief)
        return o;
    set_io(o, &c->stats);
    set_processes(o, &c->stats);
    set_logs(o, c);
    return o;
}

static json_t *pod_json(const struct summary *s, const struct pod_sample *pod)
{
    json_t *o = json_object(), *ref = json_object(), *containers = json_array();
    json_object_set_new(ref, "name", json_text(pod->name));
    json_object_set_new(ref, "namespace", json_text(pod->namespace_));
    json_object_set_new(ref, "uid", json_text(pod->uid));
    json_object_set_new(o, "podRef", ref);
    json_object_set_new(o, "startTime", json_time(pod->started));
    LIST_EACH (c, &pod->containers)
        json_array_append_new(containers, container_json(s, c));
    json_object_set_new(o, "containers", containers);
    set_cpu(o, &pod->stats);
    set_memory(o, &pod->stats);
    if (!s->brief) {
        set_io(o, &pod->stats);
        set_processes(o, &pod->stats);
    }
    return o;
}

// ---- the reply ----

static void add_json(struct buffer *out, json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6));
    buffer_add_str(out, text ? text : "null");
    free(text);
    json_decref(o);
}

static int fill_summary(void *data, struct buffer *out, size_t most)
{
    struct summary *s = data;
    const struct sampling *sampling = s->sampling;
    if (!sampling_step(s->sampling))
        return 1;
    if (!s->begun) {
        s->begun = true;
        buffer_add_str(out, "{\"node\":");
        add_json(out, node_json(s));
        buffer_add_str(out, ",\"pods\":[");
    }
    for (; s->next < sampling->pods.n && out->len < most; s->next++) {
        buffer_add_str(out, s->next > 0 ? "," : "");
        add_json(out, pod_json(s, &sampling->pods.items[s->next]));
    }
    if (s->next < sampling->pods.n)
        return 1;
    buffer_add_str(out, "]}\n");
    return -1;
}

static void free_summary(void *data)
{
    struct summary *s = data;
    sampling_free(s->sampling);
    free(s);
}

api_result get_stats_summary(struct api *api, struct request *r)
{
    static const struct stream_ops ops = {.fill = fill_summary, .free = free_summary};
    const char *name = request_parameter(r, "pod"), *ns = request_parameter(r, "namespace");
    struct pod_worker *one = NULL;
    bool brief = false;
    api_result result;
    if (!request_flag(r, "only_cpu_and_memory", &brief, &result))
        return result;
    if (name) {
        _cleanup_error_ struct error err = ERROR_NONE;
        if (pods_find(api->agent->pods, ns, name, &one, &err) < 0)
            return reply_status(r, MHD_HTTP_NOT_FOUND, "%s", error_message(&err));
    }
    if (api_streams_are_full(api, r, &result))
        return result;
    struct summary *s = xcalloc(1, sizeof(*s));
    s->sampling = sampling_new(api, one);
    s->brief = brief;
    return reply_stream(api, r, "application/json", &ops, s, NULL);
}
