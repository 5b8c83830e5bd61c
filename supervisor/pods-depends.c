// mainstay.dev/depends-on: what a pod waits for before it starts, why that is not there yet, and
// who is told when it is.
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "podspec/annotations.h"
#include "supervisor/pods-internal.h"
#include "supervisor/qos.h"

enum { DEPENDENCIES_TOLD = 3 }; // of those that are not ready; further ones are counted

// ---- the graph ----

static void read_names(const struct pod *pod, struct string_list *ret)
{
    _cleanup_pod_annotations_ struct pod_annotations annotations = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    string_list_free(ret);
    *ret = (struct string_list){0};
    if (pod_annotations_parse(pod, &annotations, &err) < 0)
        return; // a pod from state that an earlier release accepted
    *ret = annotations.depends_on;
    annotations.depends_on = (struct string_list){0};
}

void depends_read(struct slot *slot)
{
    struct pods *pods = slot->pods;
    pods->n_depending -= slot->depends_on.n > 0;
    read_names(slot->worker->pod, &slot->depends_on);
    pods->n_depending += slot->depends_on.n > 0;
    pods->n_ranked -= slot->priority != 0;
    slot->priority = pod_priority(slot->worker->pod);
    pods->n_ranked += slot->priority != 0;
    depends_forget_graph(pods);
}

// The slot of "NAME" or "NAMESPACE/NAME", with or without the node's suffix; NULL: there is none.
static struct slot *resolve(const struct pods *pods, const struct pod *from, const char *name)
{
    const char *slash = strchr(name, '/');
    _cleanup_free_ char *namespace_ =
        slash ? xstrndup(name, (size_t)(slash - name)) : xstrdup(from->metadata.namespace);
    const char *base = slash ? slash + 1 : name;
    const char *node = from->spec.nodeName ? from->spec.nodeName : "";
    _cleanup_free_ char *full = xasprintf("%s-%s", base, node);
    struct slot *slot = slot_find(pods, namespace_, full);
    return slot ? slot : slot_find(pods, namespace_, base);
}

static void add_edges(struct depend_graph *graph, const struct pods *pods, size_t node,
                      const struct pod *pod, const struct string_list *names)
{
    LIST_EACH (name, names) {
        const struct slot *on = resolve(pods, pod, *name);
        if (on)
            depend_graph_add(graph, node, slot_index_of(on));
    }
}

void depends_forget_graph(struct pods *pods)
{
    depend_graph_free(TAKE_PTR(pods->graph));
    pods_order_stale(pods);
}

// With the spec that is to follow in place of that of the worker, except where it is held back.
const struct depend_graph *depends_graph(struct pods *pods)
{
    if (pods->graph)
        return pods->graph;
    struct depend_graph *graph = depend_graph_new(pods->n);
    for (size_t i = 0; i < pods->n; i++) {
        const struct slot *slot = pods->slots[i];
        _cleanup_string_list_ struct string_list names = {0};
        if (slot->next && !slot->held_back) {
            read_names(slot->next, &names);
            add_edges(graph, pods, i, slot->next, &names);
        } else if (slot->worker) {
            add_edges(graph, pods, i, slot->worker->pod, &slot->depends_on);
        }
    }
    pods->graph = graph;
    pods->cyclic = depend_graph_has_cycle(graph);
    return graph;
}

// ---- cycles ----

static void add_name(struct buffer *out, const struct slot *slot, const char *namespace_)
{
    if (!str_equal(slot->namespace_, namespace_))
        buffer_printf(out, "%s/", slot->namespace_);
    buffer_add_str(out, slot->name);
}

// "a → b → a"; false where the slot is in none.
static bool describe_cycle(const struct slot *slot, struct buffer *out)
{
    struct pods *pods = slot->pods;
    _cleanup_free_ size_t *cycle = NULL;
    const struct depend_graph *graph = depends_graph(pods);
    if (!pods->cyclic)
        return false;
    size_t n = depend_graph_cycle(graph, slot_index_of(slot), &cycle);
    for (size_t i = 0; i < n; i++) {
        add_name(out, pods->slots[cycle[i]], slot->namespace_);
        buffer_add_str(out, " → ");
    }
    if (n > 0)
        add_name(out, slot, slot->namespace_);
    return n > 0;
}

