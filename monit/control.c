// See control.h. What monit's behaviour means for the file (tried with 5.33): it tests a process's
// ports only once the process is older than its start program's time-out, so that time-out is what
// keeps a slow start or an adoption from being taken for a hang; and a failure that goes on is
// acted on again in each cycle, so that nothing else would.
#include "monit/control.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "monit/control-text.h"

enum {
    CYCLES_MOST = 64,         // monit counts failures in a word of 64 bits
    HEALTH_TIMEOUT_SEC = 10,  // of the agent's own answer
    SERVICE_MANAGER_TURNS = 2 // cycles that a service manager has to restart the agent itself
};

static const char header_characters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

static const char head[] =
    "Two services look at each pod. NAME asks the agent, as `mainstay get pod NAME -o json` does "
    "(`mainstay check pod NAME`); NAME_url asks the component itself, by the URLs of its probes. "
    "For both there is an alert and nothing else: mainstayd restarts what dies or fails its "
    "liveness probe, and of two that restart one thing, each takes the other's restart for a "
    "fault. The one thing that monit restarts is mainstayd, whose pods live on meanwhile and are "
    "found again.\n"
    "\n"
    "This file replaces the classic pair monit-kubelet and monit-docker: there is no kubelet and "
    "no container engine, so take those files away. The agent is in their groups, so `monit -g "
    "kubelet restart` goes on working (`mainstay monit --service kubelet` also gives it the name, "
    "for `monit restart kubelet`).\n";

char *monit_url_service(const char *pod)
{
    return xasprintf("%s_url", pod);
}

int monit_cycles(const struct monit_control *control, int seconds)
{
    int interval = MAX(control->interval_sec, 1);
    int cycles = (seconds + interval - 1) / interval;
    return MIN(MAX(cycles, 1), CYCLES_MOST);
}

static void add_cycles(const struct monit_control *control, int seconds, struct buffer *out)
{
    int cycles = monit_cycles(control, seconds);
    if (cycles > 1)
        buffer_printf(out, " for %d cycles", cycles);
}

static void add_every(const struct monit_control *control, int seconds, struct buffer *out)
{
    int cycles = monit_cycles(control, seconds);
    if (cycles > 1)
        buffer_printf(out, "    every %d cycles\n", cycles);
}

static int begin_service(const char *kind, const char *name, const char *where, const char *what,
                         struct buffer *out, struct error *err)
{
    buffer_printf(out, "check %s ", kind);
    int r = monit_text_string(name, out, err);
    buffer_printf(out, " %s ", where);
    if (r == 0)
        r = monit_text_string(what, out, err);
    buffer_add_str(out, "\n    group mainstay\n");
    return r;
}

// ---- URLs ----

static int add_headers(const struct monit_url *url, struct buffer *out, struct error *err)
{
    if (url->headers.n == 0)
        return 0;
    buffer_add_str(out, " with http headers [");
    for (size_t i = 0; i < url->headers.n; i++) {
        const char *name = url->headers.items[i].name;
        int r = name[strspn(name, header_characters)]
                    ? error_set(err, EINVAL, "monit takes no HTTP header of the name %s", name)
                    : 0;
        buffer_printf(out, "%s%s: ", i > 0 ? ", " : "", name);
        if (r == 0)
            r = monit_text_string(url->headers.items[i].value, out, err);
        if (r < 0)
            return r;
    }
    buffer_add_char(out, ']');
    return 0;
}

// What follows "if failed host …" or "if failed unixsocket …".
static int add_request(const struct monit_url *url, struct buffer *out, struct error *err)
{
    buffer_printf(out, " protocol %s", url->https ? "https" : "http");
    int r = add_headers(url, out, err);
    if (r < 0)
        return r;
    buffer_add_str(out, " request ");
    r = monit_text_string(url->path, out, err);
    if (url->https)
        buffer_add_str(out, " with ssl options {verify: disable, selfsigned: allow}");
    buffer_printf(out, " with timeout %d seconds", url->timeout_sec);
    return r;
}

static int add_pod_urls(const struct monit_control *control, const struct monit_pod *pod,
                        struct buffer *out, struct error *err)
{
    const char *address = pod->urls.items[0].host;
    _cleanup_free_ char *name = monit_url_service(pod->name);
    int r = begin_service("host", name, "with address", address, out, err);
    for (size_t i = 0; i < pod->urls.n && r == 0; i++) {
        const struct monit_url *url = &pod->urls.items[i];
        buffer_add_str(out, "    if failed");
        if (!str_equal(url->host, address)) {
            buffer_add_str(out, " host ");
            r = monit_text_string(url->host, out, err);
        }
        buffer_printf(out, " port %d", url->port);
        if (r == 0)
            r = add_request(url, out, err);
        add_cycles(control, pod->patience_sec, out);
        buffer_add_str(out, " then alert\n");
    }
    buffer_add_char(out, '\n');
    return r;
}

// ---- programs and pods ----

static int add_program(const struct monit_control *control, const struct monit_program *program,
                       struct buffer *out, struct error *err)
{
    if (program->about)
        monit_text_comment("", program->about, out);
    buffer_add_str(out, "check program ");
    int r = monit_text_string(program->name, out, err);
    buffer_add_str(out, " with path ");
    if (r == 0)
        r = monit_text_command(&program->command, out, err);
    buffer_printf(out, " with timeout %d seconds\n    group mainstay\n", program->timeout_sec);
    add_every(control, program->period_sec, out);
    buffer_add_str(out, "    if status != 0");
    if (program->period_sec == 0) // what is looked at rarely is told at once
        add_cycles(control, program->patience_sec, out);
    buffer_add_str(out, " then alert\n\n");
    return r;
}

