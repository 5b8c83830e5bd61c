// See status-screen.h: what an operator could do now.
#include <string.h>

#include "base/string-list.h"
#include "cli/field.h"
#include "cli/pod-view.h"
#include "cli/status-screen.h"

bool status_is_watched(const json_t *status, const char *quality)
{
    const json_t *watchers = field_at(status, "watchers");
    for (size_t i = 0; i < json_array_size(watchers); i++)
        if (!json_is_false(field_at(json_array_get(watchers, i), quality)))
            return true;
    return false;
}

static void advise_watching(const json_t *status, struct buffer *out)
{
    if (!status_is_watched(status, "restarts"))
        buffer_add_str(out, "Nobody restarts the agent if it dies: run it from systemd "
                            "(`systemctl enable --now mainstayd`) or under monit (`mainstay monit "
                            "--out /etc/monit/conf-enabled/mainstay && monit reload`). Its pods "
                            "would live on.\n");
    else if (!status_is_watched(status, "noticesHangs"))
        buffer_add_str(out, "Nobody notices if the agent hangs: set WatchdogSec= in its systemd "
                            "unit, or let monit ask for its health (`mainstay monit`).\n");
}

static void advise_agent(const struct status_view *view, struct buffer *out)
{
    const json_t *status = view->status;
    const char *directory = field_text_or_empty(status, "directories.manifests");
    if (!field_true(status, "live"))
        buffer_printf(out, "The agent is not well (%s): `journalctl -u mainstayd -n 50`.\n",
                      field_text_or_empty(status, "unhealthy"));
    advise_watching(status, out);
    const char *refused = field_text(status, "configuration.refused");
    if (refused)
        buffer_printf(out,
                      "The configuration file is refused, the one before it is in force: %s. Mend "
                      "it, then `mainstay reload`.\n",
                      refused);
    if (json_is_false(field_at(status, "manifestsPresent")))
        buffer_printf(out, "The manifest directory does not exist: `mkdir -p %s`.\n", directory);
    else if (json_array_size(view->manifests) == 0 && field_true(status, "synced"))
        buffer_printf(out, "No manifest yet: put one into %s, or `mainstay apply FILE`.\n",
                      directory);
}

static long long last_exit(const json_t *pod)
{
    const json_t *statuses = field_at(pod, "status.containerStatuses");
    for (size_t i = 0; i < json_array_size(statuses); i++) {
        const json_t *status = json_array_get(statuses, i);
        const json_t *last = field_at(status, "lastState.terminated");
        if (str_equal(field_text(status, "state.waiting.reason"), "CrashLoopBackOff"))
            return field_int(last, "signal") ? 128 + field_int(last, "signal")
                                             : field_int(last, "exitCode");
    }
    return 0;
}

static void advise_pod(const json_t *pod, struct buffer *out)
{
    struct pod_view view;
    const char *name = field_text_or_empty(pod, "metadata.name");
    pod_view_read(pod, &view);
    if (strstr(view.status, "CrashLoopBackOff"))
        buffer_printf(out,
                      "%s keeps ending (last exit status %lld): see `mainstay logs -p %s`; once "
                      "mended, `mainstay retry %s` tries at once.\n",
                      name, last_exit(pod), name, name);
    else if (str_starts_with(view.status, "Held"))
        buffer_printf(out, "%s was stopped by an operator: `mainstay start %s` lets it run.\n",
                      name, name);
    else if (field_text(pod, "mainstay.heldBack"))
        buffer_printf(out, "%s runs on as it was before its manifest changed: %s.\n", name,
                      field_text(pod, "mainstay.heldBack"));
    else if (field_text(pod, "mainstay.guard"))
        buffer_printf(out, "%s is to be stopped, but runs on: %s.\n", name,
                      field_text(pod, "mainstay.guard"));
    else if (str_starts_with(view.status, "Dependency"))
        buffer_printf(out, "%s does not start yet: %s.\n", name,
                      field_text_or_empty(pod, "mainstay.message"));
    else if (strstr(view.status, "FailedTrial"))
        buffer_printf(out,
                      "%s failed its trial, and an earlier spec of %s runs: see `mainstay history "
                      "%s`, then mend it, or `mainstay rollback %s`.\n",
                      field_text_or_empty(pod, "mainstay.file"), name, name, name);
    else if (view.style == TERM_RED)
        buffer_printf(out, "%s is in trouble (%s): see `mainstay describe pod %s`.\n", name,
                      view.status, name);
}

static void advise_manifest(const json_t *manifest, struct buffer *out)
{
    const char *state = field_text_or_empty(manifest, "state");
    const char *file = field_text_or_empty(manifest, "file");
    if (str_equal(state, "Refused"))
        buffer_printf(out, "%s is refused%s: mend it and check it with `mainstay validate %s`.\n",
                      file, field_true(manifest, "lastGood") ? ", the last good one runs on" : "",
                      file);
    else if (str_equal(state, "Conflict"))
        buffer_printf(out, "%s claims a pod that %s provides: remove one of the two.\n", file,
                      field_text_or_empty(manifest, "conflictWith"));
}

void status_advise(const struct status_view *view, struct buffer *out)
{
    advise_agent(view, out);
    for (size_t i = 0; i < json_array_size(view->manifests); i++)
        advise_manifest(json_array_get(view->manifests, i), out);
    for (size_t i = 0; i < json_array_size(view->pods); i++)
        advise_pod(json_array_get(view->pods, i), out);
}
