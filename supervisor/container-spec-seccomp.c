// Which system call filter a container gets: the container's field, its old annotation, the pod's
// field, its old annotation, in this order (K/kuberuntime/helpers.go), and else what the agent was
// told. A privileged container is not filtered.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "podspec/pod.h"
#include "supervisor/container-spec-internal.h"
#include "supervisor/seccomp.h"
#include "supervisor/shim/credentials.h"

static const char localhost[] = "localhost/";

// In the words of the annotations: "unconfined", "runtime/default", "localhost/FILE".
static char *from_field(const struct seccomp_profile *profile)
{
    if (str_equal(profile->type, "RuntimeDefault"))
        return xstrdup("runtime/default");
    if (str_equal(profile->type, "Localhost") && !str_empty(profile->localhostProfile))
        return xasprintf("%s%s", localhost, profile->localhostProfile);
    return xstrdup("unconfined");
}

static char *choose_profile(const struct container_spec_options *options, const struct pod *pod,
                            const struct container *container)
{
    const struct string_map *annotations = &pod->metadata.annotations;
    const struct security_context *own = container->securityContext;
    const struct pod_security_context *shared = pod->spec.securityContext;
    if (own && own->seccompProfile)
        return from_field(own->seccompProfile);
    _cleanup_free_ char *key =
        xasprintf("container.seccomp.security.alpha.kubernetes.io/%s", container->name);
    const char *value = string_map_get(annotations, key);
    if (value)
        return xstrdup(value);
    if (shared && shared->seccompProfile)
        return from_field(shared->seccompProfile);
    value = string_map_get(annotations, "seccomp.security.alpha.kubernetes.io/pod");
    return xstrdup(value ? value : options->seccomp_default ? "runtime/default" : "unconfined");
}

static int read_profile(const struct container_spec_options *options, const char *name,
                        struct buffer *out, struct error *err)
{
    _cleanup_close_ int dir = open(options->seccomp_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = dir < 0 ? -1 : fs_open_beneath(dir, name, O_RDONLY | O_NONBLOCK, 0);
    int code = dir < 0 ? -errno : fd < 0 ? fd : fs_read_fd(fd, SECCOMP_PROFILE_SIZE_MAX, out);
    return code < 0 ? error_errno(err, code, "seccomp profile %s/%s", options->seccomp_root, name)
                    : 0;
}

static int load_profile(const struct container_spec_options *options, const char *name,
                        uint64_t capabilities, struct seccomp_program *ret, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int code = read_profile(options, name, &text, err);
    if (code < 0)
        return code;
    code = seccomp_profile_program(options->seccomp, buffer_str(&text), text.len, capabilities, ret,
                                   err);
    return code < 0 ? error_prefix(err, code, "seccomp profile %s/%s", options->seccomp_root, name)
                    : 0;
}

// What the container will be able to have; the shim says what it cannot be given.
static uint64_t capabilities_of(const struct shim_spec *spec)
{
    _cleanup_buffer_ struct buffer unheard = BUFFER_EMPTY;
    return credentials_capabilities(spec, credentials_bounding_set(), &unheard);
}

int container_spec_seccomp(const struct container_spec_options *options, const struct pod *pod,
                           const struct container *container, struct shim_spec *spec,
                           struct error *err)
{
    _cleanup_free_ char *profile = choose_profile(options, pod, container);
    struct seccomp_program program = {.code = BUFFER_EMPTY};
    int code = 0;
    if (spec->privileged || str_equal(profile, "unconfined") || str_empty(profile))
        return 0;
    if (str_starts_with(profile, localhost))
        code = load_profile(options, profile + strlen(localhost), capabilities_of(spec), &program,
                            err);
    else
        code = seccomp_default_program(options->seccomp, capabilities_of(spec), &program, err);
    if (code < 0)
        return code;
    spec->seccomp_flags = program.flags;
    spec->seccomp_filter.size = program.code.len;
    spec->seccomp_filter.data = buffer_take(&program.code);
    return 0;
}