static int add_pod(const struct monit_control *control, const struct monit_pod *pod,
                   struct buffer *out, struct error *err)
{
    int r = add_program(control, &pod->state, out, err);
    if (r == 0 && pod->urls.n > 0)
        r = add_pod_urls(control, pod, out, err);
    return r < 0 ? error_prefix(err, r, "pod %s", pod->name) : 0;
}

// ---- the agent ----

static int add_method(const char *method, const struct string_list *argv, int timeout_sec,
                      struct buffer *out, struct error *err)
{
    buffer_printf(out, "    %s program = ", method);
    int r = monit_text_command(argv, out, err);
    buffer_printf(out, " with timeout %d seconds\n", timeout_sec);
    return r;
}

static int add_agent_health(const struct monit_control *control, struct buffer *out,
                            struct error *err)
{
    const struct monit_agent *agent = &control->agent;
    const struct monit_url local = {.path = (char *)"/healthz", .timeout_sec = HEALTH_TIMEOUT_SEC};
    const struct monit_url *url = agent->url ? agent->url : &local;
    buffer_printf(out, "    if failed %s ", agent->url ? "host" : "unixsocket");
    int r = monit_text_string(agent->url ? url->host : agent->socket, out, err);
    if (agent->url)
        buffer_printf(out, " port %d", url->port);
    if (r == 0)
        r = add_request(url, out, err);
    add_cycles(control, MAX(agent->patience_sec, 2 * control->interval_sec), out);
    buffer_add_str(out, " then restart\n\n");
    return r;
}

static void explain_agent(const struct monit_agent *agent, struct buffer *out)
{
    _cleanup_free_ char *about = xasprintf(
        "The agent. Its health is looked at once it is older than the start program's time-out, "
        "%ds, so that reading a full directory and finding its containers again is never taken "
        "for a hang. A restart costs the pods nothing. A PID that was left in the file by kill -9 "
        "and has been given to another process does not deceive for long: the health URL does not "
        "answer then.%s",
        agent->start_timeout_sec,
        agent->has_service_manager
            ? " systemd restarts it by itself, after a second or when its watchdog was not fed for "
              "30s, so monit waits longer than that before it steps in."
            : "");
    monit_text_comment("", about, out);
}

static int add_agent(const struct monit_control *control, struct buffer *out, struct error *err)
{
    const struct monit_agent *agent = &control->agent;
    explain_agent(agent, out);
    int r = begin_service("process", agent->service, "with pidfile", agent->pid_file, out, err);
    buffer_add_str(out, "    group kubelet\n    group docker\n");
    if (r == 0)
        r = add_method("start", &agent->start, agent->start_timeout_sec, out, err);
    if (r == 0)
        r = add_method("stop", &agent->stop, agent->stop_timeout_sec, out, err);
    buffer_add_str(out, "    if does not exist");
    if (agent->has_service_manager)
        buffer_printf(out, " for %d cycles", SERVICE_MANAGER_TURNS);
    buffer_add_str(out, " then start\n");
    if (r == 0)
        r = add_agent_health(control, out, err);
    return r < 0 ? error_prefix(err, r, "the agent") : 0;
}

// ---- the file ----

static void add_head(const struct monit_control *control, struct buffer *out)
{
    _cleanup_free_ char *made = xasprintf(
        "What monit watches on this node, made by `%s`. Make it anew when a manifest comes or "
        "goes or the agent gets other flags, then `monit reload`. The numbers of cycles are meant "
        "for `set daemon %d`.\n\n",
        control->command, control->interval_sec);
    monit_text_comment("", made, out);
    monit_text_comment("", head, out);
    buffer_add_char(out, '\n');
}

int monit_control_render(const struct monit_control *control, struct buffer *out, struct error *err)
{
    add_head(control, out);
    int r = add_agent(control, out, err);
    for (size_t i = 0; i < control->pods.n && r == 0; i++)
        r = add_pod(control, &control->pods.items[i], out, err);
    for (size_t i = 0; i < control->programs.n && r == 0; i++)
        r = add_program(control, &control->programs.items[i], out, err);
    if (r == 0 && out->len > 0)
        buffer_truncate(out, out->len - 1); // the empty line after the last service
    return r;
}

// ---- the end ----

void monit_url_free(struct monit_url *url)
{
    free(url->host);
    free(url->path);
    LIST_EACH (header, &url->headers) {
        free(header->name);
        free(header->value);
    }
    free(url->headers.items);
    *url = (struct monit_url){0};
}

void monit_program_free(struct monit_program *program)
{
    free(program->name);
    free(program->about);
    string_list_free(&program->command);
    *program = (struct monit_program){0};
}

static void agent_free(struct monit_agent *agent)
{
    free(agent->service);
    free(agent->pid_file);
    free(agent->socket);
    string_list_free(&agent->start);
    string_list_free(&agent->stop);
    if (agent->url)
        monit_url_free(agent->url);
    free(agent->url);
}

void monit_control_free(struct monit_control *control)
{
    free(control->command);
    agent_free(&control->agent);
    LIST_EACH (pod, &control->pods) {
        free(pod->name);
        monit_program_free(&pod->state);
        LIST_EACH (url, &pod->urls)
            monit_url_free(url);
        free(pod->urls.items);
    }
    free(control->pods.items);
    LIST_EACH (program, &control->programs)
        monit_program_free(program);
    free(control->programs.items);
    *control = (struct monit_control){0};
}
