// The line that `systemctl status` shows. A burst of changes is told once, soon after it began, so
// that neither the agent nor the service manager works for each of a thousand pods.
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "supervisor/agent.h"

enum {
    SOON_USEC = 200000,
    NAMES_MOST = 3, // further ones are counted
};

static void add_name(struct buffer *names, size_t n, const char *name)
{
    if (n < NAMES_MOST)
        buffer_printf(names, "%s%s", n > 0 ? ", " : "", name);
}

static void close_names(struct buffer *names, size_t n)
{
    if (n > NAMES_MOST)
        buffer_printf(names, " and %zu more", n - NAMES_MOST);
}

static void describe_pods(const struct pods *pods, struct buffer *out)
{
    _cleanup_free_ struct pod_worker **workers = NULL;
    _cleanup_buffer_ struct buffer names = BUFFER_EMPTY;
    size_t n = pods_list(pods, &workers), ready = 0, waiting = 0, held = 0, completed = 0;
    for (size_t i = 0; i < n; i++) {
        if (pod_worker_is_ready(workers[i]))
            ready++;
        else if (workers[i]->held)
            held++;
        else if (str_equal(pod_worker_phase(workers[i]), "Succeeded"))
            completed++;
        else
            add_name(&names, waiting++, workers[i]->pod->metadata.name);
    }
    close_names(&names, waiting);
    buffer_printf(out, "%zu %s, %zu ready", n, n == 1 ? "pod" : "pods", ready);
    if (waiting > 0)
        buffer_printf(out, ", %zu not ready (%s)", waiting, buffer_str(&names));
    if (held > 0)
        buffer_printf(out, ", %zu held", held);
    if (completed > 0)
        buffer_printf(out, ", %zu completed", completed);
}

static void describe_manifests(const struct agent *agent, struct buffer *out)
{
    _cleanup_free_ struct manifest_status *files = NULL;
    _cleanup_buffer_ struct buffer names = BUFFER_EMPTY;
    size_t n = manifest_source_list(agent->source, &files), bad = 0;
    for (size_t i = 0; i < n; i++)
        if (files[i].state != MANIFEST_ACCEPTED)
            add_name(&names, bad++, files[i].file);
    close_names(&names, bad);
    if (bad > 0)
        buffer_printf(out, "; %zu %s not in force: %s", bad,
                      bad == 1 ? "manifest is" : "manifests are", buffer_str(&names));
    if (access(agent->config->manifest_path, F_OK) < 0)
        buffer_printf(out, "; %s does not exist", agent->config->manifest_path);
}

void agent_status_tell(struct agent *agent)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (!notify_is_heard(agent->notify) || !agent->source)
        return;
    if (agent->stop_pods)
        buffer_add_str(&text, "The pods are being stopped, then the agent ends: ");
    describe_pods(agent->pods, &text);
    describe_manifests(agent, &text);
    if (agent->refused)
        buffer_printf(&text, "; the configuration before it stays in force: %s", agent->refused);
    notify_status(agent->notify, "%s", buffer_str(&text));
}

static int on_soon(sd_event_source *source, uint64_t usec, void *userdata)
{
    agent_status_tell(userdata);
    return 0;
}

void agent_status_changed(struct agent *agent)
{
    int enabled = SD_EVENT_OFF;
    if (!notify_is_heard(agent->notify) || !agent->synced)
        return;
    if (!agent->status_timer) {
        if (sd_event_add_time_relative(agent->loop, &agent->status_timer, CLOCK_MONOTONIC,
                                       SOON_USEC, 0, on_soon, agent) < 0)
            agent->status_timer = NULL; // the next change tries again
        return;
    }
    if (sd_event_source_get_enabled(agent->status_timer, &enabled) > 0)
        return;
    sd_event_source_set_time_relative(agent->status_timer, SOON_USEC);
    sd_event_source_set_enabled(agent->status_timer, SD_EVENT_ONESHOT);
}
