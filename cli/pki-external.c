// The files by which kube-apiserver speaks to an external etcd, in the sealed file of `pki export`.
// On every node they lie where the cluster's file says. See pki-sealed.h.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/pki-sealed.h"

static const char *const names[SEALED_EXTERNALS] = {
    SEALED_EXTERNAL "ca.crt", SEALED_EXTERNAL "client.crt", SEALED_EXTERNAL "client.key"};

static const char *path_of(const struct kubeadm_config *config, size_t i)
{
    const char *const paths[SEALED_EXTERNALS] = {
        config->etcd_ca_file, config->etcd_certificate_file, config->etcd_key_file};
    return paths[i];
}

// ---- export ----

// A file of the usual directory that travels by its own name.
static bool travels_already(const struct transfer *transfer, const char *dir, const char *path)
{
    LIST_EACH (file, &transfer->files) {
        _cleanup_free_ char *own = path_join(dir, file->name);
        if (str_equal(own, path))
            return true;
    }
    return false;
}

int sealed_add_external(struct transfer *transfer, const char *dir,
                        const struct kubeadm_config *config, struct error *err)
{
    for (size_t i = 0; i < SEALED_EXTERNALS; i++) {
        const char *path = path_of(config, i);
        if (!path || travels_already(transfer, dir, path))
            continue;
        int code = sealed_add_file(transfer, names[i], path, false, err);
        if (code < 0)
            return code;
    }
    return 0;
}

// ---- import, join ----

static int find_paths(const struct transfer *transfer, const struct kubeadm_config *config,
                      const char *ret[SEALED_EXTERNALS], struct error *err)
{
    for (size_t i = 0; i < SEALED_EXTERNALS; i++) {
        ret[i] = sealed_find(transfer, names[i]) ? path_of(config, i) : NULL;
        if (!ret[i] && sealed_find(transfer, names[i]))
            return error_set(err, EINVAL, "%s in it has no place in the cluster's file", names[i]);
        if (ret[i] && (!path_is_clean_absolute(ret[i]) || !ret[i][1]))
            return error_set(err, EINVAL, "etcd.external: \"%s\" cannot be the path of a file",
                             ret[i]);
        for (size_t j = 0; j < i; j++)
            if (ret[i] && str_equal(ret[i], ret[j]))
                return error_set(err, EINVAL, "etcd.external: %s is two files", ret[i]);
    }
    return 0;
}

int sealed_externals_find(const struct transfer *transfer, struct sealed_externals *ret,
                          struct error *err)
{
    const struct transfer_file *text = sealed_find(transfer, SEALED_CLUSTER);
    bool any = false;
    for (size_t i = 0; i < SEALED_EXTERNALS; i++)
        any = any || sealed_find(transfer, names[i]);
    if (!any)
        return 0;
    if (!text)
        return error_set(err, EINVAL, "a file of the external etcd is in it, and no cluster file");
    int code = cluster_read(SEALED_CLUSTER, buffer_str(&text->data), text->data.len, &ret->cluster,
                            NULL, err);
    return code == 0 ? find_paths(transfer, &ret->cluster.file, ret->paths, err) : code;
}

void sealed_externals_free(struct sealed_externals *externals)
{
    cluster_free(&externals->cluster);
}

int sealed_externals_check(const struct transfer *transfer, struct error *err)
{
    _cleanup_sealed_externals_ struct sealed_externals externals = {0};
    int code = sealed_externals_find(transfer, &externals, err);
    for (size_t i = 0; i < SEALED_EXTERNALS && code >= 0; i++)
        if (externals.paths[i])
            code = sealed_look_at(externals.paths[i], sealed_find(transfer, names[i]), err);
    return code < 0 ? code : 0;
}

// The caller frees.
static char *directory_of(const char *path)
{
    size_t n = (size_t)(strrchr(path, '/') - path);
    return xstrndup(path, n > 0 ? n : 1);
}

// Those of the files that lie in the same directory as the first one go there in one step.
static int put_beside(const struct transfer *transfer, const char *dir,
                      const char *paths[SEALED_EXTERNALS], size_t first, struct error *err)
{
    struct replacement files[SEALED_EXTERNALS];
    size_t n = 0;
    _cleanup_close_ int lock = -1;
    _cleanup_free_ char *place = directory_of(paths[first]);
    int code = fs_mkdir_parents(AT_FDCWD, place, 0755);
    if (code < 0)
        return error_errno(err, code, "cannot make %s", place);
    if (!str_equal(place, dir)) // the caller has that one's lock
        code = replace_lock(place, &lock, err);
    for (size_t i = first; i < SEALED_EXTERNALS; i++) {
        _cleanup_free_ char *other = paths[i] ? directory_of(paths[i]) : NULL;
        if (!str_equal(other, place))
            continue;
        const struct transfer_file *file = sealed_find(transfer, names[i]);
        files[n++] = (struct replacement){paths[i], &file->data, str_ends_with(names[i], ".key")};
        paths[i] = NULL;
    }
    if (code == 0)
        code = replace_files(files, n, 0, err);
    for (size_t i = 0; i < n && code == 0; i++)
        printf("written  %s\n", files[i].path);
    return code;
}

int sealed_externals_put(const char *dir, const struct transfer *transfer, struct error *err)
{
    _cleanup_sealed_externals_ struct sealed_externals externals = {0};
    int code = sealed_externals_find(transfer, &externals, err);
    for (size_t i = 0; i < SEALED_EXTERNALS && code == 0; i++)
        if (externals.paths[i] &&
            sealed_look_at(externals.paths[i], sealed_find(transfer, names[i]), NULL) == 1) {
            printf("kept     %s\n", externals.paths[i]);
            externals.paths[i] = NULL;
        }
    for (size_t i = 0; i < SEALED_EXTERNALS && code == 0; i++)
        if (externals.paths[i])
            code = put_beside(transfer, dir, externals.paths, i, err);
    return code;
}
