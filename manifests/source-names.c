// Which names in a manifest directory are manifests: *.yaml, *.yml and *.json.
//
// The kubelet reads every name without a leading dot, and so takes etcd.yaml.bak or etcd.yaml~,
// which editors and careful people leave behind, for one more manifest: with the same pod in two
// files, the backup may win over the edit and nobody sees why. Such names are passed over here.
// A name that is neither a manifest's nor a known kind of backup is passed over with a finding,
// since the kubelet would have run it.
#include "manifests/source-internal.h"

#include <string.h>

static bool ends_with_one_of(const char *name, const char *const *suffixes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_ends_with(name, suffixes[i]))
            return true;
    }
    return false;
}

enum manifest_name manifest_name_class(const char *name)
{
    static const char *const good[] = {".yaml", ".yml", ".json"};
    static const char *const backup[] = {"~",    ".bak", ".orig",    ".swp",    ".swo",
                                         ".tmp", ".old", ".rpmsave", ".rpmnew", ".rpmorig"};
    size_t len = strlen(name);
    if (len == 0 || name[0] == '.')
        return MANIFEST_NAME_PASSED;
    if (name[0] == '#' && name[len - 1] == '#')
        return MANIFEST_NAME_PASSED;
    if (strstr(name, ".dpkg-") || ends_with_one_of(name, backup, ARRAY_SIZE(backup)))
        return MANIFEST_NAME_PASSED;
    if (ends_with_one_of(name, good, ARRAY_SIZE(good)))
        return MANIFEST_NAME_GOOD;
    return MANIFEST_NAME_UNKNOWN;
}
