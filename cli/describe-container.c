// See describe.h: containers and volumes.
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/describe.h"
#include "cli/duration.h"
#include "cli/field.h"
#include "cli/usage.h"

static void json_scalar(const json_t *value, struct buffer *out)
{
    char *text = json_is_string(value) ? xstrdup(json_string_value(value))
                                       : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    buffer_add_str(out, text ? text : "");
    free(text);
}

static void string_items(struct buffer *out, const char *label, const json_t *items)
{
    if (json_array_size(items) == 0)
        return;
    describe_heading(out, 4, label);
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *text = json_string_value(json_array_get(items, i));
        buffer_printf(out, "      %s\n", text ? text : "");
    }
}

static void map_items(struct buffer *out, const char *label, json_t *map)
{
    const char *key;
    json_t *value;
    if (json_object_size(map) == 0)
        return;
    describe_heading(out, 4, label);
    json_object_foreach (map, key, value) {
        buffer_printf(out, "      %s: ", key);
        json_scalar(value, out);
        buffer_add_char(out, '\n');
    }
}

static void describe_ports(struct buffer *out, const json_t *ports)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < json_array_size(ports); i++) {
        const json_t *port = json_array_get(ports, i);
        const char *protocol = field_text(port, "protocol");
        buffer_printf(&text, "%s%lld/%s", i ? ", " : "", field_int(port, "containerPort"),
                      protocol ? protocol : "TCP");
        if (field_int(port, "hostPort") > 0)
            buffer_printf(&text, " (host %lld)", field_int(port, "hostPort"));
    }
    if (text.len > 0)
        describe_line(out, 4, json_array_size(ports) > 1 ? "Ports" : "Port", buffer_str(&text));
}

static void http_action(const json_t *http, struct buffer *out)
{
    const char *scheme = field_text(http, "scheme");
    const char *path = field_text_or_empty(http, "path");
    buffer_add_str(out, "http-get ");
    for (const char *c = scheme ? scheme : "HTTP"; *c; c++)
        buffer_add_char(out, (char)(*c | 0x20));
    buffer_printf(out, "://%s:", field_text_or_empty(http, "host"));
    json_scalar(field_at(http, "port"), out);
    buffer_printf(out, "%s%s", *path == '/' ? "" : "/", path);
}

static void exec_action(const json_t *exec, struct buffer *out)
{
    const json_t *command = field_at(exec, "command");
    buffer_add_str(out, "exec [");
    for (size_t i = 0; i < json_array_size(command); i++) {
        buffer_add_str(out, i ? " " : "");
        json_scalar(json_array_get(command, i), out);
    }
    buffer_add_char(out, ']');
}

// How a probe stands, in a word of its own behind kubectl's.
static const char *standing(const char *result)
{
    return !result                          ? ""
           : strcmp(result, "Success") == 0 ? " (succeeds)"
           : strcmp(result, "Failure") == 0 ? " (fails)"
                                            : " (no answer yet)";
}

// What a probe or a hook does; nothing where it is of another kind.
static void describe_action(const json_t *action, struct buffer *out)
{
    const json_t *http = field_at(action, "httpGet"), *tcp = field_at(action, "tcpSocket");
    const json_t *grpc = field_at(action, "grpc"), *exec = field_at(action, "exec");
    if (http) {
        http_action(http, out);
    } else if (tcp) {
        buffer_printf(out, "tcp-socket %s:", field_text_or_empty(tcp, "host"));
        json_scalar(field_at(tcp, "port"), out);
    } else if (grpc) {
        buffer_printf(out, "grpc <pod>:%lld %s", field_int(grpc, "port"),
                      field_text_or_empty(grpc, "service"));
    } else if (exec) {
        exec_action(exec, out);
    } else if (field_at(action, "sleep")) {
        buffer_printf(out, "sleep %llds", field_int(action, "sleep.seconds"));
    }
}

static void describe_hook(struct buffer *out, const char *label, const json_t *hook)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    describe_action(hook, &text);
    if (text.len > 0)
        describe_line(out, 4, label, buffer_str(&text));
}

