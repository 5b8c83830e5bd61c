// From what the files say to what must run. Every accepted pod of every file is a claim to a
// namespace and name; where several files claim one, the one that provides it goes on doing so, and
// the others are in conflict until it lets go. A file that was renamed hands its pods over: the pod
// is the same, so nothing happens to it.
#include "manifests/source-internal.h"

#include <string.h>

#include "base/alloc.h"

struct claim {
    const struct pod *pod;
    const char *hash;
    struct manifest_file *file;
};

struct pod_change {
    struct running_pod removed; // where `set` is NULL; owned
    struct pod *set;            // owned
    const char *file;           // of `set`
};

struct reconciliation {
    struct manifest_source *source;
    LIST_OF(struct claim) claims;
    LIST_OF(struct running_pod) running; // the new list
    LIST_OF(struct pod_change) removals, sets;
    struct buffer contests;
};

void running_pod_clear(struct running_pod *running)
{
    free(running->namespace_);
    free(running->name);
    free(running->uid);
    free(running->file);
    *running = (struct running_pod){0};
}

static int compare_pods(const struct pod *a, const struct pod *b)
{
    int order = strcmp(a->metadata.namespace, b->metadata.namespace);
    return order != 0 ? order : strcmp(a->metadata.name, b->metadata.name);
}

static int compare_claims(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    int order = compare_pods(x->pod, y->pod);
    return order != 0 ? order : strcmp(x->file->path, y->file->path);
}

static void gather_claims(struct reconciliation *r)
{
    for (size_t i = 0; i < r->source->files.n; i++) {
        struct manifest_file *file = r->source->files.items[i];
        file->n_in_force = 0;
        free(file->conflict_with);
        file->conflict_with = NULL;
        if (file->forgotten)
            continue;
        for (size_t k = 0; k < file->good.n; k++)
            *LIST_APPEND(&r->claims) =
                (struct claim){file->good.items[k], file->pod_hashes[k], file};
    }
    if (r->claims.n > 1)
        qsort(r->claims.items, r->claims.n, sizeof(r->claims.items[0]), compare_claims);
}

static void stop_running(struct reconciliation *r, struct running_pod *running)
{
    LIST_APPEND(&r->removals)->removed = *running;
    *running = (struct running_pod){0};
}

// The order of what runs is that of the claims, so one pass over both is enough: `*at` moves on.
// Passes over (and removes) what comes before `pod`; NULL: all.
static struct running_pod *advance(struct reconciliation *r, size_t *at, const struct pod *pod)
{
    for (; *at < r->source->running.n; (*at)++) {
        struct running_pod *running = &r->source->running.items[*at];
        int order = 1;
        if (pod) {
            order = strcmp(pod->metadata.namespace, running->namespace_);
            order = order != 0 ? order : strcmp(pod->metadata.name, running->name);
        }
        if (order < 0)
            return NULL;
        if (order == 0) {
            (*at)++;
            return running;
        }
        stop_running(r, running);
    }
    return NULL;
}

// The file that provided a contested pod before the agent was restarted.
static bool won_before(const struct manifest_source *source, const struct claim *claim)
{
    const struct object_meta *meta = &claim->pod->metadata;
    _cleanup_free_ char *line =
        xasprintf("%s/%s\t%s\n", meta->namespace, meta->name, claim->file->path);
    const char *found = strstr(source->contests, line);
    return found && (found == source->contests || found[-1] == '\n');
}

// At the start of the agent, what was accepted before it comes before what is new.
static bool is_older(const struct manifest_source *source, const struct manifest_file *file,
                     const struct manifest_file *than)
{
    return !source->settled && *file->stored_hash && !*than->stored_hash;
}

// NULL: no file provides it any more.
static const struct claim *choose(const struct reconciliation *r, const struct claim *claims,
                                  size_t n, const struct running_pod *running)
{
    const struct claim *keeper = NULL, *first = NULL;
    for (const struct claim *claim = claims; claim < claims + n; claim++) {
        bool keeps = running ? strcmp(running->file, claim->file->path) == 0
                             : n > 1 && won_before(r->source, claim);
        if (keeps)
            keeper = claim;
        if (claim->file->gone)
            continue;
        if (!first || is_older(r->source, claim->file, first->file))
            first = claim;
    }
    // A file that is about to be forgotten lets go at once where there is an heir, and gives
    // nothing that did not run from it.
    return keeper && (!keeper->file->gone || !first) ? keeper : first;
}

static void keep_running(struct reconciliation *r, const struct claim *claim,
                         struct running_pod *old)
{
    const struct object_meta *meta = &claim->pod->metadata;
    struct running_pod *running = LIST_APPEND(&r->running);
    bool same = old && str_equal(old->uid, meta->uid) && strcmp(old->hash, claim->hash) == 0;
    if (same) {
        *running = *old;
        *old = (struct running_pod){0};
        if (strcmp(running->file, claim->file->path) == 0)
            return;
        free(running->file);
    } else {
        running->namespace_ = xstrdup(meta->namespace);
        running->name = xstrdup(meta->name);
        running->uid = xstrdup(meta->uid);
        memcpy(running->hash, claim->hash, sizeof(running->hash));
        if (old)
            running_pod_clear(old);
    }
    running->file = xstrdup(claim->file->path);
    *LIST_APPEND(&r->sets) =
        (struct pod_change){.set = pod_copy(claim->pod), .file = claim->file->path};
}

