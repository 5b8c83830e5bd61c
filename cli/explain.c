// `mainstay explain`: the pod spec's fields, from the table that decoding and validation read.
#include <string.h>

#include "base/buffer.h"
#include "base/string-list.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "podspec/podspec.h"

struct explain_options {
    struct common_options common;
    bool recursive;
};

static const struct option explain_options[] = {
    OPT_BOOL(explain_options, recursive, .name = "recursive",
             .help = "The names of all fields below, without their descriptions"),
    COMMON_OPTIONS(explain_options),
};

// Where this agent departs from the kubelet on purpose: what whoever knows the kubelet must hear.
static const char differences[] =
    "Where this agent departs from the kubelet, on purpose:\n"
    "\n"
    "  A manifest that no longer parses or validates stops nothing: the last good one keeps\n"
    "  running, and the refusal names file, line, column and field.\n"
    "\n"
    "  Only *.yaml, *.yml and *.json without a leading dot are manifests, so a backup copy is "
    "none.\n"
    "  Two files that claim one pod are a conflict: it is reported, and what runs keeps running.\n"
    "\n"
    "  A field that nobody knows is an error that suggests the nearest known name; one that this\n"
    "  release does not honour is refused or warned about by name. Neither is dropped in silence.\n"
    "\n"
    "  All documents of a file count, not the first alone. A key that stands twice is an error.\n"
    "\n"
    "  The old instance of a pod is proven gone (its processes, its cgroup) before a new one "
    "starts.\n"
    "\n"
    "  An image is a directory below the agent's root, or the host's own program; nothing is "
    "pulled.\n";

static int cmd_explain(int argc, char **argv)
{
    struct explain_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    int status;
    if (!command_parse(&command_explain, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n != 1)
        return command_usage_error(&command_explain, "say which field: mainstay explain pod.spec");
    if (str_equal(rest.arguments[0], "differences")) {
        fputs(differences, stdout);
        return CLI_DONE;
    }
    int r = podspec_explain(rest.arguments[0], options.recursive, &out, &err);
    if (r < 0)
        return client_failed(r, &err);
    fputs(buffer_str(&out), stdout);
    return CLI_DONE;
}

const struct command command_explain = {
    .name = "explain",
    .group = "Help",
    .summary = "Say what a field of a manifest means here",
    .usage = "pod.spec.FIELD…|differences [--recursive]",
    .description =
        "`mainstay explain differences` says where this agent departs from the kubelet.\n"
        "--recursive marks what is not honoured: \"-warned-\" is accepted with a warning,\n"
        "\"-refused-\" is an error, \"-ignored-\" means nothing to a static pod.",
    .examples = "  mainstay explain pod.spec.containers.livenessProbe\n"
                "  mainstay explain pod.spec.volumes --recursive",
    .options = explain_options,
    .n_options = ARRAY_SIZE(explain_options),
    .argument = ARGUMENT_FIELD,
    .single = true,
    .words = (const char *const[]){"differences", NULL},
    .run = cmd_explain,
};
