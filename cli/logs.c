// `mainstay logs`: what a container wrote, from the agent (which reads its log files), and where it
// does not answer or knows nothing of it, from the log files themselves or the journal.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/fs.h"
#include "base/time-format.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/container-choice.h"
#include "cli/field.h"
#include "cli/logs.h"

// One container whose log is shown.
struct log_source {
    struct logs *logs;
    char *prefix; // "[pod/etcd-n1/etcd] ", "" for none
};

struct logs {
    const struct logs_options *options;
    struct client *client;
    struct log_source *sources;
    size_t n;
    bool shown;                   // something was written: no other source can take over
    char *namespace_, *pod, *uid; // of the pod, where the agent knows it
};

static const struct option logs_options[] = {
    OPT_BOOL(logs_options, follow, .letter = 'f', .name = "follow",
             .help = "Go on with what is being written, until that run of the container is over"),
    OPT_BOOL(logs_options, previous, .letter = 'p', .name = "previous",
             .help = "The run before this one: why did it restart?"),
    OPT_STRING(logs_options, container, .letter = 'c', .name = "container", .argument = "CONTAINER",
               .help = "Which container, where the pod has several"),
    OPT_BOOL(logs_options, all_containers, .name = "all-containers",
             .help = "All containers of the pod"),
    OPT_BOOL(logs_options, prefix, .name = "prefix",
             .help = "Begin every line with its pod and container"),
    OPT_DURATION(logs_options, since_nsec, .name = "since", .argument = "DURATION",
                 .help = "Only lines newer than 5s, 2m or 3h"),
    OPT_STRING(logs_options, since_time, .name = "since-time", .argument = "TIME",
               .help = "Only lines after this moment (2026-11-21T06:48:19Z)"),
    OPT_INT(logs_options, tail, .name = "tail", .argument = "LINES", .min = -1,
            .help = "Only the last lines (-1: all)"),
    OPT_INT(logs_options, limit_bytes, .name = "limit-bytes", .argument = "BYTES",
            .help = "Stop after that many bytes"),
    OPT_BOOL(logs_options, timestamps, .name = "timestamps",
             .help = "Begin every line with its time"),
    OPT_STRING(logs_options, scope.namespace_, .letter = 'n', .name = "namespace",
               .argument = "NAMESPACE", .help = "The pod's namespace (default: any)"),
    OPT_STRING(logs_options, source, .name = "source", .argument = "SOURCE",
               .values = (const char *const[]){"auto", "files", "journal", NULL},
               .help = "Who tells: the agent, else the log files, else the journal (auto); or only "
                       "the files, or the journal"),
    OPT_STRING(logs_options, pod_log_dir, .name = "pod-log-dir", .argument = "DIR",
               .help = "Where the log files are, if the agent cannot say so (default: "
                       "/var/log/pods)"),
    COMMON_OPTIONS(logs_options),
};

static char *log_path(const struct logs_options *o, const json_t *pod, const char *container)
{
    struct buffer b = BUFFER_EMPTY;
    _cleanup_free_ char *ns = client_escape(field_text_or_empty(pod, "metadata.namespace"));
    _cleanup_free_ char *name = client_escape(field_text_or_empty(pod, "metadata.name"));
    _cleanup_free_ char *escaped = client_escape(container);
    buffer_printf(&b, "/containerLogs/%s/%s/%s?", ns, name, escaped);
    if (o->follow)
        buffer_add_str(&b, "follow=true&");
    if (o->previous)
        buffer_add_str(&b, "previous=true&");
    if (o->timestamps)
        buffer_add_str(&b, "timestamps=true&");
    if (o->tail >= 0)
        buffer_printf(&b, "tailLines=%lld&", (long long)o->tail);
    if (o->limit_bytes > 0)
        buffer_printf(&b, "limitBytes=%lld&", (long long)o->limit_bytes);
    if (o->since_nsec > 0) // whole seconds, rounded up as kubectl does
        buffer_printf(&b, "sinceSeconds=%lld&",
                      (long long)((o->since_nsec + NSEC_PER_SEC - 1) / NSEC_PER_SEC));
    if (o->since_time) {
        _cleanup_free_ char *since = client_escape(o->since_time);
        buffer_printf(&b, "sinceTime=%s&", since);
    }
    buffer_truncate(&b, b.len - 1); // the last "&", or the "?" where there is no parameter
    return buffer_take(&b);
}