bool depends_cycle_closed(const struct slot *slot, struct buffer *why)
{
    _cleanup_buffer_ struct buffer cycle = BUFFER_EMPTY;
    if (slot->depends_on.n == 0 || !describe_cycle(slot, &cycle))
        return false;
    buffer_printf(why,
                  "the pods wait for each other: %s; take one of them out of another's "
                  "mainstay.dev/depends-on",
                  buffer_str(&cycle));
    return true;
}

// Nothing is lost by replacing what does not run.
static bool has_begun(const struct pod_worker *w)
{
    return !w->removing && (w->state == POD_INITIALIZING || w->state == POD_RUNNING);
}

static void tell_held_back(struct slot *slot, const char *cycle)
{
    _cleanup_free_ char *why = xasprintf(
        "with its changed manifest the pods would wait for each other: %s; the pod runs on as it "
        "was until one of them is taken out of another's mainstay.dev/depends-on",
        cycle);
    pod_worker_hold_back(slot->worker, why, monotime_now());
}

bool depends_hold_back(struct slot *slot)
{
    _cleanup_buffer_ struct buffer cycle = BUFFER_EMPTY;
    slot->held_back = false;
    depends_forget_graph(slot->pods);
    if (!slot->worker || !has_begun(slot->worker) || !describe_cycle(slot, &cycle))
        return false;
    slot->held_back = true;
    depends_forget_graph(slot->pods);
    tell_held_back(slot, buffer_str(&cycle));
    return true;
}

void depends_look_again(struct pods *pods)
{
    for (size_t i = 0; i < pods->n; i++) {
        struct slot *slot = pods->slots[i];
        if (slot->held_back && !depends_hold_back(slot) && slot->worker)
            pod_worker_remove(slot->worker, monotime_now());
    }
}

// ---- why a pod is not ready ----

static void add_because(struct buffer *why, const char *reason, const char *message)
{
    buffer_add_str(why, reason);
    if (!str_empty(message))
        buffer_printf(why, ": %s", message);
}

// False where the container is none to wait for.
static bool explain_container(const struct container_worker *c, struct buffer *why)
{
    bool done = c->state == CONTAINER_EXITED && c->last.known && c->last.exit_code == 0;
    if (c->init ? done : pod_worker_container_is_ready(c))
        return false;
    if (c->waiting_reason && c->state != CONTAINER_RUNNING)
        add_because(why, c->waiting_reason, c->waiting_message);
    else if (c->state != CONTAINER_RUNNING)
        buffer_printf(why, "container %s is not running", c->spec->name);
    else if (c->init)
        buffer_printf(why, "its init container %s runs", c->spec->name);
    else
        buffer_printf(why, "the %s probe of container %s has not succeeded",
                      pod_worker_container_is_started(c) ? "readiness" : "startup", c->spec->name);
    return true;
}

static void explain_worker(const struct pod_worker *w, struct buffer *why)
{
    if (w->removing) {
        buffer_add_str(why, "it is being stopped");
    } else if (w->held) {
        buffer_printf(why, "it is stopped; `mainstay start %s` starts it", w->pod->metadata.name);
    } else if (w->state == POD_FINISHED) {
        add_because(why, w->failed_reason ? w->failed_reason : "Failed", w->failed_message);
    } else if (w->waiting_reason) {
        add_because(why, w->waiting_reason, w->waiting_message);
    } else {
        for (size_t i = 0; i < w->n_containers; i++)
            if (explain_container(&w->containers[i], why))
                return;
        buffer_add_str(why, "it is not running yet");
    }
}

