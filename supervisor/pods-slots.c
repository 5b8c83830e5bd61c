// The slots of pods.c, one for each namespace and name, sorted; and how a pod is found by the name
// that somebody typed.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/pods-internal.h"

static int compare_slot(const struct slot *slot, const char *namespace_, const char *name)
{
    int r = strcmp(slot->namespace_, namespace_);
    return r ? r : strcmp(slot->name, name);
}

// Where the slot is, or would have to be.
static size_t slot_index(const struct pods *pods, const char *namespace_, const char *name)
{
    size_t low = 0, high = pods->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_slot(pods->slots[middle], namespace_, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t slot_index_of(const struct slot *slot)
{
    return slot_index(slot->pods, slot->namespace_, slot->name);
}

struct slot *slot_find(const struct pods *pods, const char *namespace_, const char *name)
{
    size_t i = slot_index(pods, namespace_, name);
    bool found = i < pods->n && compare_slot(pods->slots[i], namespace_, name) == 0;
    return found ? pods->slots[i] : NULL;
}

struct slot *slot_get(struct pods *pods, const char *namespace_, const char *name)
{
    struct slot *slot = slot_find(pods, namespace_, name);
    if (slot)
        return slot;
    size_t i = slot_index(pods, namespace_, name);
    slot = xcalloc(1, sizeof(*slot));
    slot->pods = pods;
    slot->namespace_ = xstrdup(namespace_);
    slot->name = xstrdup(name);
    pods->slots = xreallocarray(pods->slots, pods->n + 1, sizeof(struct slot *));
    memmove(&pods->slots[i + 1], &pods->slots[i], (pods->n - i) * sizeof(struct slot *));
    pods->slots[i] = slot;
    pods->n++;
    depends_forget_graph(pods);
    return slot;
}

void slot_drop_next(struct slot *slot)
{
    pod_free(TAKE_PTR(slot->next));
    free(TAKE_PTR(slot->next_file));
    slot->held_back = false;
    if (slot->worker && !slot->gone)
        pod_worker_hold_back(slot->worker, NULL, monotime_now());
    depends_forget_graph(slot->pods);
}

void slot_free(struct slot *slot)
{
    pods_guard_free(slot);
    if (slot->worker) {
        runtime_release(slot->pods->runtime, slot->worker);
        pod_worker_free(TAKE_PTR(slot->worker));
    }
    slot_drop_next(slot);
    slot->pods->n_depending -= slot->depends_on.n > 0;
    slot->pods->n_ranked -= slot->priority != 0;
    string_list_free(&slot->depends_on);
    free(slot->namespace_);
    free(slot->name);
    free(slot);
}

void slot_remove(struct pods *pods, const struct slot *slot)
{
    size_t i = slot_index(pods, slot->namespace_, slot->name);
    pods_guard_gone(pods->slots[i]);
    slot_free(pods->slots[i]);
    memmove(&pods->slots[i], &pods->slots[i + 1], (pods->n - i - 1) * sizeof(struct slot *));
    pods->n--;
    depends_forget_graph(pods);
}

struct pod_worker *slot_new_worker(struct slot *slot, struct pod *pod, const char *file)
{
    struct pods *pods = slot->pods;
    slot->worker = pod_worker_new(pod, file, pods->options.curve, &runtime_ops, pods->runtime,
                                  pods->options.runtime.events);
    slot->worker->owner = slot;
    slot->worker->gated = true;
    slot->worker->guard = &pods_guard_ops;
    slot->gone = slot->was_ready = false;
    depends_read(slot);
    return slot->worker;
}

// ---- what others ask ----

size_t pods_list(const struct pods *pods, struct pod_worker ***ret)
{
    struct pod_worker **list = xcalloc(pods->n + 1, sizeof(*list));
    size_t n = 0;
    for (size_t i = 0; i < pods->n; i++)
        if (pods->slots[i]->worker && !pods->slots[i]->gone)
            list[n++] = pods->slots[i]->worker;
    *ret = list;
    return n;
}

// "etcd" for "etcd-node1" on node1.
static bool is_name_of(const struct pod_worker *w, const char *name)
{
    const char *full = w->pod->metadata.name, *node = w->pod->spec.nodeName;
    size_t len = strlen(name);
    if (strcmp(full, name) == 0)
        return true;
    return node && strncmp(full, name, len) == 0 && full[len] == '-' &&
           strcmp(full + len + 1, node) == 0;
}

static size_t find_in(const struct pods *pods, const char *namespace_, const char *name,
                      struct pod_worker **ret)
{
    size_t found = 0;
    for (size_t i = 0; i < pods->n; i++) {
        struct pod_worker *w = pods->slots[i]->gone ? NULL : pods->slots[i]->worker;
        bool match = w && (!namespace_ || strcmp(w->pod->metadata.namespace, namespace_) == 0) &&
                     is_name_of(w, name);
        if (!match)
            continue;
        found++;
        *ret = w;
    }
    return found;
}

static int not_found(const struct pods *pods, const char *name, struct error *err)
{
    _cleanup_free_ struct pod_worker **list = NULL;
    size_t n = pods_list(pods, &list);
    _cleanup_free_ const char **names = xcalloc(n + 1, sizeof(*names));
    for (size_t i = 0; i < n; i++)
        names[i] = list[i]->pod->metadata.name;
    const char *nearest = str_nearest(name, names, n);
    if (nearest)
        return error_set(err, ENOENT, "pods \"%s\" not found; did you mean \"%s\"?", name, nearest);
    return error_set(err, ENOENT, "pods \"%s\" not found; `mainstay get pods` lists them", name);
}

int pods_find(const struct pods *pods, const char *namespace_, const char *name,
              struct pod_worker **ret, struct error *err)
{
    struct pod_worker *w = NULL;
    size_t n = find_in(pods, namespace_ ? namespace_ : "default", name, &w);
    if (n == 0 && !namespace_)
        n = find_in(pods, NULL, name, &w);
    if (n == 0)
        return not_found(pods, name, err);
    if (n > 1)
        return error_set(err, ENOTUNIQ,
                         "several pods are called \"%s\": give the namespace (-n) or the full name",
                         name);
    *ret = w;
    return 0;
}

struct pod_worker *pods_worker(const struct pods *pods, const char *namespace_, const char *name)
{
    const struct slot *slot = slot_find(pods, namespace_, name);
    return slot && !slot->gone ? slot->worker : NULL;
}

const struct pod *pods_successor(const struct pods *pods, const struct pod_worker *w)
{
    const struct slot *slot = w->owner;
    return slot ? slot->next : NULL;
}
