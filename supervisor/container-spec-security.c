// From security contexts to credentials (pkg/securitycontext/util.go: the container's wins over the
// pod's; K/kuberuntime/security_context.go).
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "podspec/pod.h"
#include "supervisor/container-spec-internal.h"
#include "supervisor/qos.h"

static int64_t choose(const int64_t *container, const int64_t *pod)
{
    return container ? *container : pod ? *pod : -1;
}

static bool is_true(const bool *value)
{
    return value && *value;
}

static void add_group(struct shim_spec *spec, int64_t gid)
{
    LIST_EACH (known, &spec->supplemental_groups)
        if (*known == gid)
            return;
    *LIST_APPEND(&spec->supplemental_groups) = gid;
}

// runAsNonRoot: nothing here knows an image's user, so only a number will do.
static int check_non_root(const struct security_context *own,
                          const struct pod_security_context *pod, struct error *err)
{
    const bool *wanted = own && own->runAsNonRoot ? own->runAsNonRoot
                         : pod                    ? pod->runAsNonRoot
                                                  : NULL;
    int64_t user = choose(own ? own->runAsUser : NULL, pod ? pod->runAsUser : NULL);
    if (!is_true(wanted) || user > 0)
        return 0;
    return error_set(err, EPERM, "%s",
                     user == 0 ? "runAsNonRoot is set, but runAsUser is 0"
                               : "runAsNonRoot is set, but no runAsUser: the container would run "
                                 "as root");
}

static void set_home(const struct container_user *user, struct shim_spec *spec)
{
    for (size_t i = 0; i < spec->environment.n; i++)
        if (str_starts_with(spec->environment.items[i], "HOME="))
            return;
    string_list_add_owned(&spec->environment, xasprintf("HOME=%s", user->home));
}

static void set_ids(const struct container_spec_options *options,
                    const struct security_context *own, const struct pod_security_context *pod,
                    const char *root, struct shim_spec *spec)
{
    struct container_user user;
    spec->run_as_user = choose(own ? own->runAsUser : NULL, pod ? pod->runAsUser : NULL);
    spec->run_as_group = choose(own ? own->runAsGroup : NULL, pod ? pod->runAsGroup : NULL);
    // An ordinary user's container runs as that user, whatever it is called inside.
    int64_t own_uid = options->unprivileged ? geteuid() : 0;
    container_user_find(root, spec->run_as_user >= 0 ? spec->run_as_user : own_uid, &user);
    // Without a group, the user's own one, as runtimes do.
    if (spec->run_as_group < 0 && spec->run_as_user >= 0)
        spec->run_as_group = user.gid;
    if (spec->run_as_user < 0 && !options->unprivileged)
        spec->run_as_user = 0;
    if (spec->run_as_group < 0 && !options->unprivileged)
        spec->run_as_group = 0;
    bool strict = pod && str_equal(pod->supplementalGroupsPolicy, "Strict");
    for (size_t i = 0; i < user.groups.n && !options->unprivileged && !strict; i++)
        add_group(spec, user.groups.items[i]);
    for (size_t i = 0; pod && i < pod->supplementalGroups.n; i++)
        add_group(spec, pod->supplementalGroups.items[i]);
    if (pod && pod->fsGroup)
        add_group(spec, *pod->fsGroup);
    set_home(&user, spec);
    container_user_clear(&user);
}

int container_spec_security(const struct container_spec_options *options, const struct pod *pod,
                            const struct container *container, const char *root,
                            struct shim_spec *spec, struct error *err)
{
    const struct security_context *own = container->securityContext;
    const struct pod_security_context *shared = pod->spec.securityContext;
    int code = check_non_root(own, shared, err);
    if (code < 0)
        return code;
    set_ids(options, own, shared, root, spec);
    spec->privileged = own && is_true(own->privileged);
    spec->proc_unmasked = own && str_equal(own->procMount, "Unmasked");
    spec->root_read_only = own && is_true(own->readOnlyRootFilesystem);
    spec->no_new_privileges =
        own && own->allowPrivilegeEscalation && !*own->allowPrivilegeEscalation;
    spec->default_capabilities = !spec->privileged;
    if (own && own->capabilities) {
        string_list_copy(&spec->capabilities_add, &own->capabilities->add);
        string_list_copy(&spec->capabilities_drop, &own->capabilities->drop);
    }
    int64_t memory = options->memory_capacity_bytes > 0
                         ? options->memory_capacity_bytes
                         : (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    spec->oom_score_adj = qos_oom_score_adj(pod, container, memory);
    return 0;
}