static void describe_probe(struct buffer *out, const char *label, const json_t *probe,
                           const char *result)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (!probe)
        return;
    describe_action(probe, &text);
    buffer_printf(&text, " delay=%llds timeout=%llds period=%llds #success=%lld #failure=%lld%s",
                  field_int(probe, "initialDelaySeconds"), field_int(probe, "timeoutSeconds"),
                  field_int(probe, "periodSeconds"), field_int(probe, "successThreshold"),
                  field_int(probe, "failureThreshold"), standing(result));
    describe_line(out, 4, label, buffer_str(&text));
}

static void describe_moment(struct buffer *out, const char *label, const json_t *value)
{
    char text[AGE_SIZE];
    describe_line(out, 6, label, moment_format(walltime_from_json(value), text));
}

static void describe_state(struct buffer *out, const char *label, const json_t *state)
{
    const json_t *running = field_at(state, "running"), *waiting = field_at(state, "waiting");
    const json_t *terminated = field_at(state, "terminated");
    if (json_is_object(running)) {
        describe_line(out, 4, label, "Running");
        describe_moment(out, "Started", field_at(running, "startedAt"));
    } else if (json_is_object(waiting)) {
        describe_line(out, 4, label, "Waiting");
        if (field_text(waiting, "reason"))
            describe_line(out, 6, "Reason", field_text(waiting, "reason"));
        if (field_text(waiting, "message"))
            describe_line(out, 6, "Message", field_text(waiting, "message"));
    } else if (json_is_object(terminated)) {
        describe_line(out, 4, label, "Terminated");
        if (field_text(terminated, "reason"))
            describe_line(out, 6, "Reason", field_text(terminated, "reason"));
        if (field_text(terminated, "message"))
            describe_line(out, 6, "Message", field_text(terminated, "message"));
        if (field_int(terminated, "signal") != 0)
            describe_linef(out, 6, "Signal", "%lld", field_int(terminated, "signal"));
        describe_linef(out, 6, "Exit Code", "%lld", field_int(terminated, "exitCode"));
        describe_moment(out, "Started", field_at(terminated, "startedAt"));
        describe_moment(out, "Finished", field_at(terminated, "finishedAt"));
    } else if (str_equal(label, "State")) {
        describe_line(out, 4, label, "Waiting");
    }
}

static void describe_environment(struct buffer *out, const json_t *env)
{
    if (json_array_size(env) == 0) {
        describe_line(out, 4, "Environment", NULL);
        return;
    }
    describe_heading(out, 4, "Environment");
    for (size_t i = 0; i < json_array_size(env); i++) {
        const json_t *variable = json_array_get(env, i);
        const char *field = field_text(variable, "valueFrom.fieldRef.fieldPath");
        const char *resource = field_text(variable, "valueFrom.resourceFieldRef.resource");
        const char *source = field ? field : resource;
        if (source)
            describe_linef(out, 6, field_text_or_empty(variable, "name"), "(%s)", source);
        else
            describe_linef(out, 6, field_text_or_empty(variable, "name"), "%s",
                           field_text_or_empty(variable, "value"));
    }
}

static void describe_mounts(struct buffer *out, const json_t *mounts)
{
    if (json_array_size(mounts) == 0) {
        describe_line(out, 4, "Mounts", NULL);
        return;
    }
    describe_heading(out, 4, "Mounts");
    for (size_t i = 0; i < json_array_size(mounts); i++) {
        const json_t *mount = json_array_get(mounts, i);
        const char *sub_path = field_text(mount, "subPath");
        buffer_printf(out, "      %s from %s (%s%s%s)\n", field_text_or_empty(mount, "mountPath"),
                      field_text_or_empty(mount, "name"),
                      field_true(mount, "readOnly") ? "ro" : "rw", sub_path ? ",path=" : "",
                      sub_path ? sub_path : "");
    }
}

// What only the agent knows: the process, where it logs, when it is tried again.
static void describe_extension(struct buffer *out, const json_t *extension)
{
    char text[AGE_SIZE];
    if (!extension)
        return;
    describe_line(out, 4, "Agent State", field_text(extension, "state"));
    if (field_int(extension, "pid") > 0)
        describe_linef(out, 4, "PID", "%lld", field_int(extension, "pid"));
    if (field_text(extension, "command"))
        describe_line(out, 4, "Executable", field_text(extension, "command"));
    if (field_text(extension, "nextStart"))
        describe_line(out, 4, "Next Start",
                      moment_format(walltime_from_json(field_at(extension, "nextStart")), text));
    if (field_text(extension, "logPath"))
        describe_line(out, 4, "Log", field_text(extension, "logPath"));
    if (field_text(extension, "cgroup"))
        describe_line(out, 4, "Cgroup", field_text(extension, "cgroup"));
}

