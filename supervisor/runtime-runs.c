// The runs of an earlier agent: every shim that is there is connected to at start and waits until
// the worker of its pod claims it. What nobody claims belongs to a pod whose records are lost: it
// tells enough about itself to be stopped in order.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "supervisor/runtime-internal.h"

static void find_run(struct runtime *rt, const char *id)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct run *run = run_new(rt);
    if (shim_link_adopt(&rt->options.shims, id, &run_link_ops, run, &run->link, &run->spec, &err) <
        0) {
        event_add(rt->options.events, (struct event_object){0}, EVENT_WARNING, "ShimNotAdopted",
                  "shim %s: %s", id, error_message(&err));
        run_free(run);
        return;
    }
    shim_spec_drop_filter(&run->spec);
    run->oom_kills = cgroup_oom_kills(&run->spec.cgroup_dirs);
    run->refused = cgroup_forks_refused(&run->spec.cgroup_dirs);
    *LIST_APPEND(&rt->unclaimed) = run;
}

int runtime_find_runs(struct runtime *rt, struct error *err)
{
    _cleanup_string_list_ struct string_list ids = {0};
    int r = shim_link_list(rt->options.shims.shims_dir, &ids, err);
    if (r < 0)
        return r;
    LIST_EACH (id, &ids)
        find_run(rt, *id);
    return 0;
}

static bool is_newest(const struct runtime *rt, const struct run *run)
{
    LIST_EACH (item, &rt->unclaimed) {
        const struct shim_spec *other = &(*item)->spec;
        if (str_equal(other->pod_uid, run->spec.pod_uid) &&
            str_equal(other->container, run->spec.container) &&
            other->restart_count > run->spec.restart_count)
            return false;
    }
    return true;
}

static void claim_newest(struct run *run, struct container_worker *c, monotime now)
{
    bool recorded = pod_worker_has_recorded(c, run->spec.restart_count);
    if (recorded && c->state != CONTAINER_PROVING) {
        run_set_done(run);
        return;
    }
    run->role = RUN_CURRENT;
    c->run = run;
    pod_worker_adopt(c, run->spec.restart_count, now);
    const struct shim_state *state = shim_link_state(run->link);
    if (c->run == run && !run->over && state->phase == SHIM_PHASE_RUNNING)
        run_is_running(run, state, now);
    else if (c->run == run && run->over && !recorded)
        run_link_ops.over(run, run->link, run->exit_known ? state : NULL);
}

static void claim_older(struct run *run, struct container_worker *c)
{
    if (pod_worker_has_recorded(c, run->spec.restart_count)) {
        run_set_done(run);
        return;
    }
    run->role = RUN_MISSED;
    if (run->over)
        run_link_ops.over(run, run->link, run->exit_known ? shim_link_state(run->link) : NULL);
}

static void doom(struct runtime *rt, struct run *run)
{
    event_add(rt->options.events,
              (struct event_object){.namespace_ = run->spec.pod_namespace,
                                    .pod = run->spec.pod_name,
                                    .uid = run->spec.pod_uid,
                                    .container = run->spec.container},
              EVENT_WARNING, "UnknownContainer",
              "container %s runs but is not in the pod's spec: it is killed", run->spec.container);
    run->role = RUN_DOOMED;
    shim_link_kill(run->link);
    if (run->over)
        run_link_ops.over(run, run->link, NULL);
}

void runtime_doom(struct runtime *rt, const char *uid)
{
    run_list doomed = {0};
    LIST_EACH (run, &rt->unclaimed)
        if ((*run)->role == RUN_UNCLAIMED && str_equal((*run)->spec.pod_uid, uid))
            *LIST_APPEND(&doomed) = *run;
    LIST_EACH (run, &doomed)
        doom(rt, *run);
    free(doomed.items);
}

static int by_restart_count(const void *a, const void *b)
{
    const struct run *x = *(struct run *const *)a, *y = *(struct run *const *)b;
    return (x->spec.restart_count > y->spec.restart_count) -
           (x->spec.restart_count < y->spec.restart_count);
}

size_t runtime_claim(struct runtime *rt, struct pod_worker *w, monotime now)
{
    run_list mine = {0};
    size_t living = 0;
    LIST_EACH (run, &rt->unclaimed)
        if ((*run)->role == RUN_UNCLAIMED && str_equal((*run)->spec.pod_uid, w->pod->metadata.uid))
            *LIST_APPEND(&mine) = *run;
    if (mine.n)
        qsort(mine.items, mine.n, sizeof(mine.items[0]), by_restart_count);
    if (mine.n)
        pod_worker_adopt_begin(w);
    // The saved state is read already; older runs first, so that history stays in order.
    for (size_t i = 0; i < mine.n; i++) {
        struct run *run = mine.items[i];
        struct container_worker *c = pod_worker_container(w, run->spec.container);
        if (!c) {
            doom(rt, run);
            continue;
        }
        bool newest = is_newest(rt, run);
        run_list_remove(&rt->unclaimed, run);
        run->c = c;
        living += newest && !run->over && shim_link_state(run->link)->pid != 0;
        if (newest)
            claim_newest(run, c, now);
        else
            claim_older(run, c);
    }
    if (mine.n)
        pod_worker_adopt_end(w, now);
    free(mine.items);
    if (living > 0)
        volumes_limits_add(rt->limits, w);
    return living;
}

const struct shim_spec *runtime_unclaimed(const struct runtime *rt, const char *namespace_,
                                          const char *name, const char *uid)
{
    LIST_EACH (item, &rt->unclaimed) {
        const struct run *run = *item;
        if (run->role != RUN_UNCLAIMED || (uid && str_equal(run->spec.pod_uid, uid)))
            continue;
        if (!name ||
            (str_equal(run->spec.pod_name, name) && str_equal(run->spec.pod_namespace, namespace_)))
            return &run->spec;
    }
    return NULL;
}

static bool has_container(const struct pod *pod, const char *name)
{
    LIST_EACH (c, &pod->spec.containers)
        if (str_equal(c->name, name))
            return true;
    return false;
}

struct pod *runtime_pod_of_runs(const struct runtime *rt, const char *uid)
{
    struct pod *pod = xcalloc(1, sizeof(*pod));
    pod->spec.hostNetwork = true;
    pod->spec.restartPolicy = xstrdup("Never");
    LIST_EACH (item, &rt->unclaimed) {
        const struct shim_spec *spec = &(*item)->spec;
        if (!str_equal(spec->pod_uid, uid) || has_container(pod, spec->container))
            continue;
        if (!pod->metadata.uid) {
            pod->metadata.uid = xstrdup(uid);
            pod->metadata.name = xstrdup(spec->pod_name);
            pod->metadata.namespace = xstrdup(spec->pod_namespace);
        }
        struct container *c = LIST_APPEND(&pod->spec.containers);
        c->name = xstrdup(spec->container);
        string_list_copy(&c->command, &spec->argv);
    }
    return pod;
}
