// `mainstay restart`, `retry`, `stop` and `start`: one request to the agent per pod.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string-list.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/field.h"
#include "cli/guard-wait.h"

struct lifecycle_options {
    struct common_options common;
    const char *namespace_, *container;
    bool all, exit, force;
};

#define NAMESPACE_OPTION                                                                           \
    OPT_STRING(lifecycle_options, namespace_, .letter = 'n', .name = "namespace",                  \
               .argument = "NAMESPACE", .help = "The pods' namespace (default: any)")

#define FORCE_OPTION                                                                               \
    OPT_BOOL(lifecycle_options, force, .name = "force",                                            \
             .help = "Also where etcd loses its quorum by it (mainstay.dev/quorum-guard)")

static const struct option plain_options[] = {
    NAMESPACE_OPTION,
    COMMON_OPTIONS(lifecycle_options),
};

static const struct option restart_options[] = {
    OPT_STRING(lifecycle_options, container, .letter = 'c', .name = "container",
               .argument = "CONTAINER", .help = "Only this container"),
    FORCE_OPTION,
    NAMESPACE_OPTION,
    COMMON_OPTIONS(lifecycle_options),
};

static const struct option stop_options[] = {
    OPT_BOOL(lifecycle_options, all, .name = "all", .help = "Every pod of this node"),
    OPT_BOOL(lifecycle_options, exit, .name = "exit",
             .help = "With --all: hold none, end the agent too, and come back when it has ended"),
    FORCE_OPTION,
    NAMESPACE_OPTION,
    COMMON_OPTIONS(lifecycle_options),
};

static int post(struct client *client, const char *path, const char *fallback, struct error *err)
{
    _cleanup_free_ char *message = NULL;
    int r = client_post(client, path, &message, err);
    if (r == 0)
        puts(message ? message : fallback);
    return r;
}

static int post_pod(struct client *client, const struct lifecycle_options *options,
                    const char *verb, const char *name, struct error *err)
{
    if (str_starts_with(name, "pod/"))
        name += strlen("pod/");
    _cleanup_free_ char *container = client_escape(options->container ? options->container : "");
    _cleanup_free_ char *suffix =
        xasprintf("/%s%s%s%s", verb, *container ? "?container=" : "", container,
                  !options->force ? ""
                  : *container    ? "&force=true"
                                  : "?force=true");
    _cleanup_free_ char *path = client_pod_path(options->namespace_, name, suffix);
    _cleanup_free_ char *fallback = xasprintf("pod/%s: %s is under way", name, verb);
    json_t *answer = NULL;
    int r = client_post_json(client, path, &answer, err);
    if (r < 0)
        return r;
    const char *message = field_text(answer, "message");
    bool waits = field_true(answer, "guardAsked");
    puts(message ? message : fallback);
    fflush(stdout);
    json_decref(answer);
    return waits ? guard_wait(client, options->namespace_, name, err) : 0;
}

static int ignore_line(void *userdata, const char *line, size_t len)
{
    return 0;
}

enum { ENDED = 1 };

static int on_end(void *userdata)
{
    return ENDED;
}

// A descriptor that is readable when the agent has ended: its process, if that can be seen from
// here (not from another container), else -ESRCH.
static int agent_process(struct client *client)
{
    _cleanup_buffer_ struct buffer name = BUFFER_EMPTY;
    json_t *status = NULL;
    if (client_get(client, "/mainstay/v1/status", &status, NULL) < 0)
        return -ESRCH;
    pid_t pid = (pid_t)field_int(status, "pid");
    json_decref(status);
    _cleanup_close_ int process = process_pidfd(pid);
    _cleanup_free_ char *comm = xasprintf("/proc/%d/comm", (int)pid);
    if (process < 0 || fs_read_file(AT_FDCWD, comm, 64, &name) < 0 ||
        !str_equal(buffer_str(&name), "mainstayd\n"))
        return -ESRCH;
    return TAKE_FD(process);
}

// The agent ends when its pods have. Its process tells: a connection cannot be relied on, for the
// service manager keeps the socket, and lets in who comes a moment too late for this agent. Where
// there is no process to be seen, a stream is waited for that ends with the agent.
static int stop_all_and_exit(struct client *client, struct error *err)
{
    _cleanup_close_ int process = agent_process(client);
    if (process >= 0)
        client_add_fd(client, process, on_end, NULL);
    else
        client_add_lines(client, "/mainstay/v1/events?watch=true", ignore_line, NULL);
    int r = client_post(client, "/mainstay/v1/stop-all?exit=true", NULL, err);
    if (r < 0)
        return r;
    r = client_run(client, MONOTIME_NEVER, err);
    if (r == -ENOTCONN) // it was faster
        error_clear(err);
    else if (r < 0)
        return r;
    puts("the agent has ended");
    return 0;
}

