// Reading the configuration anew, for SIGHUP and `mainstay reload`. A wrong one is refused and
// changes nothing. One that says the same is an occasion to read the manifests again. One that says
// something else comes into force by executing the program anew in place: what runs is adopted and
// the sockets are handed over, so that nobody notices, and no setting needs code that changes it in
// a running agent.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/string-list.h"
#include "supervisor/agent.h"
#include "supervisor/api.h"

// What differs, for the program that goes on in this process to tell once it is in force.
#define VARIABLE "MAINSTAYD_RELOADED"

static const struct event_object the_node;

// Findings are one a line; here they share one.
static char *one_line(const char *text)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    for (; *text; text++) {
        if (*text == '\n')
            buffer_add_str(&out, "; ");
        else
            buffer_add_char(&out, *text);
    }
    return buffer_take(&out);
}

static void set_refused(struct agent *agent, const char *why)
{
    free(agent->refused);
    agent->refused = why ? one_line(why) : NULL;
    if (why)
        event_add(agent->events, the_node, EVENT_WARNING, "ConfigurationRefused",
                  "%s (the configuration before it stays in force)", agent->refused);
    agent_status_tell(agent);
}

static int refuse(struct agent *agent, const struct error *err)
{
    set_refused(agent, error_message(err));
    notify_ready(agent->notify);
    return err->code;
}

// The text may differ where what it says does not.
static void keep(struct agent *agent, const struct config *config)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (config_keep(config, &err) < 0)
        log_warning("the configuration is not kept for the next start: %s", error_message(&err));
}

static void rescan(struct agent *agent, const struct config *same)
{
    LIST_EACH (note, &same->notes)
        if (!string_list_contains(&agent->config->notes, *note))
            event_add(agent->events, the_node, EVENT_NORMAL, "ConfigurationNote", "%s", *note);
    keep(agent, same);
    agent->reloading = true;
    agent->reload_asked = monotime_now();
    manifest_source_rescan(agent->source);
}

static int on_idle(sd_event_source *source, void *userdata)
{
    struct agent *agent = userdata;
    agent->reexec = true;
    return sd_event_exit(agent->loop, 0);
}

// When there is nothing else to do: whoever asked has his answer then.
static int execute_anew_soon(struct agent *agent, struct error *err)
{
    sd_event_source *source = NULL;
    int code = sd_event_add_defer(agent->loop, &source, on_idle, agent);
    if (code >= 0)
        code = sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IDLE);
    if (code >= 0)
        code = sd_event_source_set_floating(source, true);
    sd_event_source_unref(source);
    return code < 0 ? error_errno(err, code, "event loop") : 0;
}

static int read_configuration(struct agent *agent, struct config *ret, struct error *err)
{
    int argc = 0;
    while (agent->argv[argc])
        argc++;
    return config_parse(argc, agent->argv, ret, err);
}

int agent_reload(struct agent *agent, struct buffer *ret_changes, struct error *err)
{
    _cleanup_error_ struct error wrong = ERROR_NONE;
    _cleanup_config_ struct config next = {0};
    notify_reloading(agent->notify);
    int code = read_configuration(agent, &next, &wrong);
    size_t n = code < 0 ? 0 : config_differences(agent->config, &next, ret_changes);
    if (code == 0 && n > 0)
        code = api_prepare(agent->api, &next, &wrong);
    if (code == 0 && n > 0)
        code = execute_anew_soon(agent, &wrong);
    if (code < 0) {
        refuse(agent, &wrong);
        return error_set(err, code, "%s", error_message(&wrong));
    }
    set_refused(agent, NULL);
    if (n == 0) {
        rescan(agent, &next);
        return 0;
    }
    log_notice("the configuration has changed (%s): the agent executes its program anew",
               buffer_str(ret_changes));
    setenv(VARIABLE, buffer_str(ret_changes), 1);
    return 1;
}

void agent_reload_receive(struct agent *agent)
{
    agent->reloaded = xstrdup_or_null(getenv(VARIABLE));
    unsetenv(VARIABLE);
    if (agent->config->refused)
        set_refused(agent, agent->config->refused);
}

void agent_reload_synced(struct agent *agent)
{
    keep(agent, agent->config);
    if (!agent->reloaded)
        return;
    event_add(agent->events, the_node, EVENT_NORMAL, "ConfigurationReloaded", "%s is in force: %s",
              agent->config->config_file, agent->reloaded);
    free(TAKE_PTR(agent->reloaded));
}

void agent_reload_scanned(struct agent *agent, monotime scanned)
{
    if (!agent->reloading || !monotime_reached(agent->reload_asked, scanned))
        return;
    agent->reloading = false;
    event_add(agent->events, the_node, EVENT_NORMAL, "ConfigurationReloaded",
              "the configuration is as before; %s was read again", agent->config->manifest_path);
    notify_ready(agent->notify);
}
