// See history.h: what happens to a pod's history in memory. history-file.c has its form on disk.
#include "supervisor/history.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"

void history_init(struct history *history, const char *namespace_, const char *name)
{
    *history = (struct history){.namespace_ = xstrdup(namespace_), .name = xstrdup(name)};
}

static void revision_clear(struct revision *revision)
{
    free(revision->uid);
    free(revision->file);
    free(revision->origin);
    free(revision->message);
    free(revision->text);
}

void history_free(struct history *history)
{
    LIST_EACH (revision, &history->revisions)
        revision_clear(revision);
    free(history->revisions.items);
    free(history->namespace_);
    free(history->name);
    *history = (struct history){0};
}

// ---- looking ----

struct revision *history_find(const struct history *history, uint64_t number)
{
    LIST_EACH (revision, &history->revisions)
        if (revision->number == number)
            return revision;
    return NULL;
}

struct revision *history_current(const struct history *history)
{
    return history->current ? history_find(history, history->current) : NULL;
}

static struct revision *newest_of(const struct history *history)
{
    struct revision *newest = NULL;
    LIST_EACH (revision, &history->revisions)
        newest = revision;
    return newest;
}

struct revision *history_with_hash(const struct history *history, const char *hash)
{
    struct revision *newest = NULL;
    LIST_EACH (revision, &history->revisions)
        if (strcmp(revision->hash, hash) == 0)
            newest = revision;
    return newest;
}

static bool has_proved_good(const struct revision *revision)
{
    return revision->verdict == HISTORY_CONFIRMED ||
           (!revision->tried && walltime_is_set(revision->ready));
}

static bool was_ready(const struct revision *revision)
{
    return revision->verdict != HISTORY_FAILED && walltime_is_set(revision->ready);
}

static struct revision *newest_other(const struct history *history,
                                     bool (*is_wanted)(const struct revision *revision),
                                     bool (*fits)(void *userdata, const struct revision *revision),
                                     void *userdata)
{
    const struct revision *current = history_current(history);
    struct revision *newest = NULL;
    LIST_EACH (revision, &history->revisions) {
        bool same = current && strcmp(revision->hash, current->hash) == 0;
        if (!same && is_wanted(revision) && (!fits || fits(userdata, revision)))
            newest = revision;
    }
    return newest;
}

struct revision *history_good_that(const struct history *history,
                                   bool (*fits)(void *userdata, const struct revision *revision),
                                   void *userdata)
{
    struct revision *good = newest_other(history, has_proved_good, fits, userdata);
    return good ? good : newest_other(history, was_ready, fits, userdata);
}

struct revision *history_good(const struct history *history)
{
    return history_good_that(history, NULL, NULL);
}

// ---- what happens ----

static bool is_needed(const struct history *history, const struct revision *revision)
{
    return revision->number == history->current || revision->number == history->failed ||
           revision == history_good(history);
}

static size_t text_bytes(const struct history *history)
{
    size_t bytes = 0;
    LIST_EACH (revision, &history->revisions)
        bytes += strlen(revision->text);
    return bytes;
}

static bool drop_oldest(struct history *history)
{
    for (size_t i = 0; i < history->revisions.n; i++) {
        struct revision *revision = &history->revisions.items[i];
        if (is_needed(history, revision))
            continue;
        revision_clear(revision);
        memmove(revision, revision + 1, (history->revisions.n - i - 1) * sizeof(*revision));
        history->revisions.n--;
        return true;
    }
    return false;
}

static void prune(struct history *history)
{
    while (history->revisions.n > HISTORY_REVISIONS_MOST ||
           text_bytes(history) > HISTORY_BYTES_MOST)
        if (!drop_oldest(history))
            break;
}

static void set_file(struct revision *revision, const char *file)
{
    if (str_equal(revision->file, file))
        return;
    free(revision->file);
    revision->file = xstrdup_or_null(file);
}

static void end_revision(struct revision *revision, enum history_end end, walltime now)
{
    revision->end = end;
    revision->ended = now;
}

static void begin_revision(struct history *history, struct revision *revision)
{
    revision->end = HISTORY_NO_END;
    revision->ended = (walltime){0};
    history->current = revision->number;
}

static void append(struct history *history, const struct history_spec *spec, walltime now)
{
    const struct revision *same = history_with_hash(history, spec->hash);
    const struct revision *newest = newest_of(history);
    uint64_t number = newest ? newest->number + 1 : 1;
    char *origin = same ? xasprintf("rollback to %llu", (unsigned long long)same->number) : NULL;
    struct revision *revision = LIST_APPEND(&history->revisions);
    revision->number = number;
    revision->accepted = now;
    snprintf(revision->hash, sizeof(revision->hash), "%s", spec->hash);
    revision->uid = xstrdup_or_null(spec->uid);
    revision->file = xstrdup_or_null(spec->file);
    revision->text = xstrdup(spec->text);
    revision->complete = spec->complete;
    revision->origin = origin;
    begin_revision(history, revision);
}

