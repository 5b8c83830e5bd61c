// See api-samples.h. Pods may come and go between two turns: they are kept by UID.
#include "supervisor/api-samples.h"

#include <inttypes.h>
#include <string.h>

#include "base/fs.h"
#include "supervisor/container-spec.h"
#include "supervisor/runtime.h"

enum { CONTAINERS_A_STEP = 8 }; // some 0.25 ms each

struct sampling *sampling_new(struct api *api, const struct pod_worker *one)
{
    struct sampling *s = xcalloc(1, sizeof(*s));
    _cleanup_free_ struct pod_worker **workers = NULL;
    size_t n = pods_list(api->agent->pods, &workers);
    s->api = api;
    for (size_t i = n; i > 0; i--)
        if (!one || workers[i - 1] == one)
            string_list_add(&s->uids, workers[i - 1]->pod->metadata.uid);
    stats_read_node(&s->node);
    return s;
}

static void container_clear(struct container_sample *c)
{
    free(c->name);
    free(c->image);
    free(c->id);
    free(c->cgroup);
    free(c->log_dir);
}

void sampling_free(struct sampling *s)
{
    if (!s)
        return;
    LIST_EACH (pod, &s->pods) {
        LIST_EACH (c, &pod->containers)
            container_clear(c);
        free(pod->containers.items);
        free(pod->namespace_);
        free(pod->name);
        free(pod->uid);
        free(pod->cgroup);
    }
    free(s->pods.items);
    string_list_free(&s->uids);
    free(s);
}

// The path that follows what belongs to the host and to this agent's place on it.
static char *shown_cgroup(const char *dir)
{
    const char *tail = dir ? strstr(dir, "/kubepods") : NULL;
    return xstrdup(tail ? tail : "");
}

static void add_container(struct sampling *s, struct pod_sample *pod, struct container_worker *w)
{
    const struct config *config = s->api->agent->config;
    struct container_spec_options options = {.log_dir = config->pod_log_dir};
    struct stats stats;
    if (!runtime_run_stats(w, &stats))
        return;
    struct container_sample *c = LIST_APPEND(&pod->containers);
    _cleanup_free_ char *log =
        container_spec_log_path(&options, w->pod->pod, w->spec->name, w->restart_count);
    c->name = xstrdup(w->spec->name);
    c->image = xstrdup(w->spec->image ? w->spec->image : "");
    c->id = xasprintf("%s_%s_%" PRIu64, w->pod->pod->metadata.uid, w->spec->name, w->restart_count);
    c->cgroup = shown_cgroup(runtime_run_cgroup(w));
    c->log_dir = xstrndup(log, (size_t)(path_base(log) - log));
    c->started = w->started_at;
    c->limits = cgroup_numbers_of_container(w->spec, &config->limits);
    c->stats = stats;
}

// The pod's own cgroup knows CPU and pressure best, for it remembers containers that are gone; the
// rest is what its containers use together.
static void sum_up(struct pod_sample *pod, const struct pod_worker *w)
{
    struct stats own;
    stats_init(&pod->stats);
    LIST_EACH (c, &pod->containers)
        stats_add_all(&pod->stats, &c->stats);
    if (!runtime_pod_stats(w, &own))
        return;
    if (own.cpu_usec >= 0) {
        pod->stats.cpu_usec = own.cpu_usec;
        pod->stats.cpu_user_usec = own.cpu_user_usec;
        pod->stats.cpu_system_usec = own.cpu_system_usec;
    }
    memcpy(pod->stats.pressure, own.pressure, sizeof(own.pressure));
}

static size_t add_pod(struct sampling *s, struct pod_worker *w)
{
    struct pod_sample *pod = LIST_APPEND(&s->pods);
    const struct object_meta *meta = &w->pod->metadata;
    pod->namespace_ = xstrdup(meta->namespace);
    pod->name = xstrdup(meta->name);
    pod->uid = xstrdup(meta->uid);
    pod->started = w->started_at;
    for (size_t i = 0; i < w->n_containers; i++)
        add_container(s, pod, &w->containers[i]);
    sum_up(pod, w);
    pod->cgroup = xstrdup("");
    if (pod->containers.n > 0) {
        const char *leaf = pod->containers.items[0].cgroup, *slash = strrchr(leaf, '/');
        free(pod->cgroup);
        pod->cgroup = xstrndup(leaf, slash ? (size_t)(slash - leaf) : 0);
    }
    return w->n_containers;
}

bool sampling_step(struct sampling *s)
{
    _cleanup_free_ struct pod_worker **workers = NULL;
    if (s->uids.n == 0)
        return true;
    size_t n = pods_list(s->api->agent->pods, &workers), at = 0;
    for (size_t asked = 0; s->uids.n > 0 && asked < CONTAINERS_A_STEP;) {
        _cleanup_free_ char *uid = s->uids.items[--s->uids.n];
        // Both are in the order of the list; a pod that has come or gone costs one more round.
        size_t i = 0;
        while (i < n && !str_equal(workers[(at + i) % n]->pod->metadata.uid, uid))
            i++;
        if (i == n)
            continue;
        at = (at + i) % n;
        asked += MAX(add_pod(s, workers[at]), (size_t)1);
    }
    return s->uids.n == 0;
}