static void describe_usage(struct buffer *out, const json_t *stats)
{
    struct usage usage = usage_read(stats);
    char text[USAGE_SIZE];
    bool of_processes = str_equal(field_text(stats, "memory.source"), "processes");
    if (!stats)
        return;
    describe_heading(out, 4, "Usage");
    if (usage.cpu_nsec >= 0)
        describe_linef(out, 6, "cpu", "%lld.%03llds so far",
                       (long long)(usage.cpu_nsec / NSEC_PER_SEC),
                       (long long)(usage.cpu_nsec % NSEC_PER_SEC / 1000000));
    if (usage.memory_bytes >= 0)
        describe_linef(out, 6, "memory", "%s%s", usage_format_memory(usage.memory_bytes, text),
                       of_processes ? " (resident sets of its processes)" : "");
    if (usage.threads >= 0)
        describe_line(out, 6, "threads", usage_format_number(usage.threads, text));
}

void describe_container(struct buffer *out, const json_t *spec, const json_t *status,
                        const json_t *extension)
{
    describe_heading(out, 2, field_text_or_empty(spec, "name"));
    describe_line(out, 4, "Image", field_text(spec, "image"));
    describe_ports(out, field_at(spec, "ports"));
    string_items(out, "Command", field_at(spec, "command"));
    string_items(out, "Args", field_at(spec, "args"));
    describe_state(out, "State", field_at(status, "state"));
    describe_state(out, "Last State", field_at(status, "lastState"));
    describe_line(out, 4, "Ready", field_true(status, "ready") ? "True" : "False");
    describe_linef(out, 4, "Restart Count", "%lld", field_int(status, "restartCount"));
    if (field_text(spec, "restartPolicy"))
        describe_line(out, 4, "Restart Policy", field_text(spec, "restartPolicy"));
    describe_extension(out, extension);
    map_items(out, "Limits", field_at(spec, "resources.limits"));
    map_items(out, "Requests", field_at(spec, "resources.requests"));
    map_items(out, "Enforced", field_at(extension, "limits"));
    describe_usage(out, field_at(extension, "usage"));
    describe_probe(out, "Liveness", field_at(spec, "livenessProbe"),
                   field_text(extension, "probes.liveness"));
    describe_probe(out, "Readiness", field_at(spec, "readinessProbe"),
                   field_text(extension, "probes.readiness"));
    describe_probe(out, "Startup", field_at(spec, "startupProbe"),
                   field_text(extension, "probes.startup"));
    describe_hook(out, "Post Start", field_at(spec, "lifecycle.postStart"));
    describe_hook(out, "Pre Stop", field_at(spec, "lifecycle.preStop"));
    describe_environment(out, field_at(spec, "env"));
    describe_mounts(out, field_at(spec, "volumeMounts"));
}

static void describe_volume(struct buffer *out, json_t *volume)
{
    const json_t *host_path = field_at(volume, "hostPath"), *empty = field_at(volume, "emptyDir");
    const char *key;
    json_t *value;
    describe_heading(out, 2, field_text_or_empty(volume, "name"));
    if (host_path) {
        const char *type = field_text(host_path, "type");
        describe_linef(out, 4, "HostPath", "%s%s%s%s", field_text_or_empty(host_path, "path"),
                       type ? " (" : "", type ? type : "", type ? ")" : "");
        return;
    }
    if (empty) {
        const char *medium = field_text(empty, "medium");
        describe_line(out, 4, "EmptyDir", medium ? medium : "on disk, gone with the pod");
        return;
    }
    json_object_foreach (volume, key, value)
        if (!str_equal(key, "name")) {
            char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
            describe_line(out, 4, key, text);
            free(text);
        }
}

void describe_volumes(struct buffer *out, const json_t *volumes)
{
    if (json_array_size(volumes) == 0) {
        describe_line(out, 0, "Volumes", NULL);
        return;
    }
    describe_heading(out, 0, "Volumes");
    for (size_t i = 0; i < json_array_size(volumes); i++)
        describe_volume(out, json_array_get(volumes, i));
}
