// See config.h. Defaults first, then the file that --config names, then the flags.
#include "supervisor/config.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/un.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/config-internal.h"
#include "supervisor/disk-limits.h"
#include "supervisor/init.h"

enum {
    FILE_CHECK_SEC = 20, // pkg/kubelet/apis/config/v1beta1/defaults.go, here and below
    HTTP_CHECK_SEC = 20,
    RUNTIME_REQUEST_SEC = 120,
    QUORUM_GUARD_SEC = 120,
    VOLUME_STATS_SEC = 60,
    HEALTHZ_PORT = 10248,
    LOG_BYTES = 10 << 20,
    LOG_FILES = 5,
};

static void set_places(const struct config_host *host, struct config *config)
{
    if (host->privileged || (!host->home && !host->runtime_dir)) {
        config->manifest_path = xstrdup("/etc/kubernetes/manifests");
        config->root_dir = xstrdup("/var/lib/mainstay");
        config->run_dir = xstrdup("/run/mainstay");
        config->pod_log_dir = xstrdup("/var/log/pods");
        return;
    }
    const char *home = host->home ? host->home : host->runtime_dir;
    config->manifest_path = path_join(home, ".config/mainstay/manifests");
    config->root_dir = path_join(home, ".local/share/mainstay");
    config->pod_log_dir = path_join(home, ".local/state/mainstay/pods");
    config->run_dir = host->runtime_dir ? path_join(host->runtime_dir, "mainstay")
                                        : path_join(home, ".local/state/mainstay/run");
}

