// See pod-files.h. A file is replaced only where its text is another, so that a container that is
// started anew finds the one that its neighbours have.
#include "supervisor/pod-files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/pod-names.h"

enum { HOSTS_MAX = 10 << 20 };

// ---- /etc/hosts ----

static void add_addresses(const struct pod *pod, const char *cluster_domain,
                          const struct string_list *ips, struct buffer *out)
{
    _cleanup_free_ char *hostname = pod_names_hostname(pod);
    _cleanup_free_ char *domain = pod_names_domain(pod, cluster_domain);
    buffer_add_str(out, "# Kubernetes-managed hosts file.\n"
                        "127.0.0.1\tlocalhost\n"
                        "::1\tlocalhost ip6-localhost ip6-loopback\n"
                        "fe00::0\tip6-localnet\n"
                        "fe00::0\tip6-mcastprefix\n"
                        "fe00::1\tip6-allnodes\n"
                        "fe00::2\tip6-allrouters\n");
    LIST_EACH (ip, ips)
        if (domain)
            buffer_printf(out, "%s\t%s.%s\t%s\n", *ip, hostname, domain, hostname);
        else
            buffer_printf(out, "%s\t%s\n", *ip, hostname);
}

void pod_files_hosts(const struct pod *pod, const char *cluster_domain,
                     const struct string_list *ips, const char *node_hosts, struct buffer *out)
{
    if (ips)
        add_addresses(pod, cluster_domain, ips, out);
    else
        buffer_printf(out, "# Kubernetes-managed hosts file (host network).\n%s", node_hosts);
    if (pod->spec.hostAliases.n > 0)
        buffer_add_str(out, "\n# Entries added by HostAliases.\n");
    LIST_EACH (alias, &pod->spec.hostAliases) {
        buffer_add_str(out, alias->ip ? alias->ip : "");
        LIST_EACH (name, &alias->hostnames)
            buffer_printf(out, "\t%s", *name);
        buffer_add_char(out, '\n');
    }
}

static int write_hosts(const struct pod_files_options *options, const struct pod *pod,
                       struct buffer *out, struct error *err)
{
    _cleanup_buffer_ struct buffer node = BUFFER_EMPTY;
    int code = options->ips ? 0 : fs_read_file(AT_FDCWD, "/etc/hosts", HOSTS_MAX, &node);
    if (code < 0 && code != -ENOENT)
        return error_errno(err, code, "/etc/hosts");
    pod_files_hosts(pod, options->dns.cluster_domain, options->ips, buffer_str(&node), out);
    return 0;
}

// ---- the others ----

static int write_resolv_conf(const struct pod_files_options *options, const struct pod *pod,
                             struct buffer *out, struct error *err)
{
    return pod_dns_write(&options->dns, pod, out, NULL, err);
}

static int write_hostname(const struct pod_files_options *options, const struct pod *pod,
                          struct buffer *out, struct error *err)
{
    _cleanup_free_ char *name = NULL;
    int code = pod_names_for_kernel(pod, options->dns.cluster_domain, &name, err);
    if (code == 0)
        buffer_printf(out, "%s\n", name);
    return code;
}

static bool wants_hosts(const struct pod_files_options *options, const struct pod *pod)
{
    return options->ips || pod->spec.hostAliases.n > 0;
}

static bool wants_resolv_conf(const struct pod_files_options *options, const struct pod *pod)
{
    return pod_dns_differs(&options->dns, pod);
}

static bool wants_hostname(const struct pod_files_options *options, const struct pod *pod)
{
    return options->ips != NULL;
}

static const struct file {
    const char *name, *path; // below the pod's directory; in the container
    bool (*wanted)(const struct pod_files_options *options, const struct pod *pod);
    int (*write)(const struct pod_files_options *options, const struct pod *pod, struct buffer *out,
                 struct error *err);
} files[] = {
    {"etc-hosts", "/etc/hosts", wants_hosts, write_hosts},
    {"resolv.conf", "/etc/resolv.conf", wants_resolv_conf, write_resolv_conf},
    {"hostname", "/etc/hostname", wants_hostname, write_hostname},
};

// ---- mounts ----

static bool is_mounted(const struct shim_spec *spec, const char *destination)
{
    LIST_EACH (mount, &spec->mounts)
        if (str_equal(mount->destination, destination))
            return true;
    return false;
}

static void add_mount(struct shim_spec *spec, const struct file *file, const char *source,
                      bool read_only)
{
    struct shim_mount *mount = LIST_APPEND(&spec->mounts);
    mount->source = xstrdup(source);
    mount->destination = xstrdup(file->path);
    mount->volume = xstrdup(path_base(file->path));
    mount->read_only = read_only;
}

static int put(const char *path, const struct buffer *text, struct error *err)
{
    _cleanup_buffer_ struct buffer old = BUFFER_EMPTY;
    if (fs_read_file(AT_FDCWD, path, HOSTS_MAX, &old) == 0 && old.len == text->len &&
        memcmp(buffer_str(&old), buffer_str(text), text->len) == 0)
        return 0;
    int code = fs_mkdir_parents_of(AT_FDCWD, path);
    if (code == 0)
        code = fs_write_atomic(AT_FDCWD, path, buffer_str(text), text->len, 0644, 0);
    return code < 0 ? error_errno(err, code, "%s", path) : 0;
}

static int prepare_own(const struct pod_files_options *options, const struct pod *pod,
                       const struct file *file, struct shim_spec *spec, struct error *err)
{
    _cleanup_free_ char *path =
        xasprintf("%s/pods/%s/%s", options->root_dir, pod->metadata.uid, file->name);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int code = file->write(options, pod, &text, err);
    if (code == 0)
        code = put(path, &text, err);
    if (code == 0)
        add_mount(spec, file, path, options->read_only);
    return code;
}

int pod_files_prepare(const struct pod_files_options *options, const struct pod *pod,
                      struct shim_spec *spec, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        const struct file *file = &files[i];
        if (is_mounted(spec, file->path))
            continue;
        if (file->wanted(options, pod)) {
            int code = prepare_own(options, pod, file, spec, err);
            if (code < 0)
                return code;
        } else if (spec->root_kind == SHIM_ROOT_OVERLAY && access(file->path, R_OK) == 0) {
            // An image's own root knows neither the node's names nor its name servers.
            add_mount(spec, file, file->path, true);
        }
    }
    return 0;
}