// All claims to one pod; `running` is NULL where it does not run.
static void settle_claims(struct reconciliation *r, const struct claim *claims, size_t n,
                          struct running_pod *running)
{
    const struct claim *winner = choose(r, claims, n, running);
    if (!winner) {
        if (running)
            stop_running(r, running);
        return;
    }
    struct manifest_file *file = winner->file;
    file->in_force[file->n_in_force++] = winner->pod;
    for (const struct claim *claim = claims; claim < claims + n; claim++) {
        if (claim != winner && !claim->file->conflict_with && !claim->file->gone)
            claim->file->conflict_with = xstrdup(file->path);
    }
    if (n > 1)
        buffer_printf(&r->contests, "%s/%s\t%s\n", winner->pod->metadata.namespace,
                      winner->pod->metadata.name, file->path);
    keep_running(r, winner, running);
}

static void settle_all_claims(struct reconciliation *r)
{
    size_t at = 0;
    for (size_t i = 0, n; i < r->claims.n; i += n) {
        struct claim *claims = &r->claims.items[i];
        for (n = 1; i + n < r->claims.n && compare_pods(claims[0].pod, claims[n].pod) == 0; n++)
            ;
        settle_claims(r, claims, n, advance(r, &at, claims[0].pod));
    }
    advance(r, &at, NULL);
    free(r->source->running.items);
    r->source->running.items = r->running.items;
    r->source->running.n = r->running.n;
}

// ---- telling the owner

bool source_fill_status(const struct manifest_file *file, struct manifest_status *ret)
{
    if (file->forgotten || (!file->judged && !file->has_good))
        return false;
    *ret = (struct manifest_status){
        .file = file->path,
        .state = file->refused         ? MANIFEST_REFUSED
                 : file->conflict_with ? MANIFEST_CONFLICT
                                       : MANIFEST_ACCEPTED,
        .diags = &file->diags,
        .conflict_with = file->conflict_with,
        .pods = file->in_force,
        .n_pods = file->n_in_force,
        .hash = file->hash,
        .changed = file->changed,
        .has_last_good = file->has_good,
    };
    return true;
}

static void report_file(struct manifest_source *source, struct manifest_file *file)
{
    struct manifest_status status;
    if (!file->judged || !source_fill_status(file, &status))
        return;
    const char *why = *file->hash || !file->diags.n ? "" : file->diags.items[0].message;
    _cleanup_free_ char *report =
        xasprintf("%d %d %s %s %s", status.state, status.has_last_good, file->hash,
                  file->conflict_with ? file->conflict_with : "", why);
    if (str_equal(report, file->reported))
        return;
    free(file->reported);
    file->reported = TAKE_PTR(report);
    source->ops.file_changed(source->userdata, &status);
}

static void report_files(struct manifest_source *source)
{
    if (source->trouble)
        report_file(source, source->trouble);
    for (size_t i = 0; i < source->files.n; i++)
        report_file(source, source->files.items[i]);
}

static void report_pods(struct reconciliation *r)
{
    const struct manifest_source_ops *ops = &r->source->ops;
    LIST_EACH (change, &r->removals) {
        struct running_pod *gone = &change->removed;
        ops->pod_removed(r->source->userdata, gone->namespace_, gone->name, gone->uid, gone->file);
        running_pod_clear(gone);
    }
    LIST_EACH (change, &r->sets)
        ops->pod_set(r->source->userdata, TAKE_PTR(change->set), change->file);
}

static void forget_file(struct manifest_source *source, struct manifest_file *file)
{
    if (file->reported)
        source->ops.file_removed(source->userdata, file->path);
    manifest_file_free(file);
}

// The files leave the list before anything is told, so that the owner sees it as it will be.
static void forget_files(struct manifest_source *source)
{
    if (source->trouble && source->trouble->forgotten)
        forget_file(source, TAKE_PTR(source->trouble));
    _cleanup_free_ struct manifest_file **forgotten = xcalloc(source->files.n + 1, sizeof(void *));
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < source->files.n; i++) {
        struct manifest_file *file = source->files.items[i];
        if (file->forgotten)
            forgotten[n++] = file;
        else
            source->files.items[kept++] = file;
    }
    source->files.n = kept;
    for (size_t i = 0; i < n; i++) {
        source_store_remove(source, forgotten[i]->path);
        forget_file(source, forgotten[i]);
    }
}

void source_reconcile(struct manifest_source *source)
{
    if (!source->changed)
        return;
    source->changed = false;
    struct reconciliation r = {.source = source};
    gather_claims(&r);
    settle_all_claims(&r);
    report_files(source);
    report_pods(&r);
    forget_files(source);
    source_store_save_contests(source, buffer_str(&r.contests));
    source->settled = true;
    free(r.claims.items);
    free(r.removals.items);
    free(r.sets.items);
    buffer_free(&r.contests);
}
