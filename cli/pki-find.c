// Where this node's certificates lie: what the manifests name, what is in the directory of
// certificates, and the kubeconfigs above it.
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/check.h"
#include "cli/node-manifests.h"
#include "cli/pki.h"

enum { DEPTH_MAX = 4 };

static bool is_certificate_name(const char *name)
{
    return str_ends_with(name, ".crt") || str_ends_with(name, ".cert") ||
           (str_ends_with(name, ".pem") && !str_ends_with(name, "-key.pem") &&
            !str_equal(name, "key.pem"));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void add_directory(struct certificate_files *files, const char *dir, unsigned depth)
{
    struct dirent **entries;
    int n = depth < DEPTH_MAX ? scandir(dir, &entries, NULL, by_name) : -1;
    for (int i = 0; i < n; i++) {
        _cleanup_free_ char *path = path_join(dir, entries[i]->d_name);
        struct stat st;
        bool there = entries[i]->d_name[0] != '.' && stat(path, &st) == 0;
        if (there && S_ISDIR(st.st_mode))
            add_directory(files, path, depth + 1);
        else if (there && S_ISREG(st.st_mode) && is_certificate_name(entries[i]->d_name))
            certificate_files_get(files, path);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

// The kubeconfigs of people and of the kubelet, which no manifest names.
static void add_kubeconfigs(const char *dir, struct certificate_files *files)
{
    static const char *const names[] = {"admin.conf", "super-admin.conf", "controller-manager.conf",
                                        "scheduler.conf", "kubelet.conf"};
    const char *base = path_base(dir);
    if (base == dir)
        return;
    _cleanup_free_ char *above = xstrndup(dir, (size_t)(base - dir));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *path = path_join(above, names[i]);
        if (access(path, F_OK) == 0)
            certificate_files_get(files, path);
    }
}

void pki_find_in(const char *dir, struct certificate_files *ret)
{
    add_directory(ret, dir, 0);
}

void pki_find_files(const struct pki_options *options, const char *dir,
                    struct certificate_files *ret)
{
    _cleanup_node_manifests_ struct node_manifests manifests = {0};
    struct check_options places = {.common = options->common, .manifests = options->manifests};
    _cleanup_free_ char *path = check_manifest_path(&places);
    if (node_manifests_load(path, NULL, &manifests, NULL) == 0)
        certificate_files_find(&manifests, ret);
    add_directory(ret, dir, 0);
    add_kubeconfigs(dir, ret);
}
