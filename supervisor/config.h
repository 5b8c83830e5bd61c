// The daemon's configuration: the kubelet's flags and the kubelet's configuration file
// (KubeletConfiguration, kubelet.config.k8s.io/v1beta1), with a few of our own beside them
// (cmd/kubelet/app/options/options.go, staging/src/k8s.io/kubelet/config/v1beta1/types.go).
//
// Nothing is ignored in silence: what the kubelet knows and this program does not do is refused by
// name with the reason, or, where leaving it out changes nothing that an operator would miss,
// noted as without effect. Flags win over the file.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/monotime.h"
#include "base/string-list.h"
#include "supervisor/backoff.h"
#include "supervisor/cgroup-numbers.h"

enum config_action {
    CONFIG_RUN,
    CONFIG_SHOW_HELP,    // --help: print config_usage(), exit 0
    CONFIG_SHOW_VERSION, // --version: exit 0
};

// Every string is owned and, unless the comment says otherwise, never NULL.
struct config {
    enum config_action action;
    char *config_file; // --config; NULL where there is none
    char *file_path;   // the file whose text is in force, NULL where there is none: config_file, or
    char *file_text;   // what was given for it when that text was kept
    char *refused;     // why the file is not in force as it is: a kept text is; else NULL

    char *node_name;            // --hostname-override, else the host's name; lower case
    char *node_ip;              // --node-ip; "" where it was not given
    char *manifest_path;        // --pod-manifest-path, staticPodPath: a directory or one file
    int64_t file_check_usec;    // --file-check-frequency
    char *manifest_url;         // --manifest-url; "" for none
    char *manifest_url_headers; // --manifest-url-header: "Name: value" lines; "" for none
    int64_t http_check_usec;    // --http-check-frequency
    int64_t volume_stats_usec;  // --volume-stats-agg-period

    char *cni_conf_dir;       // --cni-conf-dir
    char *cni_bin_dir;        // --cni-bin-dir: directories, joined by commas
    int64_t cni_timeout_usec; // --runtime-request-timeout: of one CNI plugin

    char *cluster_dns;            // --cluster-dns, clusterDNS: joined by commas; "" for none
    char *cluster_domain;         // --cluster-domain; "" for none
    char *resolv_conf;            // --resolv-conf; "" for none
    char *allowed_unsafe_sysctls; // --allowed-unsafe-sysctls: joined by commas; "" for none

    char *root_dir;            // --root-dir: state, images, pods
    char *run_dir;             // --run-dir: sockets and shims
    char *pod_log_dir;         // --pod-log-dir, podLogsDir
    char *socket_path;         // --socket
    char *pid_file;            // --pid-file; "" for none
    char *renew_certificates;  // --renew-certificates; "" for none
    char *command_path;        // the `mainstay` program that belongs to this agent
    char *shim_path;           // --shim
    int64_t quorum_guard_usec; // --quorum-guard-patience

    char *healthz_bind_address; // --healthz-bind-address
    int healthz_port;           // --healthz-port; 0: no healthz endpoint

    int64_t log_max_bytes; // --container-log-max-size: rotate beyond this
    int log_max_files;     // --container-log-max-files, the live one included

    char *cgroup_name;           // --cgroup-name, --cgroup-root without its leading slash
    struct cgroup_policy limits; // --cpu-cfs-quota, --pod-max-pids, --cpu-weight-formula, …
    char *disk_limits;           // evictionHard, as far as it is about nodefs (disk-limits.h)

    int64_t shutdown_usec;          // shutdownGracePeriod; 0: not limited
    int64_t shutdown_critical_usec; // shutdownGracePeriodCriticalPods, a part of it

    struct backoff_curve backoff; // crashLoopBackOff.maxContainerRestartPeriod changes its maximum
    int verbosity;                // --v, as klog: 0 normal, 2 informative, 4 and above debug
    char *seccomp_root;           // --seccomp-profile-root
    bool seccomp_default;         // --seccomp-default, seccompDefault
    bool stop_pods_on_exit;       // --stop-pods-on-exit: SIGTERM also stops the pods

    bool init;                  // --init: see init.h
    char *init_as;              // --init-as
    int64_t init_watchdog_usec; // --init-watchdog

    // What was given and has no effect here, one sentence each: to be logged once at start.
    struct string_list notes;
};

// What the defaults depend on, so that they can be tested for any user.
struct config_host {
    bool privileged;         // effective uid 0
    const char *host_name;   // uname's node name
    const char *home;        // $HOME, or NULL
    const char *runtime_dir; // $XDG_RUNTIME_DIR, or NULL
    const char *exe_dir;     // the directory of the running program, or NULL
};

// Reads flags and, where --config names one, the file. 0, or -EINVAL (a usage or configuration
// error, which err explains with the flag's or field's name and file:line:column) or another
// negative errno (the file cannot be read). config_free() it in either case.
int config_parse(int argc, char *const *argv, struct config *ret, struct error *err);

// The same for a given host.
int config_parse_for(const struct config_host *host, int argc, char *const *argv,
                     struct config *ret, struct error *err);

// The host that this process runs on; its strings last as long as *ret.
struct config_here {
    struct config_host host;
    char host_name[65], exe[4096];
};
void config_look_around(struct config_here *ret);

// For the start of the agent. Where the file is wrong or cannot be read, the text that was in force
// when an agent was ready last (config_keep()) is taken in its place, and ret->refused says why.
int config_parse_for_start(int argc, char *const *argv, struct config *ret, struct error *err);
int config_parse_for_start_of(const struct config_host *host, int argc, char *const *argv,
                              struct config *ret, struct error *err);

// The same with the kept text at any rate, for a configuration that cannot be brought into force.
// -ENOENT where nothing is kept, or the kept text is that of `failed`.
int config_parse_kept(int argc, char *const *argv, const struct config *failed, struct config *ret,
                      struct error *err);

// Keeps the text of the file below config->root_dir. A configuration that is a kept one is left
// alone, and so is what is kept where no file is used.
int config_keep(const struct config *config, struct error *err);

// Appends what differs, in the words of the file: "healthzPort: 10248 → 10249, …". Returns how
// many.
size_t config_differences(const struct config *before, const struct config *after,
                          struct buffer *out);

// The text of --help: every flag with its default for this host.
void config_usage(const struct config_host *host, struct buffer *out);
void config_usage_here(struct buffer *out);

// The configuration in force as a KubeletConfiguration in YAML-compatible JSON fields ("name:
// value" lines), for /configz and the debug log.
void config_describe(const struct config *config, struct buffer *out);

void config_free(struct config *config);
#define _cleanup_config_ _cleanup_(config_free)
