// `mainstay wait`: until pods are ready, gone, or what their manifests say.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "cli/commands.h"
#include "cli/field.h"
#include "cli/manifest-wait.h"
#include "cli/pod-wait.h"
#include "podspec/podspec.h"

struct wait_options {
    struct common_options common;
    const char *namespace_, *for_;
    int64_t timeout_nsec, settle_nsec;
};

static const struct option wait_options[] = {
    OPT_STRING(wait_options, for_, .name = "for", .argument = "GOAL",
               .offers = (const char *const[]){"ready", "gone", "applied", NULL},
               .help =
                   "ready (the default), gone or applied (what runs is what the manifest says)"),
    OPT_DURATION(wait_options, timeout_nsec, .name = "timeout", .argument = "DURATION",
                 .help = "Give up after this time (default 60s; 0s: look once)"),
    OPT_DURATION(wait_options, settle_nsec, .name = "settle", .argument = "DURATION",
                 .help = "They must stay so this long without a restart (default 0s)"),
    OPT_STRING(wait_options, namespace_, .letter = 'n', .name = "namespace",
               .argument = "NAMESPACE", .help = "The pods' namespace (default: any)"),
    COMMON_OPTIONS(wait_options),
};

// An edit that was made just now may not have been read yet: the agent must know the file as it is
// on disk (where we can read that) before it is asked whether it is applied.
static int wait_read(struct client *client, const struct pod_target *target, monotime deadline,
                     struct error *err)
{
    _cleanup_free_ char *path = client_pod_path(target->namespace_, target->name, "");
    _cleanup_buffer_ struct buffer content = BUFFER_EMPTY;
    char sha256[DIGEST_HEX_SIZE];
    json_t *pod;
    int r = client_get(client, path, &pod, err);
    if (r < 0)
        return r == -ENOENT ? 0 : r; // it may still come
    const char *file = field_text_or_empty(pod, "mainstay.file");
    if (fs_read_file(AT_FDCWD, file, PODSPEC_SIZE_MAX, &content) == 0) {
        digest_sha256_hex(buffer_str(&content), content.len, sha256);
        r = manifest_wait(client, file, sha256, deadline, err);
    }
    json_decref(pod);
    return r;
}

static int wait_all(struct client *client, const struct pod_target *targets, size_t n,
                    enum pod_goal goal, const struct wait_options *options, struct error *err)
{
    monotime deadline = monotime_add_usec(monotime_now(), options->timeout_nsec / NSEC_PER_USEC);
    int r = 0;
    for (size_t i = 0; i < n && r == 0 && goal == POD_GOAL_APPLIED; i++)
        r = wait_read(client, &targets[i], deadline, err);
    return r == 0 ? pods_wait(client, targets, n, goal, options->settle_nsec / NSEC_PER_USEC,
                              deadline, err)
                  : r;
}

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
    int r = wait_all(client, targets, rest.n, goal, &options, &err);
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
