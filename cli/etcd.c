// `mainstay etcd`: the cluster that keeps the control plane's state. Its words are etcdctl's where
// etcdctl has them.
#include "cli/etcd.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/alloc.h"
#include "base/monotime.h"
#include "cli/check.h"
#include "cli/commands.h"

#define ETCD_WORDS "status, health, members, member, snapshot, defrag, alarm, move-leader or guard"

// The verbs that ask members, and those that find out where these are.
#define ETCD_ASKS                                                                                  \
    "status,health,members,member list,member add,member remove,member promote,member update,"     \
    "member replace,member sync,snapshot save,defrag,alarm,move-leader"
#define ETCD_FINDS ETCD_ASKS ",snapshot restore,guard"

enum { TIMEOUT_SEC = 5, TIMEOUT_SEC_MOST = 3600, WAIT_SEC = 30 * 60 };
enum { PATIENCE_SEC = 120, BACK_SEC = 300 };

static const char *const output_formats[] = {"wide", "json", "yaml", NULL};

static const struct option etcd_option_rows[] = {
    OPT_STRING(etcd_options, access.endpoints, .name = "endpoints", .only = ETCD_FINDS,
               .argument = "URLS",
               .help = "Where etcd is (default: what this node's manifests and cluster file say)"),
    OPT_STRING(etcd_options, access.cacert, .name = "cacert", .only = ETCD_FINDS,
               .argument = "FILE",
               .help = "The CA that has signed etcd's certificates (default: the manifests')"),
    OPT_STRING(etcd_options, access.cert, .name = "cert", .only = ETCD_FINDS, .argument = "FILE",
               .help = "The client certificate (default: the manifests')"),
    OPT_STRING(etcd_options, access.key, .name = "key", .only = ETCD_FINDS, .argument = "FILE",
               .help = "Its private key"),
    OPT_STRING(etcd_options, access.manifests, .name = "manifests", .only = ETCD_FINDS,
               .argument = "DIR", .help = "The manifests that say all that (default: the agent's)"),
    OPT_STRING(etcd_options, output, .letter = 'o', .name = "output",
               .only = "status,health,members,member list,snapshot list,snapshot verify",
               .argument = "FORMAT",
               .help = "status, health, members, snapshot list, verify: wide, json or yaml",
               .values = output_formats),
    OPT_DURATION(etcd_options, timeout_nsec, .name = "command-timeout", .only = ETCD_ASKS,
                 .argument = "DURATION",
                 .help = "How long a member may take to answer (default 5s)"),
    OPT_STRING(etcd_options, access.cluster_file, .name = "cluster-file", .only = ETCD_FINDS,
               .argument = "FILE",
               .help = "The cluster's file (default: /etc/mainstay/cluster.yaml)"),
    OPT_STRING(etcd_options, node, .name = "node", .only = "member replace", .argument = "NAME=IP",
               .help = "member replace: who comes in place of the old member"),
    OPT_STRING(etcd_options, peer_urls, .name = "peer-urls",
               .only = "member add,member update,member replace", .argument = "URLS",
               .help = "member add, update, replace: where its peers find it (default: the IP with "
                       "this node's port for peers)"),
    OPT_BOOL(etcd_options, learner, .name = "learner", .only = "member add",
             .help = "member add: without a vote until it is promoted (default; --learner=false: "
                     "with one)"),
    OPT_DURATION(etcd_options, wait_nsec, .name = "wait", .only = "member replace",
                 .argument = "DURATION",
                 .help = "member replace: how long to wait for the new member (default 30m; 0: do "
                         "not)"),
    OPT_STRING(etcd_options, dir, .name = "dir", .only = "snapshot save,snapshot list",
               .argument = "DIR",
               .help = "snapshot save, list: where they are (default " ETCD_SNAPSHOT_DIR ")"),
    OPT_INT(etcd_options, keep, .name = "keep", .only = "snapshot save", .argument = "N",
            .help = "snapshot save: remove the oldest of DIR beyond N (default: none)"),
    OPT_DURATION(etcd_options, every_nsec, .name = "every", .only = "snapshot save",
                 .argument = "DURATION",
                 .help = "snapshot save: again and again, until it is told to end"),
    OPT_STRING(etcd_options, data_dir, .name = "data-dir", .only = "snapshot restore",
               .argument = "DIR",
               .help = "snapshot restore: etcd's data (default: the manifest's)"),
    OPT_STRING(etcd_options, name, .name = "name", .only = "snapshot restore,guard",
               .argument = "NAME",
               .help = "snapshot restore: this member's name; guard: the member that is to be "
                       "stopped (default: the manifest's)"),
    OPT_STRING(etcd_options, initial_cluster, .name = "initial-cluster", .only = "snapshot restore",
               .argument = "NAME=URL,...",
               .help = "snapshot restore: the new cluster's members (default: the manifest's)"),
    OPT_STRING(etcd_options, peer_url, .name = "initial-advertise-peer-urls",
               .only = "snapshot restore", .argument = "URLS",
               .help = "snapshot restore: this member's (default: the manifest's)"),
    OPT_STRING(etcd_options, token, .name = "initial-cluster-token", .only = "snapshot restore",
               .argument = "TOKEN",
               .help = "snapshot restore: what the new cluster is told from the old one by "
                       "(default: made of the snapshot)"),
    OPT_BOOL(etcd_options, force, .name = "force",
             .only = "member add,member remove,member replace,member sync,snapshot save,snapshot "
                     "restore,defrag,alarm",
             .help = "Do it also where the cluster loses its quorum by it"),
    OPT_DURATION(etcd_options, go_nsec, .name = "timeout", .only = "guard", .argument = "DURATION",
                 .help = "guard: give up when it may not be stopped by then (default: never)"),
    OPT_DURATION(etcd_options, patience_nsec, .name = "patience", .only = "guard",
                 .argument = "DURATION",
                 .help = "guard: how long to refuse where nobody can be asked (default 2m)"),
    OPT_DURATION(etcd_options, back_nsec, .name = "back", .only = "guard", .argument = "DURATION",
                 .help = "guard: how long the member may take to be well again (default 5m)"),
    OPT_BOOL(etcd_options, probe_failed, .name = "probe-failed", .only = "guard",
             .help = "guard: it is to be restarted because a probe of it has failed"),
    COMMON_OPTIONS(etcd_options),
};

