// Volumes whose files the agent writes: downwardAPI, and what of projected volumes needs no API
// server. See volumes-internal.h.
#include <errno.h>

#include "base/alloc.h"
#include "supervisor/environment.h"
#include "supervisor/volumes-internal.h"

enum { MODE_DEFAULT = 0644 };

static int gather_item(const struct environment *env, const struct downward_api_volume_file *item,
                       const int64_t *default_mode, struct payload *ret, struct error *err)
{
    _cleanup_free_ char *text = NULL;
    const char *path = item->path ? item->path : "";
    int64_t mode = item->mode ? *item->mode : default_mode ? *default_mode : MODE_DEFAULT;
    int code = 0;
    if (item->fieldRef)
        code = environment_field(env, item->fieldRef, &text, err);
    else if (item->resourceFieldRef)
        code = environment_resource(env, item->resourceFieldRef, &text, err);
    if (code < 0)
        return error_prefix(err, code, "%s", path);
    return payload_add(ret, path, text ? text : "", (mode_t)mode & 0777, err);
}

int volumes_gather_downward(const struct pod *pod, const struct container *container,
                            const struct volume *volume, struct payload *ret, struct error *err)
{
    struct environment env = {.pod = pod, .container = container};
    LIST_EACH (item, &volume->downwardAPI->items) {
        int code = gather_item(&env, item, volume->downwardAPI->defaultMode, ret, err);
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

static int gather_projection(const struct environment *env, const struct volume_projection *source,
                             const int64_t *default_mode, struct payload *ret, struct error *err)
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
        int code = gather_item(env, item, default_mode, ret, err);
        if (code < 0)
            return code;
    }
    return 0;
}

int volumes_gather_projected(const struct pod *pod, const struct container *container,
                             const struct volume *volume, struct payload *ret, struct error *err)
{
    struct environment env = {.pod = pod, .container = container};
    LIST_EACH (source, &volume->projected->sources) {
        int code = gather_projection(&env, source, volume->projected->defaultMode, ret, err);
        if (code < 0)
            return code;
    }
    return 0;
}
