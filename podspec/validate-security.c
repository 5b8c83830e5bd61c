// The rules of security contexts.
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "podspec/validation.h"

static bool is_true(const bool *b)
{
    return b && *b;
}

static bool is_false(const bool *b)
{
    return b && !*b;
}

static void validate_profile(struct validation *v, const char *field, const char *type,
                             const char *localhost)
{
    size_t mark = validation_enter(v, "%s.localhostProfile", field);

    if (str_equal(type, "Localhost") && str_empty(localhost))
        validation_error(v, "", "is required for type Localhost");
    if (!str_empty(type) && !str_equal(type, "Localhost") && !str_empty(localhost))
        validation_error(v, "", "can be used for type Localhost only");
    validation_leave(v, mark);
}

// An old annotation beside the field must say the same; NULL: there is none.
static void validate_same(struct validation *v, const struct seccomp_profile *profile,
                          const char *annotation)
{
    static const char localhost[] = "localhost/";
    const char *type = profile->type, *file = NULL;
    bool same = true;

    if (!annotation || str_empty(type))
        return;
    if (str_equal(type, "Unconfined"))
        same = str_equal(annotation, "unconfined");
    else if (str_equal(type, "RuntimeDefault"))
        same = str_equal(annotation, "runtime/default") || str_equal(annotation, "docker/default");
    else if ((same = str_starts_with(annotation, localhost)))
        file = annotation + strlen(localhost);
    if (!same)
        validation_error(v, ".seccompProfile.type",
                         "must be the same as in the annotation for seccomp");
    else if (file && !str_equal(file, profile->localhostProfile))
        validation_error(v, ".seccompProfile.localhostProfile",
                         "must be the same as in the annotation for seccomp");
}

static void validate_seccomp(struct validation *v, const struct seccomp_profile *profile,
                             const char *annotation)
{
    if (!profile)
        return;
    validate_profile(v, ".seccompProfile", profile->type, profile->localhostProfile);
    validate_same(v, profile, annotation);
}

static void validate_app_armor(struct validation *v, const struct app_armor_profile *profile)
{
    if (profile)
        validate_profile(v, ".appArmorProfile", profile->type, profile->localhostProfile);
}

static void validate_escalation(struct validation *v, const struct security_context *context)
{
    if (!is_false(context->allowPrivilegeEscalation))
        return;
    if (is_true(context->privileged))
        validation_error(v, ".allowPrivilegeEscalation",
                         "cannot be false in a privileged container");
    if (context->capabilities && string_list_contains(&context->capabilities->add, "CAP_SYS_ADMIN"))
        validation_error(v, ".allowPrivilegeEscalation",
                         "cannot be false together with the capability "
                         "CAP_SYS_ADMIN");
}

// The kubelet finds this out when it starts the container (K/kuberuntime/security_context.go).
static void validate_user(struct validation *v, const struct security_context *context)
{
    const struct pod_security_context *pod = v->pod->spec.securityContext;
    const bool *non_root = context->runAsNonRoot ? context->runAsNonRoot
                           : pod                 ? pod->runAsNonRoot
                                                 : NULL;
    const int64_t *user = context->runAsUser ? context->runAsUser : pod ? pod->runAsUser : NULL;

    if (is_true(non_root) && user && *user == 0)
        validation_warning(v, context->runAsUser ? ".runAsUser" : ".runAsNonRoot",
                           "the container will not start: runAsNonRoot forbids user 0");
}

void validate_security_context(struct validation *v, const struct container *container)
{
    const struct security_context none = {0};
    const struct security_context *context =
        container->securityContext ? container->securityContext : &none;
    size_t mark = validation_enter(v, ".securityContext");
    _cleanup_free_ char *key = xasprintf("container.seccomp.security.alpha.kubernetes.io/%s",
                                         container->name ? container->name : "");

    validate_escalation(v, context);
    validate_user(v, context);
    validate_seccomp(v, context->seccompProfile,
                     string_map_get(&v->pod->metadata.annotations, key));
    validate_app_armor(v, context->appArmorProfile);
    validation_leave(v, mark);
}

void validate_pod_security(struct validation *v)
{
    const struct pod_security_context *context = v->pod->spec.securityContext;

    if (!context)
        return;
    size_t mark = validation_enter(v, ".securityContext");
    validate_seccomp(
        v, context->seccompProfile,
        string_map_get(&v->pod->metadata.annotations, "seccomp.security.alpha.kubernetes.io/pod"));
    validate_app_armor(v, context->appArmorProfile);
    validation_leave(v, mark);
}