static int write_through(void *userdata, const char *data, size_t len)
{
    struct log_source *source = userdata;
    source->logs->shown = true;
    fwrite(data, 1, len, stdout);
    fflush(stdout);
    return ferror(stdout) ? -EIO : 0;
}

static int write_line(void *userdata, const char *line, size_t len)
{
    struct log_source *source = userdata;
    source->logs->shown = true;
    fputs(source->prefix, stdout);
    fwrite(line, 1, len, stdout);
    putchar('\n');
    fflush(stdout);
    return ferror(stdout) ? -EIO : 0;
}

static int choose_containers(const struct logs_options *o, const json_t *pod,
                             struct string_list *ret, struct error *err)
{
    const char *name;
    if (o->all_containers) {
        pod_container_names(pod, ret);
        return 0;
    }
    int r = pod_choose_container(pod, o->container, &name, err);
    if (r == 0)
        string_list_add(ret, name);
    return r;
}

// Containers after each other; all at once with -f.
static int show_logs(struct logs *logs, const json_t *pod, const struct string_list *containers,
                     struct error *err)
{
    int r = 0;
    logs->sources = xcalloc(containers->n, sizeof(*logs->sources));
    logs->n = containers->n;
    bool plain = !logs->options->prefix && (containers->n == 1 || !logs->options->follow);
    for (size_t i = 0; i < containers->n && r == 0; i++) {
        const char *name = containers->items[i];
        _cleanup_free_ char *path = log_path(logs->options, pod, name);
        struct log_source *source = &logs->sources[i];
        source->logs = logs;
        source->prefix =
            logs->options->prefix
                ? xasprintf("[pod/%s/%s] ", field_text_or_empty(pod, "metadata.name"), name)
                : xstrdup("");
        if (plain)
            client_add_data(logs->client, path, write_through, source);
        else
            client_add_lines(logs->client, path, write_line, source);
        if (!logs->options->follow)
            r = client_run(logs->client, MONOTIME_NEVER, err);
    }
    if (r == 0 && logs->options->follow)
        r = client_run(logs->client, MONOTIME_NEVER, err);
    return r;
}

static int logs_from_agent(struct logs *logs, const char *name, struct error *err)
{
    _cleanup_free_ char *path = client_pod_path(logs->options->scope.namespace_, name, "");
    _cleanup_string_list_ struct string_list containers = {0};
    json_t *pod = NULL;
    int r = client_get(logs->client, path, &pod, err);
    if (r == 0) {
        logs->namespace_ = xstrdup(field_text_or_empty(pod, "metadata.namespace"));
        logs->pod = xstrdup(field_text_or_empty(pod, "metadata.name"));
        logs->uid = xstrdup(field_text_or_empty(pod, "metadata.uid"));
        r = choose_containers(logs->options, pod, &containers, err);
    }
    if (r == 0)
        r = show_logs(logs, pod, &containers, err);
    json_decref(pod);
    for (size_t i = 0; i < logs->n; i++)
        free(logs->sources[i].prefix);
    free(logs->sources);
    return r;
}

// ---- other sources ----

// Where the pods' logs are: as told, as the agent says, or where an agent of this user has them.
static char *pod_log_dir(const struct logs *logs, bool agent_answers)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    const char *home = geteuid() == 0 ? NULL : getenv("HOME");
    json_t *status = NULL;
    char *dir = NULL;
    if (logs->options->pod_log_dir)
        return xstrdup(logs->options->pod_log_dir);
    if (agent_answers && client_get(logs->client, "/mainstay/v1/status", &status, &err) == 0)
        dir = xstrdup_or_null(field_text(status, "directories.podLogs"));
    json_decref(status);
    if (!dir)
        dir = home ? path_join(home, ".local/state/mainstay/pods") : xstrdup("/var/log/pods");
    return dir;
}