static const struct {
    const char *name;
    etcd_fn run;
} rows[] = {
    {"status", etcd_cmd_status},     {"health", etcd_cmd_health},
    {"members", etcd_cmd_members},   {"member", etcd_cmd_member},
    {"snapshot", etcd_cmd_snapshot}, {"defrag", etcd_cmd_defrag},
    {"alarm", etcd_cmd_alarm},       {"move-leader", etcd_cmd_move_leader},
};

static const char *const etcd_words[] = {"status", "health", "members",     "member", "snapshot",
                                         "defrag", "alarm",  "move-leader", "guard",  NULL};

static const char *const etcd_verbs[] = {"status",
                                         "health",
                                         "members",
                                         "member list",
                                         "member add",
                                         "member remove",
                                         "member promote",
                                         "member update",
                                         "member replace",
                                         "member sync",
                                         "snapshot save",
                                         "snapshot verify",
                                         "snapshot list",
                                         "snapshot restore",
                                         "defrag",
                                         "alarm",
                                         "move-leader",
                                         "guard",
                                         NULL};

int etcd_failed(const struct error *err)
{
    fprintf(stderr, "error: %s\n", error_message(err));
    return CLI_NO;
}

int etcd_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    return command_usage_error(&command_etcd, "%s", message);
}

int etcd_no_words(const char *name, const char *const *words, size_t n)
{
    return n > 0 ? etcd_usage("%s takes no \"%s\"", name, words[0]) : 0;
}

// --- the session

int etcd_session_open(const struct etcd_options *options, struct etcd_session *ret,
                      struct error *err)
{
    const struct check_options places = {.common = options->common,
                                         .manifests = options->access.manifests};
    _cleanup_free_ char *path = check_manifest_path(&places);
    int64_t most = TIMEOUT_SEC_MOST * NSEC_PER_SEC;
    int64_t nsec = MIN(options->timeout_nsec, most);
    ret->interrupt_fd = -1;
    ret->timeout_msec = (int)MAX(nsec / NSEC_PER_USEC / USEC_PER_MSEC, (int64_t)1);
    int r = etcd_access_find(&options->access, path, &ret->access, err);
    if (r == -ENOENT) {
        _cleanup_free_ char *why = xstrdup(error_message(err));
        return error_set(err, ENOENT, "%s: name it by --endpoints, with --cacert, --cert and --key",
                         why);
    }
    if (r >= 0)
        r = etcd_access_connect(&ret->access, NULL, ret->timeout_msec, &ret->client, err);
    return r;
}

int etcd_signals_catch(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

int etcd_signals_wait(int fd, int64_t msec, struct error *err)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int most = (int)MIN(msec, (int64_t)INT_MAX);
    return poll(&poll_fd, fd >= 0, most) > 0 ? error_set(err, ECANCELED, "interrupted") : 0;
}

void etcd_session_catch_signals(struct etcd_session *session)
{
    session->interrupt_fd = etcd_signals_catch();
    etcd_client_set_interrupt(session->client, session->interrupt_fd);
}

int etcd_session_wait(const struct etcd_session *session, int msec, struct error *err)
{
    return etcd_signals_wait(session->interrupt_fd, msec, err);
}

