// See check.h: what the agent says of itself, its pods and its manifests.
#include "cli/check.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/duration.h"
#include "cli/field.h"
#include "cli/pod-view.h"

static int fetch(const struct check_options *options, const char *path, json_t **ret,
                 struct error *err)
{
    _cleanup_client_ struct client *client = client_new(options->common.socket);
    return client_get(client, path, ret, err);
}

// ---- the agent ----

static void add_unwell_parts(const json_t *status, struct buffer *out)
{
    const json_t *parts = field_at(status, "health");
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i);
        if (!field_true(part, "ok") || !field_true(part, "ready"))
            check_add(out, "%s: %s", field_text_or_empty(part, "name"),
                      field_text_or_empty(part, "message"));
    }
}

int check_agent(const struct check_options *options, const char *const *words, size_t n,
                struct buffer *out, struct error *err)
{
    json_t *status = NULL;
    char age[DURATION_SIZE];
    int r = fetch(options, "/mainstay/v1/status", &status, err);
    if (r < 0)
        return r;
    bool well = field_true(status, "live") && field_true(status, "ready");
    if (well)
        buffer_printf(out, "mainstayd %s is ready: pid %lld, up %s, %lld of %lld pods ready",
                      field_text_or_empty(status, "version"), field_int(status, "pid"),
                      age_of_text(field_text(status, "startedAt"), walltime_now(), age),
                      field_int(status, "counts.ready"), field_int(status, "counts.pods"));
    else
        add_unwell_parts(status, out);
    if (out->len == 0)
        buffer_add_str(out, "mainstayd is not ready");
    json_decref(status);
    return well;
}

// ---- pods ----

static bool is_well(const json_t *pod)
{
    return pod_is_ready(pod) || str_equal(field_text(pod, "status.phase"), "Succeeded");
}

// Why not, which pod_explain_unready() says in several lines.
static void add_reasons(const json_t *pod, struct buffer *out)
{
    _cleanup_buffer_ struct buffer lines = BUFFER_EMPTY;
    char *save = NULL;
    const char *before = ": ";
    pod_explain_unready(pod, &lines);
    if (lines.len == 0)
        return;
    for (char *line = strtok_r(lines.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        buffer_printf(out, "%s%s", before, line + strspn(line, " "));
        before = ", ";
    }
}

static void judge_pod(const json_t *pod, struct buffer *good, struct buffer *bad)
{
    struct pod_view view;
    const char *name = field_text_or_empty(pod, "metadata.name");
    pod_view_read(pod, &view);
    if (is_well(pod)) {
        buffer_printf(good, "%s%s (%s, %lld/%lld, %lld %s)", good->len > 0 ? ", " : "", name,
                      view.status, view.ready, view.total, view.restarts,
                      view.restarts == 1 ? "restart" : "restarts");
        return;
    }
    check_add(bad, "%s is not ready (%s, %lld/%lld)", name, view.status, view.ready, view.total);
    add_reasons(pod, bad);
}

static size_t judge_named(const json_t *pods, const char *namespace_, const char *name,
                          struct buffer *good, struct buffer *bad)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(pods); i++) {
        const json_t *pod = json_array_get(pods, i);
        bool meant =
            name ? pod_is_named(pod, namespace_, name)
                 : !namespace_ || str_equal(namespace_, field_text(pod, "metadata.namespace"));
        if (!meant)
            continue;
        judge_pod(pod, good, bad);
        n++;
    }
    if (name && n == 0)
        check_add(bad, "there is no pod %s (`mainstay get manifests` shows what is refused)", name);
    return n;
}

int check_pods(const struct check_options *options, const char *const *words, size_t n,
               struct buffer *out, struct error *err)
{
    _cleanup_buffer_ struct buffer good = BUFFER_EMPTY, bad = BUFFER_EMPTY;
    json_t *list = NULL;
    size_t found = 0;
    int r = fetch(options, "/mainstay/v1/pods", &list, err);
    if (r < 0)
        return r;
    const json_t *pods = field_at(list, "items");
    for (size_t i = 0; i < n; i++)
        found += judge_named(pods, options->namespace_, words[i], &good, &bad);
    if (n == 0)
        found = judge_named(pods, options->namespace_, NULL, &good, &bad);
    if (bad.len > 0)
        buffer_add_str(out, buffer_str(&bad));
    else if (found == 0)
        buffer_add_str(out, "there are no pods");
    else
        buffer_printf(out, "ready: %s", buffer_str(&good));
    json_decref(list);
    return bad.len == 0;
}

// ---- manifests ----

static void judge_manifest(const json_t *manifest, struct buffer *bad)
{
    const json_t *findings = field_at(manifest, "findings");
    const char *state = field_text_or_empty(manifest, "state");
    const char *file = field_text_or_empty(manifest, "file");
    bool last_good = field_true(manifest, "lastGood");
    if (str_equal(state, "Accepted"))
        return;
    if (str_equal(state, "Conflict"))
        check_add(bad, "%s claims a pod that %s provides", file,
                  field_text_or_empty(manifest, "conflictWith"));
    else if (json_array_size(findings) > 0)
        check_add(bad, "%s", field_text_or_empty(json_array_get(findings, 0), "text"));
    else
        check_add(bad, "%s is refused", file);
    if (last_good)
        buffer_add_str(bad, " (the last good one runs on)");
}

// A manifest that failed its trial is accepted, but not what runs.
static void judge_trial(const json_t *pod, struct buffer *bad)
{
    if (str_equal(field_text(pod, "mainstay.manifest.state"), "FailedTrial"))
        check_add(bad, "%s failed its trial as revision %lld (the last good one runs on)",
                  field_text_or_empty(pod, "mainstay.file"),
                  field_int(pod, "mainstay.trial.revision"));
}

int check_manifests(const struct check_options *options, const char *const *words, size_t n,
                    struct buffer *out, struct error *err)
{
    json_t *list = NULL, *pods = NULL;
    int r = fetch(options, "/mainstay/v1/manifests", &list, err);
    if (r >= 0)
        r = fetch(options, "/mainstay/v1/pods", &pods, err);
    if (r < 0) {
        json_decref(list);
        return r;
    }
    const json_t *items = field_at(list, "items"), *running = field_at(pods, "items");
    for (size_t i = 0; i < json_array_size(items); i++)
        judge_manifest(json_array_get(items, i), out);
    for (size_t i = 0; i < json_array_size(running); i++)
        judge_trial(json_array_get(running, i), out);
    bool well = out->len == 0;
    if (well)
        buffer_printf(out, "%zu %s in force", json_array_size(items),
                      json_array_size(items) == 1 ? "manifest is" : "manifests are");
    json_decref(list);
    json_decref(pods);
    return well;
}
