// `mainstay etcd snapshot restore`: a new cluster's member out of a snapshot. Everything is made
// and checked beside the data that is there; then etcd is stopped, both change places in one step,
// and the old data stays under another name.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/monotime.h"
#include "base/time-format.h"
#include "cli/check.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/etcd-member.h"
#include "cli/etcd-print.h"
#include "cli/etcd-snapshot-file.h"
#include "cli/etcd-snapshot.h"
#include "cli/etcd-tool.h"

enum {
    DIRECTORY_MODE = 0700,
    OTHERS_MSEC = 2000,
    STOP_LOOK_MSEC = 200,
    STOP_SEC_MOST = 120,
    TOKEN_DIGITS = 16
};

struct restore {
    const struct etcd_options *options;
    const char *file;
    struct etcd_access access;
    struct snapshot_sum sum;
    const char *name, *initial_cluster, *peer_urls, *data_dir, *token; // borrowed
    struct string_list owned;
    char *fresh;      // DATA/.restore-TIME: what etcd's program makes
    char *kept;       // DATA/before-restore-TIME: where the old data goes
    bool is_made;     // fresh is ours to remove
    char *cluster_id; // of the new cluster, in hexadecimal; NULL: the program did not say
    bool stopped;     // the agent holds the pod for us
};

static void restore_free(struct restore *r)
{
    if (r->is_made)
        fs_remove_tree(AT_FDCWD, r->fresh);
    etcd_access_free(&r->access);
    string_list_free(&r->owned);
    free(r->fresh);
    free(r->kept);
    free(r->cluster_id);
}

static const char *own(struct restore *r, char *text)
{
    string_list_add_owned(&r->owned, text);
    return text;
}

// --- what is to be made

static const char *first_of(const char *a, const char *b)
{
    return a ? a : b;
}

// "m1=https://10.0.0.1:2380" of this member's name in the list.
static bool names_member(const char *initial_cluster, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = initial_cluster; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, len) == 0 && at[len] == '=')
            return true;
    }
    return false;
}

static int settle_flags(struct restore *r, struct error *err)
{
    const struct etcd_options *o = r->options;
    const struct etcd_local *local = &r->access.local;
    r->name = first_of(o->name, local->name);
    r->data_dir = first_of(o->data_dir, local->data_dir);
    r->peer_urls = first_of(o->peer_url, local->peer_urls);
    r->initial_cluster = first_of(o->initial_cluster, local->initial_cluster);
    if (!r->name || !r->data_dir || !r->peer_urls)
        return error_set(err, EINVAL,
                         "no etcd manifest is here to say what this node's member is: give --name, "
                         "--data-dir, --initial-advertise-peer-urls and --initial-cluster");
    if (!r->initial_cluster)
        r->initial_cluster = own(r, xasprintf("%s=%s", r->name, r->peer_urls));
    if (!names_member(r->initial_cluster, r->name))
        return error_set(err, EINVAL, "--initial-cluster=%s does not name this member, %s",
                         r->initial_cluster, r->name);
    if (local->wal_dir && !o->data_dir)
        return error_set(err, EINVAL,
                         "this member keeps its log apart (--wal-dir=%s): restore it with etcdutl "
                         "by hand",
                         local->wal_dir);
    // Of the snapshot: the same on every node, and another than the old cluster's. So members of
    // the old one and of the new one refuse to speak to each other.
    r->token =
        o->token ? o->token : own(r, xasprintf("restored-%.*s", (int)TOKEN_DIGITS, r->sum.sha256));
    return 0;
}

static int settle(struct restore *r, struct error *err)
{
    char time[RFC3339_NANO_SIZE];
    const struct check_options places = {.common = r->options->common,
                                         .manifests = r->options->access.manifests};
    _cleanup_free_ char *path = check_manifest_path(&places);
    _cleanup_error_ struct error why = ERROR_NONE;
    int code = etcd_access_find(&r->options->access, path, &r->access, &why);
    if (code < 0 && code != -ENOENT)
        return error_set(err, code, "%s", error_message(&why));
    code = settle_flags(r, err);
    if (code < 0)
        return code;
    walltime_format_nano(walltime_now(), time);
    r->fresh = xasprintf("%s/.restore-%s", r->data_dir, time);
    r->kept = xasprintf("%s/before-restore-%s", r->data_dir, time);
    return 0;
}

// --- making it

// "… to cluster f7b5…" (3.4), "cluster-id":"f7b5…" (3.5 and later).
static char *find_cluster_id(const char *text)
{
    static const char *const marks[] = {"to cluster ", "\"cluster-id\":\""};
    for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
        const char *at = strstr(text, marks[i]);
        size_t len = at ? strspn(at + strlen(marks[i]), "0123456789abcdef") : 0;
        if (len > 0)
            return xstrndup(at + strlen(marks[i]), len);
    }
    return NULL;
}