void etcd_session_free(struct etcd_session *session)
{
    etcd_client_free(session->client);
    etcd_access_free(&session->access);
    if (session->interrupt_fd > 0)
        close(session->interrupt_fd);
    *session = (struct etcd_session){.interrupt_fd = -1};
}

// --- the command

static int run(const struct etcd_options *options, const struct options_rest *rest)
{
    if (rest->n == 0)
        return etcd_usage("say what to do: " ETCD_WORDS);
    const char *word = rest->arguments[0];
    int status = command_check_flags(&command_etcd, rest);
    if (status != 0)
        return status;
    if (str_equal(word, "guard"))
        return etcd_cmd_guard(options, rest);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (str_equal(word, rows[i].name))
            return rows[i].run(options, rest->arguments + 1, rest->n - 1);
    const char *nearest = str_nearest(word, etcd_words, ARRAY_SIZE(etcd_words) - 1);
    return etcd_usage("\"%s\" is nothing that `mainstay etcd` does%s%s%s", word,
                      nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                      nearest ? "\"?" : "");
}

static int cmd_etcd(int argc, char **argv)
{
    struct etcd_options options = {.timeout_nsec = TIMEOUT_SEC * NSEC_PER_SEC,
                                   .wait_nsec = WAIT_SEC * NSEC_PER_SEC,
                                   .patience_nsec = PATIENCE_SEC * NSEC_PER_SEC,
                                   .back_nsec = BACK_SEC * NSEC_PER_SEC,
                                   .learner = true};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status;
    if (command_parse(&command_etcd, argc, argv, &options, &rest, &status))
        status = run(&options, &rest);
    options_free(etcd_option_rows, ARRAY_SIZE(etcd_option_rows), &options);
    return status;
}

const struct command command_etcd = {
    .name = "etcd",
    .group = "The control plane",
    .summary = "Look after etcd: its members, its health, its snapshots",
    .usage = "status|health|members|member|snapshot|defrag|alarm|move-leader|guard [ARGUMENTS]",
    .description =
        "status          every member: where it is, who leads, terms, sizes, how far it is "
        "behind,\n"
        "                alarms, how long a read through it takes; and how many may fail\n"
        "health          whether each member answers a read that needs the quorum, as guides check "
        "it\n"
        "members         who belongs to the cluster (also: member list)\n"
        "member add      NAME=IP, or NAME with --peer-urls: as a learner, which has no vote yet\n"
        "member promote  NAME: gives a learner its vote, once it has caught up\n"
        "member remove   NAME: takes it out, and its key /mainstay/nodes/NAME\n"
        "member update   NAME --peer-urls: its peers find it elsewhere now\n"
        "member replace  OLD --node NAME=IP: a dead member goes, a new one comes: removed, added "
        "as a\n"
        "                learner, awaited while it catches up, promoted, this node's manifests "
        "brought in\n"
        "                line. It may be interrupted and run again\n"
        "member sync     brings this node's manifests in line with the members that there are\n"
        "snapshot save   FILE, or a file named by its time in --dir (--keep N of them; --every 1h: "
        "again\n"
        "                and again): through a member that is up to date, read back, its SHA-256 "
        "checked\n"
        "snapshot list   the files of --dir, each of them verified\n"
        "snapshot verify FILE…: whether it is whole, and what is in it\n"
        "snapshot restore FILE: a new cluster's member from it, on every node from the same file. "
        "The old\n"
        "                data is kept\n"
        "defrag          NAME… or all, one after the other, the leader last: gives unused room "
        "back\n"
        "alarm           list or disarm\n"
        "move-leader     NAME: makes it the leader\n"
        "guard           waits until a member may be stopped without the cluster losing its "
        "quorum, "
        "and\n"
        "                takes a turn, so that no other one is stopped meanwhile; then it runs the "
        "command\n"
        "                behind --, and waits until the member is well again. Without a command it "
        "writes\n"
        "                wait, refuse and go lines, and holds the turn until its standard input "
        "ends: that\n"
        "                is how the agent asks before it stops a member\n\n"
        "Endpoints and certificates are those that the flags of this node's manifests name, and "
        "the\n"
        "cluster's file. What would cost the cluster its quorum is refused without --force. Exit\n"
        "status 0: it is well, or done. 1: it is not.",
    .examples = "  mainstay etcd status\n"
                "  mainstay etcd health --endpoints=https://10.0.0.2:2379\n"
                "  mainstay etcd member replace m2 --node m4=10.0.0.4\n"
                "  mainstay etcd snapshot save --dir /var/backups/etcd --keep 24\n"
                "  mainstay etcd guard -- systemctl restart etcd",
    .options = etcd_option_rows,
    .n_options = ARRAY_SIZE(etcd_option_rows),
    .argument = ARGUMENT_WORD_FILES,
    .words = etcd_words,
    .verbs = etcd_verbs,
    .run = cmd_etcd,
};
