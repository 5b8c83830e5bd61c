// Volumes whose files the agent writes: downwardAPI, and what of projected volumes needs no API
// server. See volumes-internal.h.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/environment.h"
#include "supervisor/volumes-internal.h"

enum { MODE_DEFAULT = 0644 };

static int write_file(const struct pod *pod, const char *dir, const char *path, const char *text,
                      mode_t mode, struct error *err)
{
    const struct pod_security_context *security = pod->spec.securityContext;
    _cleanup_free_ char *guarded = xasprintf("/%s", path ? path : "");
    if (!path || *path == '/' || !*path || !path_is_clean_absolute(guarded))
        return error_set(err, EINVAL, "the path %s must be relative and without \"..\"",
                         path ? path : "");
    _cleanup_free_ char *file = path_join(dir, path);
    int code = fs_mkdir_parents_of(AT_FDCWD, file);
    if (code == 0)
        code = fs_write_atomic(AT_FDCWD, file, text, strlen(text), mode, 0);
    if (code == 0 && security && security->fsGroup && geteuid() == 0 &&
        (chown(file, (uid_t)-1, (gid_t)*security->fsGroup) < 0 || chmod(file, mode | 0440) < 0))
        code = -errno;
    return code < 0 ? error_errno(err, code, "cannot write %s", file) : 0;
}

static int write_item(const struct environment *env, const struct downward_api_volume_file *item,
                      const int64_t *default_mode, const char *dir, struct error *err)
{
    _cleanup_free_ char *text = NULL;
    int64_t mode = item->mode ? *item->mode : default_mode ? *default_mode : MODE_DEFAULT;
    int code = 0;
    if (item->fieldRef)
        code = environment_field(env, item->fieldRef, &text, err);
    else if (item->resourceFieldRef)
        code = environment_resource(env, item->resourceFieldRef, &text, err);
    if (code < 0)
        return error_prefix(err, code, "%s", item->path ? item->path : "");
    return write_file(env->pod, dir, item->path, text ? text : "", (mode_t)mode & 07777, err);
}

int volumes_write_downward(const struct pod *pod, const struct container *container,
                           const struct volume *volume, const char *dir, struct error *err)
{
    struct environment env = {.pod = pod, .container = container};
    LIST_EACH (item, &volume->downwardAPI->items) {
        int code = write_item(&env, item, volume->downwardAPI->defaultMode, dir, err);
        if (code < 0)
            return code;
    }
    return 0;
}

static int refuse(const char *what, const char *name, struct error *err)
{
    return error_set(err, ENOTSUP, "%s %s cannot be read: a static pod has no API server", what,
                     name ? name : "");
}

static int write_projection(const struct environment *env, const struct volume_projection *source,
                            const int64_t *default_mode, const char *dir, struct error *err)
{
    if (source->secret && !(source->secret->optional && *source->secret->optional))
        return refuse("Secret", source->secret->name, err);
    if (source->configMap && !(source->configMap->optional && *source->configMap->optional))
        return refuse("ConfigMap", source->configMap->name, err);
    if (source->serviceAccountToken)
        return refuse("the service account token", source->serviceAccountToken->path, err);
    const struct cluster_trust_bundle_projection *bundle = source->clusterTrustBundle;
    if (bundle && !(bundle->optional && *bundle->optional))
        return refuse("ClusterTrustBundle", bundle->name, err);
    if (!source->downwardAPI)
        return 0;
    LIST_EACH (item, &source->downwardAPI->items) {
        int code = write_item(env, item, default_mode, dir, err);
        if (code < 0)
            return code;
    }
    return 0;
}

int volumes_write_projected(const struct pod *pod, const struct container *container,
                            const struct volume *volume, const char *dir, struct error *err)
{
    struct environment env = {.pod = pod, .container = container};
    LIST_EACH (source, &volume->projected->sources) {
        int code = write_projection(&env, source, volume->projected->defaultMode, dir, err);
        if (code < 0)
            return code;
    }
    return 0;
}
