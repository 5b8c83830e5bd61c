// See reset-etcd.h.
#include "cli/reset-etcd.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/etcd-member.h"

enum { ASK_MSEC = 5000, AGAIN_MSEC = 300 };

void reset_etcd_free(struct reset_etcd *etcd)
{
    etcd_client_free(etcd->client);
    etcd_survey_free(&etcd->survey);
    etcd_access_free(&etcd->access);
}

static bool has_url(const struct etcd_member *member, const char *urls)
{
    _cleanup_string_list_ struct string_list list = {0};
    if (urls)
        etcd_split_urls(urls, &list);
    for (size_t i = 0; i < list.n; i++)
        if (string_list_contains(&member->peer_urls, list.items[i]))
            return true;
    return false;
}

// By its peer URL: also one that was added and never started is this node's.
static void find_own(struct reset_etcd *etcd)
{
    LIST_EACH (look, &etcd->survey.looks)
        if (etcd->access.local.file && has_url(look->member, etcd->access.local.peer_urls))
            etcd->own = look;
    etcd->is_last = etcd->own && etcd->survey.members.members.n == 1;
}

// A cluster of its own that has no data yet: nobody is to be told.
static bool has_never_begun(const struct etcd_local *local)
{
    if (!local->file || !local->data_dir || !local->initial_cluster ||
        str_equal(local->initial_cluster_state, "existing") || strchr(local->initial_cluster, ','))
        return false;
    _cleanup_free_ char *member = xasprintf("%s/member", local->data_dir);
    return access(member, F_OK) < 0;
}

int reset_etcd_look(const char *manifests, const char *cluster_file, struct reset_etcd *ret,
                    struct error *err)
{
    const struct etcd_access_flags flags = {
        .manifests = access(manifests, F_OK) == 0 ? manifests : NULL,
        .cluster_file = access(cluster_file, F_OK) == 0 ? cluster_file : NULL,
    };
    _cleanup_error_ struct error why = ERROR_NONE;
    int r = etcd_access_find(&flags, manifests, &ret->access, &why);
    ret->known = r == 0 && (ret->access.local.file || ret->access.apiserver_file) &&
                 !has_never_begun(&ret->access.local);
    if (!ret->known)
        return 0;
    r = etcd_access_connect(&ret->access, NULL, ASK_MSEC, &ret->client, &why);
    if (r == 0)
        r = etcd_survey_make(ret->client, &ret->survey, &why);
    ret->answers = r == 0;
    if (r == 0)
        find_own(ret);
    return r == 0 ? 0 : error_set(err, EAGAIN, "%s", error_message(&why));
}

int reset_etcd_check(const struct reset_etcd *etcd, bool force, struct error *err)
{
    return !etcd->own || etcd->is_last ? 0
                                       : etcd_check_removal(&etcd->survey, etcd->own, force, err);
}

int reset_etcd_forget(const struct reset_etcd *etcd, const char *node, struct error *err)
{
    return etcd->answers ? etcd_forget_node(etcd->client, node, err) : 0;
}

// A member that is being removed answers no more.
static void list_others(const struct reset_etcd *etcd, struct string_list *ret)
{
    LIST_EACH (member, &etcd->survey.members.members)
        for (size_t i = 0; i < member->client_urls.n && member != etcd->own->member; i++)
            string_list_add(ret, member->client_urls.items[i]);
}

int reset_etcd_remove(const struct reset_etcd *etcd, monotime deadline, struct error *err)
{
    const struct timespec a_little = {.tv_nsec = AGAIN_MSEC * NSEC_PER_USEC * USEC_PER_MSEC};
    _cleanup_string_list_ struct string_list others = {0};
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    if (!etcd->own || etcd->is_last)
        return 0;
    list_others(etcd, &others);
    int r = etcd_access_connect(&etcd->access, &others, ASK_MSEC, &client, err);
    if (r < 0)
        return r;
    while ((r = etcd_member_remove(client, etcd->own->member->id, err)) == -EAGAIN &&
           !monotime_reached(deadline, monotime_now()))
        nanosleep(&a_little, NULL);
    return r == -ENOENT ? 0 : r;
}