// A pod that has completed never gets ready, and has done what it was for.
static bool is_satisfied(const struct slot *slot)
{
    const struct pod_worker *w = slot->worker;
    bool replaced = slot->next && !slot->held_back && !(w && w->asked);
    return w && !slot->gone && !slot->restored && !w->removing && !replaced &&
           (pod_worker_is_ready(w) || (w->state == POD_FINISHED && !w->failed_reason));
}

// What is in the way is told with what is in the way of that, and no further.
static void explain(const struct slot *from, const char *name, const struct slot *on,
                    struct buffer *why)
{
    bool full = strchr(name, '/') != NULL;
    if (!on) {
        buffer_printf(why, "there is no pod %s%s%s (its manifest is awaited)", name,
                      full ? "" : " in namespace ", full ? "" : from->namespace_);
        return;
    }
    buffer_printf(why, "%s is not ready: ", name);
    if (on->worker && !on->gone && !on->restored)
        explain_worker(on->worker, why);
    else
        buffer_add_str(why, "it is not running yet");
}

bool depends_ready_closed(const struct slot *slot, struct buffer *why)
{
    size_t missing = 0;
    LIST_EACH (name, &slot->depends_on) {
        const struct slot *on = resolve(slot->pods, slot->worker->pod, *name);
        if (on && is_satisfied(on))
            continue;
        if (missing++ >= DEPENDENCIES_TOLD)
            continue;
        if (missing > 1)
            buffer_add_str(why, "; ");
        explain(slot, *name, on, why);
    }
    if (missing > DEPENDENCIES_TOLD)
        buffer_printf(why, "; and %zu more", missing - DEPENDENCIES_TOLD);
    return missing > 0;
}

// ---- a pod becomes ready ----

void depends_changed(struct slot *slot)
{
    bool ready = slot->worker && is_satisfied(slot);
    if (ready && !slot->was_ready && slot->pods->n_depending > 0) {
        slot->became_ready = true;
        sd_event_source_set_enabled(slot->pods->admit, SD_EVENT_ONESHOT);
    }
    slot->was_ready = ready;
}

static bool is_in_back_off(const struct pod_worker *w)
{
    for (size_t i = 0; i < w->n_containers; i++)
        if (w->containers[i].state == CONTAINER_BACKOFF)
            return true;
    return false;
}

static void tell(struct slot *slot, const char *name)
{
    struct pod_worker *w = slot->worker;
    bool waits = (w->state == POD_INITIALIZING || w->state == POD_RUNNING) && !w->removing &&
                 !w->held && !pod_worker_is_ready(w);
    if (!waits)
        return;
    if (is_in_back_off(w)) {
        struct event_object about = {
            .namespace_ = slot->namespace_,
            .pod = slot->name,
            .uid = w->pod->metadata.uid,
            .file = w->file,
        };
        event_add(slot->pods->options.runtime.events, about, EVENT_NORMAL, "DependencyReady",
                  "%s is ready: the back-off is cleared, the pod starts now", name);
    }
    pod_worker_retry(w, monotime_now());
}

// The pod that it depends on and that became ready just now; NULL: none did.
static const char *find_ready(struct pods *pods, const struct slot *slot, const bool *became_ready)
{
    if (!slot->worker || slot->gone)
        return NULL;
    LIST_EACH (name, &slot->depends_on) {
        const struct slot *on = resolve(pods, slot->worker->pod, *name);
        if (on && became_ready[slot_index_of(on)])
            return *name;
    }
    return NULL;
}

void depends_tell_ready(struct pods *pods)
{
    _cleanup_free_ bool *became_ready = xcalloc(pods->n + 1, sizeof(*became_ready));
    for (size_t i = 0; i < pods->n; i++) {
        became_ready[i] = pods->slots[i]->became_ready;
        pods->slots[i]->became_ready = false;
    }
    for (size_t i = 0; i < pods->n && pods->n_depending > 0; i++) {
        const char *name = find_ready(pods, pods->slots[i], became_ready);
        if (name)
            tell(pods->slots[i], name);
    }
}
