// See control-plane.h.
#include "manifests/control-plane.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "manifests/control-plane-internal.h"
#include "manifests/versions.h"

static const char *const component_names[COMPONENTS] = {
    [COMPONENT_ETCD] = "etcd",
    [COMPONENT_KUBE_APISERVER] = "kube-apiserver",
    [COMPONENT_KUBE_CONTROLLER_MANAGER] = "kube-controller-manager",
    [COMPONENT_KUBE_SCHEDULER] = "kube-scheduler",
};

const char *control_plane_component_name(enum control_plane_component component)
{
    return component_names[component];
}

int control_plane_component_parse(const char *name, enum control_plane_component *ret,
                                  struct error *err)
{
    for (int i = 0; i < COMPONENTS; i++) {
        const char *known = component_names[i];
        if (str_equal(name, known) ||
            (str_starts_with(known, "kube-") && str_equal(name, known + strlen("kube-")))) {
            *ret = (enum control_plane_component)i;
            return 0;
        }
    }
    return error_set(err, EINVAL,
                     "no component \"%s\": there are etcd, kube-apiserver, "
                     "kube-controller-manager and kube-scheduler",
                     name);
}

static int check_directory(const char *what, const char *path, struct error *err)
{
    if (path_is_clean_absolute(path) && !(str_ends_with(path, "/")) && !strchr(path, ':'))
        return 0;
    return error_set(err, EINVAL,
                     "%s \"%s\": must be an absolute path without \".\", \"..\", \":\" and without "
                     "a slash at its end",
                     what, path);
}

static int check_plane(const struct control_plane *plane, struct error *err)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, plane->advertise_address, bytes) != 1 &&
        inet_pton(AF_INET6, plane->advertise_address, bytes) != 1)
        return error_set(err, EINVAL, "advertise address \"%s\": not an IP address",
                         plane->advertise_address);
    int code = check_directory("certificate directory", plane->pki_dir, err);
    if (code == 0)
        code = check_directory("kubeconfig directory", plane->kubeconfig_dir, err);
    if (code == 0)
        code = check_directory("etcd data directory", plane->etcd_data_dir, err);
    if (code == 0)
        code = check_directory("flex volume directory", plane->flex_volume_dir, err);
    return code;
}

// Extra arguments with their dashes.
static int normalize_extra_args(const struct string_list *from, struct string_list *to,
                                struct error *err)
{
    for (size_t i = 0; i < from->n; i++) {
        const char *arg = from->items[i] + strspn(from->items[i], "-");
        size_t name = strcspn(arg, "=");
        if (name == 0 || strcspn(arg, " \t\n") < name)
            return error_set(err, EINVAL, "extra argument \"%s\": not FLAG=VALUE", from->items[i]);
        string_list_add_owned(to, xasprintf("--%s", arg));
    }
    return 0;
}

// Does an extra argument set this flag, whose name is `len` bytes long (dashes included)?
static bool is_extra(const char *flag, size_t len, const struct string_list *extra_args)
{
    for (size_t i = 0; i < extra_args->n; i++) {
        const char *arg = extra_args->items[i];
        if (strcspn(arg, "=") == len && strncmp(arg, flag, len) == 0)
            return true;
    }
    return false;
}

static void add_version_args(const struct control_plane *plane,
                             enum control_plane_component component, int minor,
                             struct plane_values *values)
{
    _cleanup_string_list_ struct string_list all = {0};
    version_arguments(plane, component, minor, &all);
    for (size_t i = 0; i < all.n; i++) {
        _cleanup_free_ char *flag = xasprintf("--%s", all.items[i]);
        if (!is_extra(flag, strcspn(flag, "="), &values->extra_args))
            string_list_add(&values->version_args, flag);
    }
}

// True for a line `- "--FLAG=…"` whose flag is among the extra arguments.
static bool is_replaced(const char *line, const struct string_list *extra_args)
{
    static const char start[] = "- \"--";
    line += strspn(line, " ");
    if (!str_starts_with(line, start))
        return false;
    line += strlen("- \"");
    return is_extra(line, strcspn(line, "=\"\n"), extra_args);
}

// The template without the flags that the extra arguments set. A line that goes leaves an empty
// comment, so that the lines keep their numbers.
static void drop_replaced_flags(const char *text, const struct string_list *extra_args,
                                struct buffer *out)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (is_replaced(text, extra_args))
            buffer_add_char(out, '#');
        else
            buffer_add(out, text, len);
        buffer_add_char(out, '\n');
        text += len + (text[len] == '\n');
    }
}

int control_plane_render(const struct control_plane *plane, enum control_plane_component component,
                         struct buffer *out, struct error *err)
{
    _cleanup_plane_values_ struct plane_values values = {0};
    _cleanup_buffer_ struct buffer template = BUFFER_EMPTY;
    const char *name = component_names[component];
    int minor = 0;
    int code = check_plane(plane, err);
    if (code == 0)
        code = kubernetes_version_parse(plane->kubernetes_version, &minor, err);
    if (code == 0)
        code = normalize_extra_args(&plane->extra_args[component], &values.extra_args, err);
    if (code < 0)
        return code;
    add_version_args(plane, component, minor, &values);
    plane_values_fill(&values, plane, component, minor);
    drop_replaced_flags(control_plane_template(component), &values.extra_args, &template);
    return render_template(name, buffer_str(&template), values.parameters.items,
                           values.parameters.n, out, err);
}