// One that was killed may have left its directory; whether what is in it is the new data or, where
// that had just changed places, the old, is for the operator to see.
static void say_leftovers(const struct restore *r)
{
    DIR *dir = opendir(r->data_dir);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (str_starts_with(entry->d_name, ".restore-"))
            etcd_say("note      %s/%s is of a restore that was interrupted; it is left as it is",
                     r->data_dir, entry->d_name);
    if (dir)
        closedir(dir);
}

static int make_fresh(struct restore *r, struct error *err)
{
    _cleanup_free_ char *tool = NULL;
    _cleanup_buffer_ struct buffer said = BUFFER_EMPTY;
    int code = etcd_tool_find(&r->access, &tool, err);
    if (code < 0)
        return code;
    code = fs_mkdir_parents(AT_FDCWD, r->data_dir, DIRECTORY_MODE);
    if (code < 0)
        return error_errno(err, code, "cannot make %s", r->data_dir);
    const char *const words[] = {
        tool,
        "snapshot",
        "restore",
        r->file,
        own(r, xasprintf("--data-dir=%s", r->fresh)),
        own(r, xasprintf("--name=%s", r->name)),
        own(r, xasprintf("--initial-cluster=%s", r->initial_cluster)),
        own(r, xasprintf("--initial-advertise-peer-urls=%s", r->peer_urls)),
        own(r, xasprintf("--initial-cluster-token=%s", r->token)),
        NULL,
    };
    say_leftovers(r);
    if (access(r->fresh, F_OK) == 0) // it might be somebody's old data
        return error_set(err, EEXIST, "%s is there", r->fresh);
    r->is_made = true;
    code = etcd_tool_run((char *const *)words, &said, err);
    if (code < 0)
        return error_prefix(err, code, "nothing was changed");
    r->cluster_id = find_cluster_id(buffer_str(&said));
    etcd_say("made      a member %s of a new cluster (%s) from %s", r->name, r->token, r->file);
    return 0;
}

// Whoever etcd runs as must be able to use it.
static int give_to_owner_of(const char *like, const char *tree)
{
    char *const roots[] = {(char *)tree, NULL};
    struct stat owner;
    if (stat(like, &owner) < 0)
        return -errno;
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    if (!walk)
        return -errno;
    int code = 0;
    for (FTSENT *entry = fts_read(walk); entry && code == 0; entry = fts_read(walk)) {
        bool its_own = entry->fts_info != FTS_DP && entry->fts_statp->st_uid == owner.st_uid &&
                       entry->fts_statp->st_gid == owner.st_gid;
        if (!its_own && entry->fts_info != FTS_DP)
            code = lchown(entry->fts_path, owner.st_uid, owner.st_gid) < 0 ? -errno : 0;
    }
    fts_close(walk);
    return code;
}

// --- the others

static bool is_own_url(const struct restore *r, const char *url)
{
    _cleanup_string_list_ struct string_list own_urls = {0};
    if (r->access.local.client_urls)
        etcd_split_urls(r->access.local.client_urls, &own_urls);
    return strstr(url, "://127.0.0.1:") || strstr(url, "://localhost:") ||
           strstr(url, "://[::1]:") || string_list_contains(&own_urls, url);
}

static int check_other(struct restore *r, char *url, struct error *err)
{
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    _cleanup_etcd_status_ struct etcd_status status = {0};
    struct string_list one = {&url, 1};
    char id[24];
    if (etcd_access_connect(&r->access, &one, OTHERS_MSEC, &client, NULL) < 0 ||
        etcd_status(client, &status, NULL) < 0)
        return 0;
    snprintf(id, sizeof(id), "%" PRIx64, (uint64_t)status.cluster_id);
    if (str_equal(id, r->cluster_id))
        return 0; // restored already
    return error_set(
        err, EPERM,
        "etcd still runs at %s. Stop it on every node first (`mainstay stop etcd`), or "
        "say --force; nothing was changed",
        url);
}

static int check_others(struct restore *r, struct error *err)
{
    for (size_t i = 0; i < r->access.endpoints.n && !r->options->force; i++) {
        int code = is_own_url(r, r->access.endpoints.items[i])
                       ? 0
                       : check_other(r, r->access.endpoints.items[i], err);
        if (code < 0)
            return code;
    }
    return 0;
}

// --- this node's etcd

