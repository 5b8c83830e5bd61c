// See manifest-put.h.
#include "cli/manifest-put.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/manifest-wait.h"
#include "cli/pod-wait.h"
#include "podspec/annotations.h"

enum { MANIFEST_MODE = 0600 }; // as kubeadm writes them

int manifest_put(const char *target, const struct buffer *content, const char **ret_verb,
                 struct error *err)
{
    _cleanup_buffer_ struct buffer old = BUFFER_EMPTY;
    struct stat st;
    bool exists = stat(target, &st) == 0;
    mode_t mode = exists ? st.st_mode & 07777 : MANIFEST_MODE;
    bool same = exists && fs_read_file(AT_FDCWD, target, PODSPEC_SIZE_MAX, &old) == 0 &&
                old.len == content->len && memcmp(old.data, content->data, old.len) == 0;
    *ret_verb = same ? "unchanged" : exists ? "configured" : "created";
    if (same)
        return 0;
    int r = fs_write_atomic(AT_FDCWD, target, content->data, content->len, mode, FS_WRITE_SYNC);
    if (r == -EACCES || r == -EPERM || r == -EROFS)
        return error_errno(err, r, "cannot write %s; run this command as root", target);
    return r < 0 ? error_errno(err, r, "cannot write %s", target) : 0;
}

static int64_t longest_trial(const struct pod_list *pods)
{
    int64_t longest = 0;
    for (size_t i = 0; i < pods->n; i++) {
        _cleanup_pod_annotations_ struct pod_annotations annotations = {0};
        _cleanup_error_ struct error err = ERROR_NONE;
        if (pod_annotations_parse(pods->items[i], &annotations, &err) == 0)
            longest = MAX(longest, annotations.confirm_usec);
    }
    return longest;
}

int manifest_settle(struct client *client, const char *file, const char *sha256,
                    const struct pod_list *pods, int64_t settle_usec, monotime deadline,
                    struct error *err)
{
    deadline = monotime_add_usec(deadline, longest_trial(pods));
    int r = manifest_wait(client, file, sha256, deadline, err);
    if (r < 0)
        return r;
    struct pod_target *targets = xcalloc(pods->n, sizeof(*targets));
    for (size_t i = 0; i < pods->n; i++) {
        const struct object_meta *m = &pods->items[i]->metadata;
        targets[i] = (struct pod_target){m->namespace, m->name, m->uid};
    }
    r = pods_wait(client, targets, pods->n, POD_GOAL_CONFIRMED, settle_usec, deadline, err);
    for (size_t i = 0; i < pods->n && r == 0; i++)
        printf("pod/%s is ready\n", targets[i].name);
    fflush(stdout);
    free(targets);
    return r;
}
