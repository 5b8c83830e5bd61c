// /mainstay/v1/status: the agent itself in one object.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "monit/notify.h"
#include "supervisor/api-internal.h"
#include "supervisor/json-text.h"

static void set_number(json_t *o, const char *key, uint64_t n)
{
    json_object_set_new(o, key, json_integer((json_int_t)n));
}

static void set_text_or_null(json_t *o, const char *key, const char *s)
{
    json_object_set_new(o, key, str_empty(s) ? json_null() : json_text(s));
}

static json_t *directories(const struct config *config)
{
    json_t *o = json_object();
    json_object_set_new(o, "manifests", json_text(config->manifest_path));
    json_object_set_new(o, "root", json_text(config->root_dir));
    json_object_set_new(o, "run", json_text(config->run_dir));
    json_object_set_new(o, "podLogs", json_text(config->pod_log_dir));
    return o;
}

static json_t *health_items(const struct health *health)
{
    json_t *list = json_array();
    for (size_t i = 0; i < health_count(health); i++) {
        _cleanup_buffer_ struct buffer why = BUFFER_EMPTY;
        struct health_verdict v = health_part(health, i, &why);
        json_t *o = json_object();
        json_object_set_new(o, "name", json_text(v.name));
        json_object_set_new(o, "ok", json_boolean(v.live));
        json_object_set_new(o, "ready", json_boolean(v.ready));
        json_object_set_new(o, "degraded", json_boolean(v.degraded));
        set_text_or_null(o, "message", buffer_str(&why));
        json_array_append_new(list, o);
    }
    return list;
}

static void count_pods(struct api *api, json_t *counts)
{
    _cleanup_free_ struct pod_worker **workers = NULL;
    size_t n = pods_list(api->agent->pods, &workers);
    size_t ready = 0, held = 0, stopping = 0, containers = 0, back_off = 0;
    size_t pending = 0, running = 0, succeeded = 0, failed = 0;
    uint64_t restarts = 0;
    for (size_t i = 0; i < n; i++) {
        const struct pod_worker *w = workers[i];
        const char *phase = pod_worker_phase(w);
        pending += strcmp(phase, "Pending") == 0;
        running += strcmp(phase, "Running") == 0;
        succeeded += strcmp(phase, "Succeeded") == 0;
        failed += strcmp(phase, "Failed") == 0;
        ready += pod_worker_is_ready(w);
        held += w->held;
        stopping += w->state == POD_STOPPING;
        containers += w->n_containers;
        for (size_t c = 0; c < w->n_containers; c++) {
            back_off += w->containers[c].state == CONTAINER_BACKOFF;
            restarts += w->containers[c].restart_count;
        }
    }
    set_number(counts, "pods", n);
    set_number(counts, "ready", ready);
    set_number(counts, "pending", pending);
    set_number(counts, "running", running);
    set_number(counts, "succeeded", succeeded);
    set_number(counts, "failed", failed);
    set_number(counts, "held", held);
    set_number(counts, "stopping", stopping);
    set_number(counts, "containers", containers);
    set_number(counts, "backOff", back_off);
    set_number(counts, "restarts", restarts);
}

static void count_manifests(struct api *api, json_t *counts)
{
    struct status_context context = api_context_open(api);
    size_t states[3] = {0};
    for (size_t i = 0; i < context.n_manifests; i++)
        states[context.manifests[i].state]++;
    set_number(counts, "manifests", context.n_manifests);
    set_number(counts, "accepted", states[MANIFEST_ACCEPTED]);
    set_number(counts, "refused", states[MANIFEST_REFUSED]);
    set_number(counts, "conflict", states[MANIFEST_CONFLICT]);
    api_context_close(&context);
}

static json_t *counts(struct api *api)
{
    json_t *o = json_object();
    count_pods(api, o);
    count_manifests(api, o);
    set_number(o, "events", event_log_count(api->agent->events));
    set_number(o, "watches", api->streams.n);
    return o;
}

static void add_identity(struct agent *agent, json_t *o)
{
    const struct config *config = agent->config;
    int64_t up = walltime_now().nsec - agent->started_at.nsec;
    json_set_text(o, "version", MAINSTAY_VERSION);
    set_number(o, "pid", (uint64_t)getpid());
    json_object_set_new(o, "node", json_text(config->node_name));
    set_text_or_null(o, "nodeIP", config->node_ip);
    json_object_set_new(o, "startedAt", json_time(agent->started_at));
    set_number(o, "uptimeSeconds", up > 0 ? (uint64_t)(up / NSEC_PER_SEC) : 0);
}

static void add_health(struct agent *agent, json_t *o, monotime now)
{
    json_object_set_new(o, "synced", json_boolean(agent->synced));
    json_object_set_new(o, "live", json_boolean(health_is_live(agent->health)));
    json_object_set_new(o, "ready", json_boolean(health_is_ready(agent->health)));
    json_object_set_new(o, "unhealthy", json_text(health_culprit(agent->health)));
    set_number(o, "adopted", agent->adopted);
}

static void add_places(struct agent *agent, json_t *o)
{
    const struct config *config = agent->config;
    _cleanup_free_ char *healthz =
        config->healthz_port > 0
            ? xasprintf("%s:%d", config->healthz_bind_address, config->healthz_port)
            : NULL;
    json_object_set_new(o, "directories", directories(config));
    json_object_set_new(o, "manifestsPresent",
                        json_boolean(access(config->manifest_path, F_OK) == 0));
    json_object_set_new(o, "socket", json_text(config->socket_path));
    set_text_or_null(o, "pidFile", config->pid_file);
    json_object_set_new(o, "healthz", json_text(healthz));
    json_t *configuration = json_object();
    set_text_or_null(configuration, "file", config->config_file);
    set_text_or_null(configuration, "refused", agent->refused);
    json_object_set_new(o, "configuration", configuration);
}

static json_t *limitations(const struct agent *agent)
{
    json_t *list = json_array();
    for (size_t i = 0; i < agent->limitations.n; i++)
        json_array_append_new(list, json_text(agent->limitations.items[i]));
    return list;
}

api_result get_status(struct api *api, struct request *r)
{
    struct agent *agent = api->agent;
    monotime now = monotime_now();
    json_t *o = json_object();
    add_identity(agent, o);
    add_health(agent, o, now);
    add_places(agent, o);
    json_object_set_new(o, "watchers", api_watchers(api));
    json_object_set_new(o, "health", health_items(agent->health));
    json_object_set_new(o, "cgroups",
                        json_text(agent->cgroups ? cgroup_tree_describe(agent->cgroups) : "none"));
    json_object_set_new(o, "limitations", limitations(agent));
    json_object_set_new(o, "counts", counts(api));
    set_number(o, "lastEvent", event_log_newest(agent->events));
    return reply_json(r, MHD_HTTP_OK, o);
}