static int stop_all(struct client *client, const struct lifecycle_options *options,
                    struct error *err)
{
    if (options->exit)
        return stop_all_and_exit(client, err);
    return post(client, "/mainstay/v1/stop-all", "every pod is being stopped", err);
}

// The worst status of all pods: the others are still dealt with.
static int run_lifecycle(const struct command *command, int argc, char **argv)
{
    struct lifecycle_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status;
    if (!command_parse(command, argc, argv, &options, &rest, &status))
        return status;
    if (options.all && rest.n > 0)
        return command_usage_error(command, "--all and names do not go together");
    if (options.force && options.all)
        return command_usage_error(command, "--force goes with names");
    if (options.exit && !options.all)
        return command_usage_error(command, "--exit goes with --all");
    if (!options.all && rest.n == 0)
        return command_usage_error(command, "say which pod: mainstay %s NAME", command->name);
    _cleanup_client_ struct client *client = client_new(options.common.socket);
    status = CLI_DONE;
    for (size_t i = 0; i < (options.all ? 1 : rest.n) && status != CLI_UNREACHABLE; i++) {
        _cleanup_error_ struct error err = ERROR_NONE;
        int r = options.all ? stop_all(client, &options, &err)
                            : post_pod(client, &options, command->name, rest.arguments[i], &err);
        int one = client_failed(r, &err);
        status = MAX(status, one);
    }
    return status;
}

static int cmd_restart(int argc, char **argv)
{
    return run_lifecycle(&command_restart, argc, argv);
}

static int cmd_retry(int argc, char **argv)
{
    return run_lifecycle(&command_retry, argc, argv);
}

static int cmd_stop(int argc, char **argv)
{
    return run_lifecycle(&command_stop, argc, argv);
}

static int cmd_start(int argc, char **argv)
{
    return run_lifecycle(&command_start, argc, argv);
}

const struct command command_restart = {
    .name = "restart",
    .group = "Act",
    .summary = "Stop a pod's containers gracefully and start them again",
    .usage = "NAME… [-c CONTAINER] [--force]",
    .description =
        "Comes back at once; a member of etcd that may not be stopped yet (mainstay-annotations(7),"
        "\nmainstay.dev/quorum-guard) is waited for, and what holds it up is said. Interrupted, "
        "the "
        "order\nstands.",
    .examples = "  mainstay restart kube-apiserver\n"
                "  # And come back when it is ready\n"
                "  mainstay restart etcd && mainstay wait etcd --for=ready",
    .options = restart_options,
    .n_options = ARRAY_SIZE(restart_options),
    .argument = ARGUMENT_POD,
    .run = cmd_restart,
};

const struct command command_retry = {
    .name = "retry",
    .group = "Act",
    .summary = "Clear a pod's back-off and try again now",
    .usage = "NAME…",
    .examples = "  # The cause is mended: do not wait for the back-off\n"
                "  mainstay retry kube-apiserver",
    .options = plain_options,
    .n_options = ARRAY_SIZE(plain_options),
    .argument = ARGUMENT_POD,
    .run = cmd_retry,
};

const struct command command_stop = {
    .name = "stop",
    .group = "Act",
    .summary = "Stop a pod and hold it until it is started again",
    .usage = "NAME…|--all [--exit]",
    .description =
        "The manifest stays where it is; the pod shows as Held, also after the agent was\n"
        "restarted, until `mainstay start NAME`. To take it away for good, see `mainstay "
        "delete`.\n"
        "--all stops those that depend on others (mainstay.dev/depends-on) before these, and low\n"
        "priorities before high ones.\n"
        "With --all --exit no pod is held: the agent stops them all and ends, and the "
        "next\nagent starts them again. That is what a machine that goes down wants.",
    .examples = "  mainstay stop kube-scheduler\n  mainstay stop --all",
    .options = stop_options,
    .n_options = ARRAY_SIZE(stop_options),
    .argument = ARGUMENT_POD,
    .run = cmd_stop,
};

const struct command command_start = {
    .name = "start",
    .group = "Act",
    .summary = "Let a stopped pod run again",
    .usage = "NAME…",
    .examples = "  mainstay start kube-scheduler",
    .options = plain_options,
    .n_options = ARRAY_SIZE(plain_options),
    .argument = ARGUMENT_POD,
    .run = cmd_start,
};
