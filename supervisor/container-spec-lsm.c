// AppArmor profiles and SELinux labels, where the host has them. What is asked for and cannot be
// had stops the container as under the kubelet (pkg/security/apparmor/validate.go), or is said.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "podspec/pod.h"
#include "supervisor/container-spec-internal.h"

enum { PROFILES_MAX = 1 << 20, SWITCH_MAX = 64 };

static const char localhost[] = "localhost/";
// What packages of a node may load for RuntimeDefault.
static const char default_profile[] = "mainstay-default";

static char *in_sys(const struct container_spec_options *options, const char *path)
{
    return path_join(options->sys_dir ? options->sys_dir : "/sys", path);
}

// ---- AppArmor ----

// In the words of the annotation: "", "unconfined", "runtime/default", "localhost/NAME".
static char *from_field(const struct app_armor_profile *profile)
{
    if (str_equal(profile->type, "RuntimeDefault"))
        return xstrdup("runtime/default");
    if (str_equal(profile->type, "Localhost") && !str_empty(profile->localhostProfile))
        return xasprintf("%s%s", localhost, profile->localhostProfile);
    return xstrdup("unconfined");
}

static char *choose_profile(const struct pod *pod, const struct container *container)
{
    const struct security_context *own = container->securityContext;
    const struct pod_security_context *shared = pod->spec.securityContext;
    if (own && own->appArmorProfile)
        return from_field(own->appArmorProfile);
    _cleanup_free_ char *key =
        xasprintf("container.apparmor.security.beta.kubernetes.io/%s", container->name);
    const char *value = string_map_get(&pod->metadata.annotations, key);
    if (value)
        return xstrdup(value);
    return shared && shared->appArmorProfile ? from_field(shared->appArmorProfile) : xstrdup("");
}

static bool has_app_armor(const struct container_spec_options *options)
{
    _cleanup_free_ char *path = in_sys(options, "module/apparmor/parameters/enabled");
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    return fs_read_file(AT_FDCWD, path, SWITCH_MAX, &text) == 0 &&
           str_starts_with(buffer_str(&text), "Y");
}

// Lines such as "docker-default (enforce)"; a name may hold blanks. 1, 0 or a negative errno.
static int is_loaded(const struct container_spec_options *options, const char *name)
{
    _cleanup_free_ char *path = in_sys(options, "kernel/security/apparmor/profiles");
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int code = fs_read_file(AT_FDCWD, path, PROFILES_MAX, &text);
    if (code < 0)
        return code;
    size_t length = strlen(name);
    for (const char *line = buffer_str(&text); *line;) {
        if (strncmp(line, name, length) == 0 && strncmp(line + length, " (", 2) == 0)
            return 1;
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return 0;
}

static int use_localhost(const struct container_spec_options *options, const char *name,
                         struct shim_spec *spec, struct error *err)
{
    if (!has_app_armor(options))
        return error_set(err, EOPNOTSUPP,
                         "Cannot enforce AppArmor: AppArmor is not enabled on the host");
    int loaded = is_loaded(options, name);
    if (loaded < 0)
        return error_errno(err, loaded,
                           "Cannot enforce AppArmor: could not read the loaded profiles");
    if (!loaded)
        return error_set(err, ENOENT, "Cannot enforce AppArmor: profile \"%s\" is not loaded",
                         name);
    spec->apparmor_profile = xstrdup(name);
    return 0;
}

static int set_app_armor(const struct container_spec_options *options, const struct pod *pod,
                         const struct container *container, struct shim_spec *spec,
                         struct string_list *notes, struct error *err)
{
    _cleanup_free_ char *profile = choose_profile(pod, container);
    if (str_starts_with(profile, localhost))
        return use_localhost(options, profile + strlen(localhost), spec, err);
    if (!str_equal(profile, "runtime/default") || spec->privileged)
        return 0;
    if (!has_app_armor(options))
        string_list_add(notes, "appArmorProfile RuntimeDefault: AppArmor is not "
                               "enabled on this host");
    else if (is_loaded(options, default_profile) == 1)
        spec->apparmor_profile = xstrdup(default_profile);
    else
        string_list_add_owned(notes,
                              xasprintf("appArmorProfile RuntimeDefault: no AppArmor profile %s is "
                                        "loaded on this host",
                                        default_profile));
    return 0;
}

// ---- SELinux ----

static const char *part(const char *given, const char *otherwise)
{
    return str_empty(given) ? otherwise : given;
}

static void set_selinux(const struct container_spec_options *options, const struct pod *pod,
                        const struct container *container, struct shim_spec *spec,
                        struct string_list *notes)
{
    const struct security_context *own = container->securityContext;
    const struct pod_security_context *shared = pod->spec.securityContext;
    const struct se_linux_options *label = own && own->seLinuxOptions ? own->seLinuxOptions
                                           : shared                   ? shared->seLinuxOptions
                                                                      : NULL;
    _cleanup_free_ char *path = in_sys(options, "fs/selinux/enforce");
    if (!label)
        return;
    if (access(path, F_OK) < 0) {
        string_list_add(notes, "seLinuxOptions: SELinux is not enabled on this host");
        return;
    }
    spec->selinux_label =
        xasprintf("%s:%s:%s:%s", part(label->user, "system_u"), part(label->role, "system_r"),
                  part(label->type, "container_t"), part(label->level, "s0"));
    if (container->volumeMounts.n > 0)
        string_list_add(notes, "seLinuxOptions: the files of volumes keep the labels they have");
}

int container_spec_lsm(const struct container_spec_options *options, const struct pod *pod,
                       const struct container *container, struct shim_spec *spec,
                       struct string_list *notes, struct error *err)
{
    set_selinux(options, pod, container, spec, notes);
    return set_app_armor(options, pod, container, spec, notes, err);
}
