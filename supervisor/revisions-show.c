// What others ask of revisions.c. It stands on nothing of the pods.
#include <string.h>

#include "supervisor/json-text.h"
#include "supervisor/revisions-internal.h"

size_t tracked_index(const struct revisions *r, const char *namespace_, const char *name)
{
    size_t low = 0, high = r->tracked.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct tracked *t = &r->tracked.items[middle];
        int order = strcmp(t->namespace_, namespace_);
        order = order ? order : strcmp(t->name, name);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct tracked *tracked_find(const struct revisions *r, const char *namespace_, const char *name)
{
    size_t i = tracked_index(r, namespace_, name);
    struct tracked *t = i < r->tracked.n ? &r->tracked.items[i] : NULL;
    return t && strcmp(t->namespace_, namespace_) == 0 && strcmp(t->name, name) == 0 ? t : NULL;
}

int revisions_look_up(struct revisions *r, const char *namespace_, const char *name,
                      struct history *ret, struct error *err)
{
    revisions_flush(r);
    return history_look_up(r->options.dir, r->options.node_name, namespace_, name, ret, err);
}

// When the monotonic deadline is, on the clock on the wall.
static walltime wall_of(monotime deadline)
{
    int64_t left = (int64_t)deadline.usec - (int64_t)monotime_now().usec;
    return (walltime){walltime_now().nsec + left * NSEC_PER_USEC};
}

json_t *revisions_trial_json(const struct revisions *r, const struct pod_worker *w)
{
    const struct tracked *t =
        r ? tracked_find(r, w->pod->metadata.namespace, w->pod->metadata.name) : NULL;
    if (!t || (!t->on_trial && !t->failed_message))
        return NULL;
    if (t->on_trial && strcmp(t->hash, w->hash) != 0)
        return NULL; // the instance before it
    json_t *o = json_object();
    uint64_t number = t->failed ? t->failed : t->trial.number;
    json_set_text(o, "state", t->on_trial ? "OnTrial" : "Failed");
    json_object_set_new(o, "revision", json_integer((json_int_t)number));
    if (t->on_trial && t->trial.deadline.usec)
        json_set_time(o, "deadline", wall_of(t->trial.deadline));
    if (!t->on_trial)
        json_object_set_new(o, "runsOn", json_boolean(!t->failed));
    json_object_set_new(o, "message", json_text(t->failed_message));
    return o;
}
