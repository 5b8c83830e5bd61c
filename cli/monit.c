// `mainstay monit`: the control file by which monit watches this node.
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/monit-node.h"

static const struct option monit_option_rows[] = {
    OPT_STRING(monit_options, out, .name = "out", .argument = "FILE|DIR",
               .help = "Write it there (into a directory as \"mainstay\"), not to standard output"),
    OPT_STRING(monit_options, manifests, .name = "manifests", .argument = "DIR",
               .help = "The manifests (default: the agent's)"),
    OPT_STRING(monit_options, service, .name = "service", .argument = "NAME",
               .help = "The agent's name in monit (default mainstayd)"),
    OPT_STRING(monit_options, init, .name = "init", .argument = "INIT",
               .values = (const char *const[]){"systemd", "sysv", "none", NULL},
               .help = "Start the agent by systemctl, by /etc/init.d/mainstayd or itself (default: "
                       "what is there)"),
    OPT_STRING(monit_options, log, .name = "log", .argument = "FILE",
               .help = "--init=none: the agent's own log (default /var/log/mainstayd.log)"),
    OPT_DURATION(monit_options, interval_nsec, .name = "interval", .argument = "DURATION",
                 .help = "Between monit's cycles (default: \"set daemon\" in /etc/monit/monitrc)"),
    OPT_DURATION(monit_options, patience_nsec, .name = "patience", .argument = "DURATION",
                 .help = "How long something may fail before monit acts (default 1m)"),
    OPT_DURATION(monit_options, start_timeout_nsec, .name = "start-timeout", .argument = "DURATION",
                 .help = "How long the agent's health is left alone after a start (default 90s)"),
    OPT_BOOL(monit_options, offline, .name = "offline",
             .help = "Ask no agent: take mainstayd's defaults, or the flags behind --"),
    COMMON_OPTIONS(monit_options),
};

static char *join(int argc, char **argv)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_add_str(&text, "mainstay");
    for (int i = 0; i < argc; i++)
        buffer_printf(&text, " %s", argv[i]);
    return buffer_take(&text);
}

// Not readable for everybody: a probe's HTTP headers may hold a token.
static int write_file(const char *out, const struct buffer *text, struct error *err)
{
    struct stat st;
    bool directory = stat(out, &st) == 0 && S_ISDIR(st.st_mode);
    _cleanup_free_ char *path = directory ? path_join(out, "mainstay") : xstrdup(out);
    int r = fs_write_atomic(AT_FDCWD, path, text->data, text->len, 0600, FS_WRITE_SYNC);
    if (r < 0)
        return error_errno(err, r, "%s cannot be written", path);
    fprintf(stderr, "wrote %s; `monit -t && monit reload` puts it in force\n", path);
    return 0;
}

static int generate(const struct monit_options *options, const struct options_rest *rest,
                    char *command, struct error *err)
{
    _cleanup_monit_control_ struct monit_control control = {.command = command};
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int r = monit_node_gather(options, rest->after_dashes, rest->n_after, &control, err);
    if (r >= 0)
        r = monit_control_render(&control, &text, err);
    if (r < 0)
        return r;
    if (options->out)
        return write_file(options->out, &text, err);
    fputs(buffer_str(&text), stdout);
    return 0;
}

static int cmd_monit(int argc, char **argv)
{
    struct monit_options options = {
        .service = "mainstayd",
        .log = "/var/log/mainstayd.log",
        .patience_nsec = 60 * NSEC_PER_SEC,
        .start_timeout_nsec = 90 * NSEC_PER_SEC,
    };
    _cleanup_options_rest_ struct options_rest rest = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    int status;
    if (!command_parse(&command_monit, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n > rest.n_after)
        return command_usage_error(&command_monit,
                                   "what is \"%s\"? mainstayd's flags stand behind "
                                   "--",
                                   rest.arguments[0]);
    return client_failed(generate(&options, &rest, join(argc, argv), &err), &err);
}

const struct command command_monit = {
    .name = "monit",
    .group = "The control plane",
    .summary = "Print the control file by which monit watches this node",
    .usage = "[--out FILE|DIR] [flags] [-- FLAGS OF MAINSTAYD]",
    .description =
        "The file has monit watch the agent (by its PID file and its health URL; monit restarts "
        "it\n"
        "when it is dead or hangs, and its pods live on), each pod of the manifests (by what the\n"
        "agent says and by the URLs of its own probes; monit alerts), refused manifests,\n"
        "certificates, etcd's quorum and disks (by `mainstay check`).\n\n"
        "It is made from the running agent or, where none runs, from mainstayd's flags behind --\n"
        "and the manifests. The same input gives the same file.",
    .examples =
        "  mainstay monit --out /etc/monit/conf-enabled/ && monit -t && monit reload\n"
        "  mainstay monit --offline --manifests ./manifests -- --config /etc/mainstay/config.yaml",
    .options = monit_option_rows,
    .n_options = ARRAY_SIZE(monit_option_rows),
    .run = cmd_monit,
};