// Beside the agent in the build; installed under whatever prefix, where it is from there.
static char *default_shim(const struct config_host *host)
{
    static const char *const places[] = {"mainstay-shim", "../libexec/mainstay/mainstay-shim"};
    for (size_t i = 0; host->exe_dir && i < ARRAY_SIZE(places); i++) {
        char *path = path_join(host->exe_dir, places[i]);
        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return xstrdup(MAINSTAY_SHIM_PATH);
}

static char *default_command(const struct config_host *host)
{
    static const char *const places[] = {"mainstay", "../bin/mainstay"};
    for (size_t i = 0; host->exe_dir && i < ARRAY_SIZE(places); i++) {
        char *path = path_join(host->exe_dir, places[i]);
        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return xstrdup("/usr/bin/mainstay");
}

void config_set_defaults(const struct config_host *host, struct config *config)
{
    *config = (struct config){
        .file_check_usec = FILE_CHECK_SEC * USEC_PER_SEC,
        .manifest_url = xstrdup(""),
        .manifest_url_headers = xstrdup(""),
        .cni_conf_dir = xstrdup("/etc/cni/net.d"),
        .cni_bin_dir = xstrdup("/opt/cni/bin,/usr/lib/cni"),
        .cluster_dns = xstrdup(""),
        .cluster_domain = xstrdup(""),
        .resolv_conf = xstrdup("/etc/resolv.conf"),
        .allowed_unsafe_sysctls = xstrdup(""),
        .cni_timeout_usec = RUNTIME_REQUEST_SEC * USEC_PER_SEC,
        .quorum_guard_usec = QUORUM_GUARD_SEC * USEC_PER_SEC,
        .http_check_usec = HTTP_CHECK_SEC * USEC_PER_SEC,
        .volume_stats_usec = VOLUME_STATS_SEC * USEC_PER_SEC,
        .healthz_port = HEALTHZ_PORT,
        .log_max_bytes = LOG_BYTES,
        .log_max_files = LOG_FILES,
        .limits = CGROUP_POLICY_DEFAULT,
        .backoff = BACKOFF_KUBELET,
        .node_name = xstrdup(""),
        .node_ip = xstrdup(""),
        .healthz_bind_address = xstrdup("127.0.0.1"),
        .cgroup_name = xstrdup("mainstay"),
        .socket_path = xstrdup(""),
        .disk_limits = xstrdup(DISK_LIMITS_DEFAULT),
        .init_as = xstrdup(init_kind_name(INIT_AUTO)),
        .init_watchdog_usec = INIT_WATCHDOG_SEC * USEC_PER_SEC,
        .shim_path = default_shim(host),
        .renew_certificates = xstrdup(""),
        .command_path = default_command(host),
    };
    set_places(host, config);
}

static int finish_node_name(const struct config_host *host, struct config *config,
                            struct error *err)
{
    if (*config->node_name)
        return 0;
    struct setting_value value = {.text = host->host_name ? host->host_name : ""};
    int code =
        setting_apply(setting_by_flag("hostname-override"), "host name", &value, config, err);
    if (code < 0 && err)
        return error_set(err, EINVAL, "%s. Name the node with --hostname-override",
                         error_message(err));
    return code;
}

static int finish_socket(struct config *config, struct error *err)
{
    if (!*config->socket_path)
        config_replace(&config->socket_path, path_join(config->run_dir, "mainstay.sock"));
    size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    if (strlen(config->socket_path) > most)
        return error_set(err, EINVAL,
                         "%s: a socket's path may have %zu characters at most. Choose a shorter "
                         "--run-dir or --socket",
                         config->socket_path, most);
    return 0;
}

// pkg/kubelet/apis/config/validation/validation.go
static int check_shutdown(const struct config *config, struct error *err)
{
    if (config->shutdown_critical_usec > config->shutdown_usec)
        return error_set(err, EINVAL,
                         "shutdownGracePeriodCriticalPods: must not be longer than "
                         "shutdownGracePeriod, which it is a part of");
    if (config->shutdown_usec > 0 && config->shutdown_usec < USEC_PER_SEC)
        return error_set(err, EINVAL, "shutdownGracePeriod: must be 0s, or 1s and more");
    return 0;
}

static void finish_seccomp_root(struct config *config)
{
    if (!config->seccomp_root)
        config->seccomp_root = path_join(config->root_dir, "seccomp");
}

static void finish_pid_file(struct config *config)
{
    if (!config->pid_file)
        config->pid_file = path_join(config->run_dir, "mainstayd.pid");
}

static int apply_file(const struct config_kept *instead, struct config *config, struct error *err)
{
    if (!config->config_file)
        return 0;
    if (!instead)
        return config_file_apply(config->config_file, config, err);
    if (!instead->path)
        return 0;
    return config_text_apply(instead->path, instead->text, strlen(instead->text), config, err);
}

int config_parse_for(const struct config_host *host, int argc, char *const *argv,
                     struct config *ret, struct error *err)
{
    return config_parse_with(host, argc, argv, NULL, ret, err);
}

int config_parse_with(const struct config_host *host, int argc, char *const *argv,
                      const struct config_kept *instead, struct config *ret, struct error *err)
{
    _cleanup_flags_ struct given_flags flags = {0};
    config_set_defaults(host, ret);
    int code = flags_read(argc, argv, &flags, err);
    ret->action = flags.action;
    if (code < 0 || ret->action != CONFIG_RUN)
        return code;
    ret->config_file = xstrdup_or_null(flags.config_file);
    code = apply_file(instead, ret, err);
    if (code == 0)
        code = flags_apply(&flags, ret, err);
    if (code == 0)
        code = finish_node_name(host, ret, err);
    if (code == 0)
        code = finish_socket(ret, err);
    if (code == 0)
        code = check_shutdown(ret, err);
    finish_pid_file(ret);
    finish_seccomp_root(ret);
    return code;
}

void config_look_around(struct config_here *ret)
{
    struct utsname names;
    bool named = uname(&names) == 0;
    snprintf(ret->host_name, sizeof(ret->host_name), "%s", named ? names.nodename : "");
    ssize_t n = readlink("/proc/self/exe", ret->exe, sizeof(ret->exe) - 1);
    ret->exe[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(ret->exe, '/');
    if (slash)
        *slash = '\0';
    const char *home = getenv("HOME"), *runtime_dir = getenv("XDG_RUNTIME_DIR");
    ret->host = (struct config_host){
        .privileged = geteuid() == 0,
        .host_name = ret->host_name,
        .home = home && home[0] == '/' ? home : NULL,
        .runtime_dir = runtime_dir && runtime_dir[0] == '/' ? runtime_dir : NULL,
        .exe_dir = slash ? ret->exe : NULL,
    };
}

int config_parse(int argc, char *const *argv, struct config *ret, struct error *err)
{
    struct config_here here;
    config_look_around(&here);
    return config_parse_for(&here.host, argc, argv, ret, err);
}

void config_usage_here(struct buffer *out)
{
    struct config_here here;
    config_look_around(&here);
    config_usage(&here.host, out);
}

void config_free(struct config *config)
{
    free(config->config_file);
    free(config->file_path);
    free(config->file_text);
    free(config->refused);
    free(config->node_name);
    free(config->node_ip);
    free(config->manifest_path);
    free(config->manifest_url);
    free(config->cluster_dns);
    free(config->cluster_domain);
    free(config->resolv_conf);
    free(config->allowed_unsafe_sysctls);
    free(config->cni_conf_dir);
    free(config->cni_bin_dir);
    free(config->manifest_url_headers);
    free(config->root_dir);
    free(config->run_dir);
    free(config->pod_log_dir);
    free(config->socket_path);
    free(config->pid_file);
    free(config->seccomp_root);
    free(config->shim_path);
    free(config->renew_certificates);
    free(config->command_path);
    free(config->healthz_bind_address);
    free(config->cgroup_name);
    free(config->disk_limits);
    free(config->init_as);
    string_list_free(&config->notes);
    *config = (struct config){0};
}