// A spec that failed its trial, was removed and comes back is tried once more.
static bool try_again(struct revision *revision)
{
    if (revision->verdict != HISTORY_FAILED)
        return false;
    revision->verdict = HISTORY_UNJUDGED;
    free(revision->message);
    revision->message = NULL;
    return true;
}

bool history_accept(struct history *history, const struct history_spec *spec, walltime now)
{
    struct revision *current = history_current(history);
    history->failed = 0;
    if (current && strcmp(current->hash, spec->hash) == 0) {
        set_file(current, spec->file);
        return false;
    }
    history->trial = (struct history_trial){0};
    if (current)
        end_revision(current, HISTORY_REPLACED, now);
    struct revision *newest = newest_of(history);
    if (newest && !current && strcmp(newest->hash, spec->hash) == 0) {
        set_file(newest, spec->file);
        begin_revision(history, newest);
        return try_again(newest);
    }
    append(history, spec, now);
    prune(history);
    return true;
}

void history_removed(struct history *history, walltime now)
{
    struct revision *current = history_current(history);
    if (current)
        end_revision(current, HISTORY_REMOVED, now);
    history->current = history->failed = 0;
    history->trial = (struct history_trial){0};
}

void history_confirmed(struct history *history)
{
    struct revision *current = history_current(history);
    history->trial = (struct history_trial){0};
    if (!current)
        return;
    current->verdict = HISTORY_CONFIRMED;
    free(current->message);
    current->message = NULL;
}

void history_failed(struct history *history, struct revision *good, const char *why, walltime now)
{
    struct revision *current = history_current(history);
    history->trial = (struct history_trial){0};
    if (!current)
        return;
    current->verdict = HISTORY_FAILED;
    free(current->message);
    current->message = xstrdup_or_null(why);
    if (!good)
        return;
    end_revision(current, HISTORY_REPLACED, now);
    history->failed = current->number;
    begin_revision(history, good);
}

// ---- as a pod ----

static int pick(struct pod_list *pods, const struct history *history, struct pod **ret)
{
    for (size_t i = 0; i < pods->n; i++) {
        const struct object_meta *meta = &pods->items[i]->metadata;
        if (!str_equal(meta->namespace, history->namespace_) ||
            !str_equal(meta->name, history->name))
            continue;
        *ret = TAKE_PTR(pods->items[i]);
        pod_drop_places(*ret);
        memmove(&pods->items[i], &pods->items[i + 1], (pods->n - i - 1) * sizeof(pods->items[0]));
        pods->n--;
        return 0;
    }
    return -EBADMSG;
}

int history_pod(const struct history *history, const struct revision *revision,
                const char *node_name, struct pod **ret, struct error *err)
{
    const struct podspec_node node = {.name = node_name, .source = "file"};
    _cleanup_pod_list_ struct pod_list pods = {0};
    _cleanup_diag_list_ struct diag_list diags = {0};
    const char *file = revision->file ? revision->file : "manifest";
    int r = podspec_parse(file, revision->text, strlen(revision->text), &pods, &diags);
    for (size_t i = 0; r == 0 && !revision->complete && i < pods.n; i++)
        r = podspec_make_static(pods.items[i], &node, &diags);
    if (r == 0)
        r = pick(&pods, history, ret);
    if (r < 0)
        return error_set(err, EBADMSG, "revision %llu of pod %s cannot be used any more: %s",
                         (unsigned long long)revision->number, history->name,
                         diags.n ? diags.items[0].message : "the pod is not in its manifest");
    return 0;
}

// ---- as text ----

static const char *state_of(const struct history *history, const struct revision *revision)
{
    bool was = walltime_is_set(revision->ready);
    if (revision->number == history->current)
        return was ? "Running" : "NotReady";
    if (revision->end == HISTORY_REMOVED)
        return "Removed";
    if (revision->verdict != HISTORY_UNJUDGED)
        return "";
    return was ? "Replaced" : "NeverReady";
}

const char *history_outcome(const struct history *history, const struct revision *revision,
                            char *buf)
{
    const char *state = state_of(history, revision);
    const char *verdict = revision->number == history->trial.number ? "OnTrial"
                          : revision->verdict == HISTORY_CONFIRMED  ? "Confirmed"
                          : revision->verdict == HISTORY_FAILED     ? "FailedTrial"
                                                                    : "";
    snprintf(buf, HISTORY_OUTCOME_SIZE, "%s%s%s", state, *state && *verdict ? "," : "", verdict);
    return buf;
}
