// `mainstay wait`: until pods are ready, gone, or what their manifests say.
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/commands.h"
#include "cli/pod-wait.h"

struct wait_options {
    struct common_options common;
    const char *namespace_, *for_;
    int64_t timeout_nsec;
};

static const struct option wait_options[] = {
    OPT_STRING(wait_options, for_, .name = "for", .argument = "GOAL",
               .help =
                   "ready (the default), gone or applied (what runs is what the manifest says)"),
    OPT_DURATION(wait_options, timeout_nsec, .name = "timeout", .argument = "DURATION",
                 .help = "Give up after this time (default 60s; 0s: look once)"),
    OPT_STRING(wait_options, namespace_, .letter = 'n', .name = "namespace",
               .argument = "NAMESPACE", .help = "The pods' namespace (default: any)"),
    COMMON_OPTIONS(wait_options),
};

static int cmd_wait(int argc, char **argv)
{
    struct wait_options options = {.for_ = "ready", .timeout_nsec = 60 * NSEC_PER_SEC};
    _cleanup_options_rest_ struct options_rest rest = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    enum pod_goal goal;
    int status;
    if (!command_parse(&command_wait, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n == 0)
        return command_usage_error(&command_wait,
                                   "say for which pod: mainstay wait NAME --for=ready");
    if (pod_goal_parse(options.for_, &goal) < 0)
        return command_usage_error(
            &command_wait, "--for: \"%s\" is not one of ready, gone, applied", options.for_);
    struct pod_target *targets = xcalloc(rest.n, sizeof(*targets));
    for (size_t i = 0; i < rest.n; i++) {
        bool prefixed = str_starts_with(rest.arguments[i], "pod/");
        targets[i].namespace_ = options.namespace_;
        targets[i].name = rest.arguments[i] + (prefixed ? strlen("pod/") : 0);
    }
    _cleanup_client_ struct client *client = client_new(options.common.socket);
    monotime deadline = monotime_add_usec(monotime_now(), options.timeout_nsec / NSEC_PER_USEC);
    int r = pods_wait(client, targets, rest.n, goal, deadline, &err);
    for (size_t i = 0; i < rest.n && r == 0; i++)
        printf("pod/%s %s\n", targets[i].name,
               goal == POD_GOAL_READY  ? "is ready"
               : goal == POD_GOAL_GONE ? "is gone"
                                       : "is what its manifest says");
    free(targets);
    return client_failed(r, &err);
}

const struct command command_wait = {
    .name = "wait",
    .group = "Act",
    .summary = "Wait until pods are ready, gone or applied; say exactly why not",
    .usage = "NAME… [--for=ready|gone|applied] [--timeout 60s]",
    .examples = "  mainstay wait etcd kube-apiserver --for=ready --timeout 2m\n"
                "  mainstay wait web --for=gone",
    .options = wait_options,
    .n_options = ARRAY_SIZE(wait_options),
    .argument = ARGUMENT_POD,
    .run = cmd_wait,
};