// etcd holds a lock on its database for as long as it runs, whoever started it.
static bool is_running(const struct restore *r)
{
    _cleanup_free_ char *path = xasprintf("%s/member/snap/db", r->data_dir);
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static int post(const struct restore *r, const char *verb, struct error *err)
{
    _cleanup_client_ struct client *client = client_new(r->options->common.socket);
    _cleanup_free_ char *path = client_pod_path(NULL, r->access.local.pod_name, verb);
    return client_post(client, path, NULL, err);
}

static int stop_etcd(struct restore *r, struct error *err)
{
    _cleanup_error_ struct error why = ERROR_NONE;
    if (!is_running(r))
        return 0;
    int code = r->access.local.pod_name ? post(r, "/stop?force=true", &why) : -ENOTCONN;
    if (code == -EREMOTEIO) // an agent that guards no quorum
        code = post(r, "/stop", &why);
    if (code < 0)
        return error_set(err, EBUSY,
                         "etcd runs on %s, and no agent is here that could stop it: stop it "
                         "yourself, then run this again; nothing was changed",
                         r->data_dir);
    r->stopped = true;
    monotime deadline = monotime_add_ms(monotime_now(), STOP_SEC_MOST * MSEC_PER_SEC);
    while (is_running(r)) {
        if (monotime_reached(deadline, monotime_now()))
            return error_set(err, ETIMEDOUT, "etcd does not stop; nothing was changed");
        etcd_signals_wait(-1, STOP_LOOK_MSEC, NULL);
    }
    etcd_say("stopped   pod/%s", r->access.local.pod_name);
    return 0;
}

static int swap(struct restore *r, struct error *err)
{
    _cleanup_free_ char *fresh = path_join(r->fresh, "member");
    _cleanup_free_ char *there = path_join(r->data_dir, "member");
    int code = give_to_owner_of(r->data_dir, r->fresh);
    if (code < 0)
        return error_errno(err, code, "cannot give %s to the owner of %s", r->fresh, r->data_dir);
    bool had = access(there, F_OK) == 0;
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, there, had ? RENAME_EXCHANGE : RENAME_NOREPLACE) < 0)
        return error_errno(err, errno, "cannot put the new data to %s", there);
    // From here on it is the old data that lies there.
    r->is_made = !had;
    if (had && rename(r->fresh, r->kept) < 0)
        return error_errno(err, errno, "the old data stays in %s", r->fresh);
    _cleanup_close_ int dir = open(r->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fsync(dir) < 0)
        return error_errno(err, errno, "%s", r->data_dir);
    etcd_say("swapped   %s is the new member's%s%s", there, had ? "; the old data is in " : "",
             had ? r->kept : "");
    return 0;
}

static int start_etcd(struct restore *r, struct error *err)
{
    if (!r->stopped)
        return 0;
    int code = post(r, "/start", err);
    if (code >= 0)
        etcd_say("started   pod/%s", r->access.local.pod_name);
    return code;
}

// --- what comes next

static size_t count_members(const char *initial_cluster)
{
    size_t n = 1;
    for (const char *c = initial_cluster; *c; c++)
        n += *c == ',';
    return n;
}

static void say_next(const struct restore *r)
{
    size_t n = count_members(r->initial_cluster);
    puts("\nNext:");
    if (n > 1) {
        etcd_say("  on each of the other %zu nodes, with this same file: mainstay etcd snapshot "
                 "restore %s",
                 n - 1, path_base(r->file));
        etcd_say("  (the cluster answers when %zu of %zu members run)", n / 2 + 1, n);
    }
    if (!r->stopped)
        puts("  start etcd: mainstay start etcd, or put its manifest back");
    puts("  mainstay etcd status\n"
         "  on each node, so that nobody goes on with what was read before: mainstay restart "
         "kube-apiserver kube-controller-manager kube-scheduler");
}

static int restore(struct restore *r, struct error *err)
{
    int code = snapshot_verify(r->file, &r->sum, err);
    if (code >= 0)
        code = settle(r, err);
    if (code >= 0)
        code = make_fresh(r, err);
    if (code >= 0)
        code = check_others(r, err);
    if (code >= 0)
        code = stop_etcd(r, err);
    if (code >= 0)
        code = swap(r, err);
    if (code < 0 && r->stopped) {
        _cleanup_error_ struct error why = ERROR_NONE;
        start_etcd(r, &why); // with the data that it had
        return code;
    }
    return code < 0 ? code : start_etcd(r, err);
}

int etcd_snapshot_restore(const struct etcd_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct restore r = {.options = options, .file = n > 0 ? words[0] : NULL};
    if (n != 1)
        return etcd_usage("say which: mainstay etcd snapshot restore FILE");
    int code = restore(&r, &err);
    if (code >= 0)
        say_next(&r);
    restore_free(&r);
    if (code == -EINVAL)
        return etcd_usage("%s", error_message(&err));
    return code < 0 ? etcd_failed(&err) : CLI_DONE;
}
