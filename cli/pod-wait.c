// See pod-wait.h.
#include "cli/pod-wait.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/string-list.h"
#include "cli/field.h"
#include "cli/guard-wait.h"
#include "cli/pod-view.h"
#include "cli/term.h"

enum { ALL_REACHED = 1, IN_VAIN = 2, LOST_AGAIN = 3 }; // what the line callback returns
enum { EVENTS_TOLD = 3, LINES_TOLD = 3, LOG_WAIT_MS = 2000 };

struct wait {
    struct client *client;
    const struct pod_target *targets;
    size_t n;
    enum pod_goal goal;
    json_t *pods;       // by "namespace/name", newest known state
    bool initial_over;  // the first list is complete
    bool progress;      // on stderr
    bool settling;      // all targets have reached the goal: will they stay there?
    long long restarts; // of all targets when they had reached it
    char *guard_told;   // what the quorum guard said last
    struct error *err;
};

int pod_goal_parse(const char *text, enum pod_goal *ret)
{
    static const struct {
        const char *text;
        enum pod_goal goal;
    } goals[] = {
        {"ready", POD_GOAL_READY}, {"condition=ready", POD_GOAL_READY}, {"gone", POD_GOAL_GONE},
        {"delete", POD_GOAL_GONE}, {"applied", POD_GOAL_APPLIED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(goals); i++)
        if (strcasecmp(text, goals[i].text) == 0) {
            *ret = goals[i].goal;
            return 0;
        }
    return -EINVAL;
}

static const json_t *find(const struct wait *w, const struct pod_target *target)
{
    const char *key;
    json_t *pod;
    json_object_foreach (w->pods, key, pod) {
        bool same_uid = !target->uid || str_equal(target->uid, field_text(pod, "metadata.uid"));
        if (same_uid && pod_is_named(pod, target->namespace_, target->name))
            return pod;
    }
    return NULL;
}

static bool is_ready(const json_t *pod)
{
    bool leaving = field_true(pod, "mainstay.removing") || field_text(pod, "mainstay.successor");
    return !leaving &&
           (pod_is_ready(pod) || str_equal(field_text(pod, "status.phase"), "Succeeded"));
}

static bool is_on_trial(const json_t *pod)
{
    return str_equal(field_text(pod, "mainstay.trial.state"), "OnTrial");
}

// The pod after a failed trial of the target: an earlier spec, or itself where there was none and
// it is not ready. NULL else.
static const json_t *find_failed(const struct wait *w, const struct pod_target *target)
{
    const struct pod_target any = {target->namespace_, target->name, NULL};
    const json_t *pod = find(w, &any);
    if (!str_equal(field_text(pod, "mainstay.trial.state"), "Failed"))
        return NULL;
    return field_true(pod, "mainstay.trial.runsOn") && is_ready(pod) ? NULL : pod;
}

static bool is_applied(const json_t *pod)
{
    return !field_true(pod, "mainstay.removing") && !field_text(pod, "mainstay.successor") &&
           !json_is_object(field_at(pod, "mainstay.manifest"));
}

static bool is_reached(const struct wait *w, const struct pod_target *target)
{
    const json_t *pod = find(w, target);
    switch (w->goal) {
    case POD_GOAL_READY:
        return pod && is_ready(pod);
    case POD_GOAL_CONFIRMED:
        return pod && is_ready(pod) && !is_on_trial(pod) && !find_failed(w, target);
    case POD_GOAL_APPLIED:
        return pod && is_applied(pod);
    case POD_GOAL_GONE:
        break;
    }
    return w->initial_over && !pod;
}

// Certain without waiting any longer: the pod has failed for good, is held, or its manifest is
// refused.
static bool is_in_vain(const struct wait *w, const struct pod_target *target)
{
    const json_t *pod = find(w, target);
    if (w->goal == POD_GOAL_CONFIRMED && w->initial_over && find_failed(w, target))
        return true;
    if (!pod || !w->initial_over)
        return false;
    if (w->goal != POD_GOAL_GONE && field_text(pod, "mainstay.heldBack"))
        return true;
    if (w->goal == POD_GOAL_READY || (w->goal == POD_GOAL_CONFIRMED && !is_on_trial(pod)))
        return str_equal(field_text(pod, "status.phase"), "Failed") ||
               field_true(pod, "mainstay.held");
    return w->goal == POD_GOAL_APPLIED && json_is_object(field_at(pod, "mainstay.manifest"));
}

static void show_progress(const struct wait *w)
{
    if (!w->progress)
        return;
    fprintf(stderr, "\r\033[K");
    for (size_t i = 0; i < w->n; i++) {
        struct pod_view view;
        const json_t *pod = find(w, &w->targets[i]);
        if (is_reached(w, &w->targets[i]))
            continue;
        if (pod)
            pod_view_read(pod, &view);
        fprintf(stderr, "Waiting for %s: %s", w->targets[i].name, pod ? view.status : "not there");
        if (pod)
            fprintf(stderr, " %lld/%lld", view.ready, view.total);
        return;
    }
}

static int judge(const struct wait *w)
{
    bool all = true;
    show_progress(w);
    for (size_t i = 0; i < w->n; i++) {
        if (is_in_vain(w, &w->targets[i]))
            return IN_VAIN;
        all = all && is_reached(w, &w->targets[i]);
    }
    return all ? ALL_REACHED : 0;
}

static long long count_restarts(const struct wait *w)
{
    long long restarts = 0;
    for (size_t i = 0; i < w->n; i++) {
        struct pod_view view;
        const json_t *pod = find(w, &w->targets[i]);
        if (!pod)
            continue;
        pod_view_read(pod, &view);
        restarts += view.restarts;
    }
    return restarts;
}

static int judge_news(const struct wait *w)
{
    int verdict = judge(w);
    if (!w->settling)
        return verdict;
    // A death and the restart after it may come as one change.
    bool stays = verdict == ALL_REACHED && count_restarts(w) == w->restarts;
    return stays ? 0 : verdict == IN_VAIN ? IN_VAIN : LOST_AGAIN;
}

static void take(const struct wait *w, const char *type, json_t *pod)
{
    _cleanup_free_ char *key = xasprintf("%s/%s", field_text_or_empty(pod, "metadata.namespace"),
                                         field_text_or_empty(pod, "metadata.name"));
    const json_t *known = json_object_get(w->pods, key);
    if (!str_equal(type, "DELETED"))
        json_object_set(w->pods, key, pod);
    // The old instance may be reported gone after the new one was announced.
    else if (str_equal(field_text(known, "metadata.uid"), field_text(pod, "metadata.uid")))
        json_object_del(w->pods, key);
}

static const json_t *find_guarded(const struct wait *w, const struct pod_target *target)
{
    const struct pod_target any = {target->namespace_, target->name, NULL};
    const json_t *pod = find(w, &any);
    return field_text(pod, "mainstay.guard") ? pod : NULL;
}

static void tell_guard(struct wait *w, const json_t *pod)
{
    for (size_t i = 0; i < w->n; i++)
        if (pod_is_named(pod, w->targets[i].namespace_, w->targets[i].name) &&
            !is_reached(w, &w->targets[i]))
            guard_tell(pod, &w->guard_told);
}

static int take_line(void *userdata, const char *line, size_t len)
{
    struct wait *w = userdata;
    json_t *message = json_loadb(line, len, 0, NULL);
    const char *type = field_text_or_empty(message, "type");
    json_t *object = field_at(message, "object");
    int r = 0;
    if (str_equal(type, "ERROR"))
        r = error_set(w->err, EREMOTEIO, "%s", field_text_or_empty(object, "message"));
    else if (str_equal(type, "BOOKMARK"))
        w->initial_over = true;
    else if (object) {
        take(w, type, object);
        tell_guard(w, object);
    }
    json_decref(message);
    return r < 0 ? r : judge_news(w);
}

// The newest warnings about a pod, or about manifests where there is no pod.
static void explain_events(const struct wait *w, const json_t *pod, struct buffer *out)
{
    _cleanup_free_ char *name = client_escape(field_text_or_empty(pod, "metadata.name"));
    _cleanup_free_ char *path = xasprintf("/mainstay/v1/events?pod=%s", name);
    json_t *list = NULL;
    if (client_get(w->client, path, &list, NULL) < 0)
        return;
    const json_t *items = field_at(list, "items");
    size_t told = 0;
    for (size_t i = json_array_size(items); i-- > 0 && told < EVENTS_TOLD;) {
        const json_t *event = json_array_get(items, i);
        if (!str_equal(field_text(event, "type"), "Warning"))
            continue;
        buffer_printf(out, "  event %s: %s\n", field_text_or_empty(event, "reason"),
                      field_text_or_empty(event, "message"));
        told++;
    }
    json_decref(list);
}

static int gather(void *userdata, const char *data, size_t len)
{
    buffer_add(userdata, data, len);
    return 0;
}

// What a container that ended wrote last.
static void explain_last_words(const struct wait *w, const json_t *pod, const json_t *status,
                               struct buffer *out)
{
    bool runs = json_is_object(field_at(status, "state.running"));
    bool ended = json_is_object(field_at(status, "lastState.terminated")) ||
                 json_is_object(field_at(status, "state.terminated"));
    if (!ended || field_true(status, "ready"))
        return;
    _cleanup_free_ char *ns = client_escape(field_text_or_empty(pod, "metadata.namespace"));
    _cleanup_free_ char *name = client_escape(field_text_or_empty(pod, "metadata.name"));
    _cleanup_free_ char *container = client_escape(field_text_or_empty(status, "name"));
    _cleanup_free_ char *path = xasprintf("/containerLogs/%s/%s/%s?tailLines=%d%s", ns, name,
                                          container, LINES_TOLD, runs ? "&previous=true" : "");
    _cleanup_client_ struct client *client = client_new(client_socket(w->client));
    _cleanup_buffer_ struct buffer log = BUFFER_EMPTY;
    char *save = NULL;
    client_add_data(client, path, gather, &log);
    if (client_run(client, monotime_add_ms(monotime_now(), LOG_WAIT_MS), NULL) < 0 || !log.data)
        return;
    for (char *line = strtok_r(log.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        buffer_printf(out, "  log of %s: %s\n", field_text_or_empty(status, "name"), line);
}

static void explain_missing(const struct wait *w, struct buffer *out)
{
    json_t *list = NULL;
    buffer_add_str(out, "  there is no such pod\n");
    if (client_get(w->client, "/mainstay/v1/manifests", &list, NULL) < 0)
        return;
    const json_t *items = field_at(list, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *findings = field_at(json_array_get(items, i), "findings");
        if (!str_equal(field_text(json_array_get(items, i), "state"), "Refused"))
            continue;
        for (size_t j = 0; j < json_array_size(findings); j++)
            buffer_printf(out, "  refused: %s\n",
                          field_text_or_empty(json_array_get(findings, j), "text"));
    }
    json_decref(list);
}

static void explain_failed_trial(const json_t *pod, struct buffer *out)
{
    const char *name = field_text_or_empty(pod, "metadata.name");
    bool runs_on = field_true(pod, "mainstay.trial.runsOn");
    buffer_printf(out, "pod/%s failed its trial as revision %lld%s:\n  %s\n", name,
                  field_int(pod, "mainstay.trial.revision"),
                  runs_on ? "" : ", and the last good one is back",
                  field_text_or_empty(pod, "mainstay.trial.message"));
    buffer_printf(out, "  see `mainstay history %s`%s\n", name,
                  runs_on ? "" : "; `mainstay rollback` sets the manifest back");
}

static void explain(const struct wait *w, const struct pod_target *target, struct buffer *out)
{
    static const char *const goals[] = {[POD_GOAL_READY] = "not ready",
                                        [POD_GOAL_GONE] = "still there",
                                        [POD_GOAL_CONFIRMED] = "not ready",
                                        [POD_GOAL_APPLIED] = "not what its manifest says"};
    const json_t *pod = find(w, target);
    struct pod_view view;
    if (w->goal == POD_GOAL_CONFIRMED && find_failed(w, target)) {
        explain_failed_trial(find_failed(w, target), out);
        return;
    }
    if (!pod)
        pod = find_guarded(w, target);
    buffer_printf(out, "pod/%s is %s", pod ? field_text(pod, "metadata.name") : target->name,
                  goals[w->goal]);
    if (!pod) {
        buffer_add_str(out, ":\n");
        explain_missing(w, out);
        return;
    }
    pod_view_read(pod, &view);
    buffer_printf(out, " (%s, %lld/%lld ready):\n", view.status, view.ready, view.total);
    if (w->goal == POD_GOAL_GONE && !field_true(pod, "mainstay.removing") &&
        !field_text(pod, "mainstay.guard"))
        buffer_printf(out, "  its manifest is still there: %s\n",
                      field_text_or_empty(pod, "mainstay.file"));
    pod_explain_unready(pod, out);
    const json_t *statuses = field_at(pod, "status.containerStatuses");
    for (size_t i = 0; i < json_array_size(statuses); i++)
        explain_last_words(w, pod, json_array_get(statuses, i), out);
    explain_events(w, pod, out);
    buffer_printf(out, "  see `mainstay describe pod %s` and `mainstay logs %s`\n",
                  field_text_or_empty(pod, "metadata.name"),
                  field_text_or_empty(pod, "metadata.name"));
}

static int fail(const struct wait *w, int code, const char *prefix)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < w->n; i++)
        if (!is_reached(w, &w->targets[i]))
            explain(w, &w->targets[i], &text);
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        buffer_truncate(&text, text.len - 1);
    _cleanup_free_ char *safe = term_safe(buffer_str(&text));
    return error_set(w->err, code, "%s%s", prefix, safe);
}

// ALL_REACHED once the goal was reached and kept, or what else ended the wait.
static int run(struct wait *w, int64_t settle_usec, monotime deadline)
{
    int r = client_run(w->client, deadline, w->err);
    while ((r == ALL_REACHED && settle_usec > 0) || r == LOST_AGAIN) {
        w->settling = judge(w) == ALL_REACHED;
        w->restarts = count_restarts(w);
        monotime settled = monotime_add_usec(monotime_now(), settle_usec);
        monotime until = w->settling ? monotime_min(settled, deadline) : deadline;
        r = client_run(w->client, until, w->err);
        if (w->settling && r == -ETIMEDOUT)
            return ALL_REACHED;
    }
    return r;
}

int pods_wait(struct client *client, const struct pod_target *targets, size_t n, enum pod_goal goal,
              int64_t settle_usec, monotime deadline, struct error *err)
{
    struct wait w = {
        .client = client,
        .targets = targets,
        .n = n,
        .goal = goal,
        .pods = json_object(),
        .progress = term_is_live(stderr),
        .err = err,
    };
    client_add_lines(client, "/mainstay/v1/pods?watch=true", take_line, &w);
    int r = run(&w, settle_usec, deadline);
    client_drop_streams(client);
    if (w.progress)
        fprintf(stderr, "\r\033[K");
    if (r == ALL_REACHED)
        r = 0;
    else if (r == IN_VAIN)
        r = fail(&w, ECANCELED, "");
    else if (r == -ETIMEDOUT)
        r = fail(&w, ETIMEDOUT, "timed out: ");
    else if (r == 0)
        r = error_set(err, ENOTCONN,
                      "the agent ended the watch; did it stop? See `systemctl status "
                      "mainstayd`.");
    json_decref(w.pods);
    free(w.guard_told);
    return r;
}