// 0, or the error: the agent's own answer, which is in *err, where nobody else knows more.
static int logs_from_others(struct logs *logs, const char *name, int agents_answer,
                            struct error *err)
{
    _cleanup_error_ struct error other = ERROR_NONE;
    _cleanup_free_ char *dir = pod_log_dir(logs, agents_answer == -ENOENT);
    struct logs_whose whose = {
        .namespace_ = logs->pod ? logs->namespace_ : logs->options->scope.namespace_,
        .pod = logs->pod ? logs->pod : name,
        .uid = logs->uid,
        .note = agents_answer == -ENOTCONN ? "the agent cannot be reached"
                : logs->pod                ? "the agent has no log of it"
                                           : "the agent knows no such pod",
    };
    int r = logs_from_files(logs->options, dir, &whose, &other);
    if (r == -ENOENT || r == -EACCES) {
        error_clear(&other);
        r = logs_from_journal(logs->options, &whose, &other);
    }
    if (r == 0)
        return 0;
    if (r != -EINVAL && r != -EIO)
        return agents_answer;
    return error_set(err, -r, "%s", error_message(&other));
}

static int logs_from_source(struct logs *logs, const char *name, struct error *err)
{
    const struct logs_options *o = logs->options;
    struct logs_whose whose = {.namespace_ = o->scope.namespace_, .pod = name};
    if (str_equal(o->source, "journal"))
        return logs_from_journal(o, &whose, err);
    if (str_equal(o->source, "files")) {
        _cleanup_free_ char *dir = pod_log_dir(logs, true);
        return logs_from_files(o, dir, &whose, err);
    }
    int r = logs_from_agent(logs, name, err);
    bool others = (r == -ENOTCONN || r == -ENOENT) && !logs->shown;
    return others ? logs_from_others(logs, name, r, err) : r;
}

static const char *wrong_combination(const struct logs_options *o)
{
    walltime t;
    if (o->follow && o->previous)
        return "-f and -p do not go together: the previous run is over";
    if (o->since_nsec > 0 && o->since_time)
        return "--since and --since-time do not go together";
    if (o->container && o->all_containers)
        return "-c and --all-containers do not go together";
    if (o->since_time && walltime_parse(o->since_time, &t) < 0)
        return "--since-time wants a moment such as 2026-11-21T06:48:19Z";
    return NULL;
}

static int cmd_logs(int argc, char **argv)
{
    struct logs_options options = {.tail = -1};
    _cleanup_options_rest_ struct options_rest rest = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    int status;
    if (!command_parse(&command_logs, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n == 2 && !options.container) // kubectl: logs POD CONTAINER
        options.container = rest.arguments[1];
    else if (rest.n != 1)
        return command_usage_error(&command_logs, "say whose logs: mainstay logs NAME");
    const char *wrong = wrong_combination(&options);
    if (wrong)
        return command_usage_error(&command_logs, "%s", wrong);
    const char *name = rest.arguments[0];
    if (str_starts_with(name, "pod/"))
        name += strlen("pod/");
    struct logs logs = {.options = &options, .client = client_new(options.common.socket)};
    int r = logs_from_source(&logs, name, &err);
    client_free(logs.client);
    free(logs.namespace_);
    free(logs.pod);
    free(logs.uid);
    return client_failed(r, &err);
}

const struct command command_logs = {
    .name = "logs",
    .group = "Look",
    .summary = "Show what a container wrote",
    .usage = "NAME [-c CONTAINER] [-f] [-p]",
    .examples = "  # The last fifty lines, and then what comes\n"
                "  mainstay logs etcd --tail 50 -f\n"
                "  # Why did it restart?\n"
                "  mainstay logs -p kube-apiserver --tail 20\n"
                "  # Everything of the last five minutes with its times\n"
                "  mainstay logs kube-apiserver --since 5m --timestamps\n"
                "  # What the journal has of it, also of a pod that is gone\n"
                "  mainstay logs etcd --source=journal --since 1h\n"
                "  # The same with journalctl\n"
                "  journalctl MAINSTAY_POD=etcd-$(hostname)",
    .options = logs_options,
    .n_options = ARRAY_SIZE(logs_options),
    .argument = ARGUMENT_POD,
    .single = true,
    .run = cmd_logs,
};
