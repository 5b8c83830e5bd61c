// `mainstay exec`: a command inside a container's namespaces.
#include <errno.h>
#include <string.h>

#include "base/string-list.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/container-choice.h"
#include "cli/exec-session.h"
#include "cli/field.h"

enum { EXIT_CANNOT_EXECUTE = 126, EXIT_NOT_FOUND = 127 }; // as shells have them

struct exec_options {
    struct common_options common;
    const char *namespace_, *container;
    bool with_stdin, tty;
};

static const struct option exec_options[] = {
    OPT_STRING(exec_options, container, .letter = 'c', .name = "container", .argument = "CONTAINER",
               .help = "Which container, where the pod has several"),
    OPT_BOOL(exec_options, with_stdin, .letter = 'i', .name = "stdin",
             .help = "Hand on standard input"),
    OPT_BOOL(exec_options, tty, .letter = 't', .name = "tty", .help = "With a terminal of its own"),
    OPT_STRING(exec_options, namespace_, .letter = 'n', .name = "namespace",
               .argument = "NAMESPACE", .help = "The pod's namespace (default: any)"),
    COMMON_OPTIONS(exec_options),
};

// The socket of the container's shim; borrowed from the pod.
static int find_shim(const json_t *pod, const char *container, const char **ret, struct error *err)
{
    const json_t *own = field_named(field_at(pod, "mainstay.containers"), container);
    const char *socket = field_text(own, "shimSocket");
    if (!socket)
        return error_set(
            err, ESRCH,
            "container %s of pod %s does not run (it is %s); see `mainstay describe pod "
            "%s`",
            container, field_text_or_empty(pod, "metadata.name"),
            own ? field_text_or_empty(own, "state") : "not started",
            field_text_or_empty(pod, "metadata.name"));
    *ret = socket;
    return 0;
}

static int run_exec(const struct exec_options *options, const char *name,
                    const struct options_rest *rest, int *ret_status, struct error *err)
{
    _cleanup_client_ struct client *client = client_new(options->common.socket);
    _cleanup_free_ char *path = client_pod_path(options->namespace_, name, "");
    struct exec_request request = {
        .argv = rest->after_dashes,
        .argc = rest->n_after,
        .with_stdin = options->with_stdin,
        .tty = options->tty,
    };
    const char *container = NULL;
    json_t *pod = NULL;
    if (request.tty && !isatty(STDIN_FILENO)) {
        fprintf(stderr, "Unable to use a TTY: standard input is not a terminal\n");
        request.tty = false;
    }
    int r = client_get(client, path, &pod, err);
    if (r == 0)
        r = pod_choose_container(pod, options->container, &container, err);
    if (r == 0)
        r = find_shim(pod, container, &request.socket, err);
    if (r == 0) {
        r = exec_session(&request, ret_status, err);
        // From here on the answer is the command's, and a shell's way of saying why there is none.
        if (r < 0) {
            fprintf(stderr, "error: %s\n", error_message(err));
            *ret_status = r == -ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE;
            r = 0;
        }
    }
    json_decref(pod);
    return r;
}

static int cmd_exec(int argc, char **argv)
{
    struct exec_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    int status;
    if (!command_parse(&command_exec, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n == 0)
        return command_usage_error(&command_exec,
                                   "say in which pod: mainstay exec NAME -- COMMAND");
    if (rest.n > 1 || rest.n_after == 0)
        return command_usage_error(&command_exec,
                                   "the command follows two dashes: mainstay exec %s -- %s",
                                   rest.arguments[0], rest.n > 1 ? rest.arguments[1] : "COMMAND");
    const char *name = rest.arguments[0];
    if (str_starts_with(name, "pod/"))
        name += strlen("pod/");
    int r = run_exec(&options, name, &rest, &status, &err);
    return r < 0 ? client_failed(r, &err) : status;
}

const struct command command_exec = {
    .name = "exec",
    .group = "Look",
    .summary = "Run a command inside a container",
    .usage = "NAME [-c CONTAINER] [-i] [-t] -- COMMAND [ARGUMENT…]",
    .description = "The command gets the container's namespaces, credentials, environment and "
                   "cgroup. The exit\n"
                   "status is the command's; 126 or 127 where it could not be started.",
    .examples = "  mainstay exec etcd -- etcdctl version\n"
                "  mainstay exec -it kube-apiserver -- sh",
    .options = exec_options,
    .n_options = ARRAY_SIZE(exec_options),
    .argument = ARGUMENT_POD,
    .single = true,
    .run = cmd_exec,
};
