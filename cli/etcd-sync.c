// What stands in this node's files about etcd's members, after these have changed: the flags of the
// manifests, and the cluster file. Texts are replaced where they stand; the rest of a file is left
// as its author wrote it.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/etcd-member.h"
#include "cli/etcd-print.h"
#include "cli/manifest-put.h"
#include "manifests/cluster.h"

// Every occurrence that is no part of a longer value.
static size_t replace_all(struct buffer *text, const char *from, const char *to)
{
    struct buffer out = BUFFER_EMPTY;
    size_t len = strlen(from), n = 0, done = 0;
    const char *data = buffer_str(text), *at;
    while (len > 0 && (at = strstr(data + done, from))) {
        size_t offset = (size_t)(at - data);
        bool whole = offset > 0 && strchr("=\"' ", data[offset - 1]) &&
                     strchr("\"' \n\r", data[offset + len]);
        buffer_add(&out, data + done, offset - done);
        buffer_add_str(&out, whole ? to : from);
        n += whole;
        done = offset + len;
    }
    buffer_add_str(&out, data + done);
    buffer_free(text);
    *text = out;
    return n;
}

static int rewrite(const char *file, const char *flag, const char *from, const char *to,
                   struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const char *verb = NULL;
    if (str_equal(from, to))
        return 0;
    int r = fs_read_file(AT_FDCWD, file, PODSPEC_SIZE_MAX, &text);
    if (r < 0)
        return error_errno(err, r, "cannot read %s", file);
    if (replace_all(&text, from, to) == 0)
        return error_set(err, ENOENT, "%s: --%s does not stand there in one piece; make it %s",
                         file, flag, to);
    r = manifest_put(file, &text, &verb, err);
    if (r == 0)
        etcd_say("%s: --%s=%s", file, flag, to);
    return r;
}

// --- kube-apiserver's list of servers

static bool is_members(const struct etcd_members *members, const char *url)
{
    LIST_EACH (member, &members->members)
        if (string_list_contains(&member->client_urls, url))
            return true;
    return false;
}

static bool is_loopback(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + strlen("://") : url;
    return str_starts_with(host, "127.") || str_starts_with(host, "[::1]") ||
           str_starts_with(host, "localhost");
}

static void add_server(struct buffer *list, const char *url)
{
    buffer_printf(list, "%s%s", list->len > 0 ? "," : "", url);
}

char *etcd_servers_in_line(const char *servers, const struct etcd_members *members)
{
    _cleanup_string_list_ struct string_list urls = {0};
    struct buffer list = BUFFER_EMPTY;
    etcd_split_urls(servers, &urls);
    for (size_t i = 0; i < urls.n; i++)
        if (is_members(members, urls.items[i]) || is_loopback(urls.items[i]))
            add_server(&list, urls.items[i]);
    // Whoever names one server means that one; a list is meant to name them all.
    bool all = urls.n > 1 || list.len == 0;
    LIST_EACH (member, &members->members)
        for (size_t i = 0; i < member->client_urls.n && all && !member->is_learner; i++)
            if (!string_list_contains(&urls, member->client_urls.items[i]))
                add_server(&list, member->client_urls.items[i]);
    return buffer_take(&list);
}

// --- both

int etcd_sync_manifests(const struct etcd_access *access, const struct etcd_members *members,
                        struct error *err)
{
    const struct etcd_local *local = &access->local;
    int r = 0;
    if (access->apiserver_file && access->apiserver_servers) {
        _cleanup_free_ char *servers = etcd_servers_in_line(access->apiserver_servers, members);
        if (*servers)
            r = rewrite(access->apiserver_file, "etcd-servers", access->apiserver_servers, servers,
                        err);
    }
    if (r < 0 || !local->file || !local->initial_cluster)
        return r;
    _cleanup_free_ char *initial = etcd_initial_cluster(members, NULL);
    return *initial ? rewrite(local->file, "initial-cluster", local->initial_cluster, initial, err)
                    : 0;
}

int etcd_member_sync(const struct etcd_options *options, const char *word, struct error *err)
{
    _cleanup_etcd_session_ struct etcd_session session = ETCD_SESSION_EMPTY;
    _cleanup_etcd_survey_ struct etcd_survey survey = {0};
    int r = etcd_session_open(options, &session, err);
    if (r >= 0)
        r = etcd_survey_make(session.client, &survey, err);
    if (r < 0)
        return r;
    LIST_EACH (look, &survey.looks)
        if (!look->healthy && !options->force)
            return error_set(err, EPERM,
                             "%s is not healthy (%s), and changed manifests restart this node's "
                             "member: mend it first, or say --force",
                             etcd_member_title(look->member), error_message(&look->why));
    r = etcd_sync_manifests(&session.access, &survey.members, err);
    if (r == 0)
        etcd_say("The manifests of this node name the members that there are");
    return r;
}

// --- the cluster file

int etcd_sync_cluster_file(const char *file, const char *old, const struct etcd_node *node,
                           struct error *err)
{
    _cleanup_cluster_ struct cluster cluster = {0};
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_error_ struct error why = ERROR_NONE;
    int r = cluster_load(file, &cluster, NULL, &why);
    if (r == -ENOENT || !node->address)
        return 0;
    if (r < 0)
        return error_set(err, r, "%s", error_message(&why));
    for (size_t i = 0; i < cluster.n_nodes; i++) {
        struct cluster_node *entry = &cluster.nodes[i];
        if (!str_equal(entry->name, old))
            continue;
        free(entry->name);
        free(entry->address);
        entry->name = xstrdup(node->name);
        entry->address = xstrdup(node->address);
        cluster_text(&cluster, &text);
        r = fs_write_atomic(AT_FDCWD, file, text.data, text.len, 0600, FS_WRITE_SYNC);
        if (r < 0)
            return error_errno(err, r, "cannot write %s", file);
        etcd_say("%s: %s=%s stands where %s stood", file, node->name, node->address, old);
        return 0;
    }
    return 0;
}
