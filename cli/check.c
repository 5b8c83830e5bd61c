// `mainstay check`: one look, one line, one exit status, for monit, Nagios and the like.
#include "cli/check.h"

#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/commands.h"
#include "cli/field.h"
#include "cli/term.h"

static const struct option check_option_rows[] = {
    OPT_STRING(check_options, namespace_, .letter = 'n', .name = "namespace",
               .argument = "NAMESPACE", .help = "pod: the pods' namespace (default: any)"),
    OPT_STRING(check_options, manifests, .name = "manifests", .argument = "DIR",
               .help = "certificates, quorum: the manifests that name them (default: the agent's)"),
    OPT_INT(check_options, days, .name = "days", .argument = "N",
            .help = "certificates: not well when one expires within N days (default 30)"),
    OPT_INT(check_options, min_free, .name = "min-free", .argument = "PERCENT",
            .help = "disk: not well when less room than this is free (default 10)"),
    OPT_INT(check_options, min_inodes, .name = "min-inodes", .argument = "PERCENT",
            .help = "disk: not well when fewer inodes than this are free (default 5)"),
    OPT_DURATION(check_options, timeout_nsec, .name = "timeout", .argument = "DURATION",
                 .help = "quorum: how long a member may take to answer (default 5s)"),
    COMMON_OPTIONS(check_options),
};

static const struct {
    const char *name;
    check_fn check;
    bool takes_words, needs_words;
} checks[] = {
    {"agent", check_agent, false, false},
    {"pod", check_pods, true, false},
    {"pods", check_pods, true, false},
    {"manifests", check_manifests, false, false},
    {"certificates", check_certificates, true, false},
    {"disk", check_disk, true, true},
    {"quorum", check_quorum, false, false},
};

static const char *const check_words[] = {"agent", "pod",    "manifests", "certificates",
                                          "disk",  "quorum", NULL};

char *check_manifest_path(const struct check_options *options)
{
    json_t *status = NULL;
    if (options->manifests)
        return xstrdup(options->manifests);
    _cleanup_client_ struct client *client = client_new(options->common.socket);
    if (client_get(client, "/mainstay/v1/status", &status, NULL) < 0)
        return xstrdup("/etc/kubernetes/manifests");
    char *path = xstrdup(field_text_or_empty(status, "directories.manifests"));
    json_decref(status);
    return path;
}

void check_add(struct buffer *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (out->len > 0)
        buffer_add_str(out, "; ");
    buffer_vprintf(out, format, args);
    va_end(args);
}

// One line, whatever was in it.
static void print_line(const struct buffer *text)
{
    _cleanup_free_ char *safe = term_safe(buffer_str(text));
    for (char *c = safe; *c; c++)
        if (*c == '\n')
            *c = ' ';
    puts(safe);
}

static int run_check(size_t i, const struct check_options *options, const struct options_rest *rest)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    _cleanup_error_ struct error err = ERROR_NONE;
    int r = checks[i].check(options, rest->arguments + 1, rest->n - 1, &out, &err);
    if (r < 0)
        return client_failed(r, &err);
    print_line(&out);
    return r > 0 ? CLI_DONE : CLI_NO;
}

static int cmd_check(int argc, char **argv)
{
    struct check_options options = {
        .days = 30, .min_free = 10, .min_inodes = 5, .timeout_nsec = 5 * NSEC_PER_SEC};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status;
    if (!command_parse(&command_check, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n == 0)
        return command_usage_error(&command_check, "say what to check: agent, pod, manifests, "
                                                   "certificates, disk or quorum");
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        if (!str_equal(rest.arguments[0], checks[i].name))
            continue;
        if (rest.n > 1 && !checks[i].takes_words)
            return command_usage_error(&command_check, "%s takes no \"%s\"", checks[i].name,
                                       rest.arguments[1]);
        if (rest.n == 1 && checks[i].needs_words)
            return command_usage_error(&command_check,
                                       "say which directories: mainstay check %s "
                                       "/var/lib/etcd",
                                       checks[i].name);
        return run_check(i, &options, &rest);
    }
    return command_usage_error(&command_check,
                               "\"%s\" is not one of agent, pod, manifests, certificates, disk, "
                               "quorum",
                               rest.arguments[0]);
}

const struct command command_check = {
    .name = "check",
    .group = "Look",
    .summary = "Say in one line, and by the exit status, whether something is well",
    .usage = "agent|pod [NAME…]|manifests|certificates [FILE…]|disk DIR…|quorum",
    .description =
        "agent         it answers, and every part of it is well and ready\n"
        "pod           the pods (all, where none is named) are ready, by the JSON of `mainstay "
        "get`\n"
        "manifests     every manifest is in force\n"
        "certificates  those that the manifests' flags name (or FILEs, or kubeconfigs) are valid,\n"
        "              and go on being so for --days\n"
        "disk          the file systems of the directories have room and inodes left\n"
        "quorum        etcd, found and reached by the manifests' flags, has a quorum, and the "
        "loss\n"
        "              of one more member would leave it one\n\n"
        "Exit status 0: it is well. 1: it is not. 3: the agent cannot be reached.",
    .examples = "  mainstay check pod kube-apiserver\n"
                "  mainstay check certificates --days 14\n"
                "  mainstay check disk --min-free=15 /var/lib/etcd /var/log/pods",
    .options = check_option_rows,
    .n_options = ARRAY_SIZE(check_option_rows),
    .argument = ARGUMENT_CHECK,
    .words = check_words,
    .run = cmd_check,
};
