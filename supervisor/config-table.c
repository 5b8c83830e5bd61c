// Every flag and every field of KubeletConfiguration that kubelet 1.20 knows (cmd/kubelet/app/
// options, staging/src/k8s.io/kubelet/config/v1beta1/types.go), those of later releases that stand
// in configuration files today, and our own; with what becomes of each.
#include "supervisor/config-internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"

static const char no_api[] = "this release does not talk to an API server";
static const char no_ports[] =
    "the kubelet's HTTPS and read-only ports are not served by this release; the same paths answer "
    "on the agent's socket";
static const char no_engine[] = "containers are run directly, there is no container engine";
static const char no_images[] = "images are directories here: nothing is pulled or collected";
static const char no_eviction[] = "static pods are never evicted";
static const char no_reserve[] = "nothing is scheduled to this node, so nothing is kept back";
static const char by_cni[] = "the files in --cni-conf-dir describe the pods' network";
static const char no_stats[] = "statistics are read when somebody asks for them, in one form";
static const char by_events[] = "changes are acted on as they happen, not in a period";
static const char by_systemd[] = "set it for the service (systemd: OOMScoreAdjust=, LimitNOFILE=)";
static const char no_pinning[] = "this release does not assign CPUs or memory to containers";
static const char own_log[] = "the log goes to standard error or the journal in one format";
static const char no_proxy[] = "no rules of iptables are made";
static const char no_gates[] = "what the kubelet switches with feature gates is fixed here";
static const char no_cadvisor[] = "cAdvisor is no part of this program";
static const char no_debug[] = "it is a switch for the kubelet's own debugging";
static const char own_cgroups[] =
    "cgroups are made directly, below the one that --cgroup-name names";
static const char no_attach[] = "volumes of this release are not attached";
static const char own_lock[] = "the agent always takes the lock of its run directory";

// clang-format off
#define HONOUR(f, p, k, m, setter, member, text)                                                   \
    {.flag = f, .field = p, .kind = SETTING_##k, .effect = SETTING_HONOURED, .why = text,          \
     .metavar = m, .set = setter, .offset = offsetof(struct config, member)}
#define NOTE(f, p, k, reason)                                                                      \
    {.flag = f, .field = p, .kind = SETTING_##k, .effect = SETTING_NOTED, .why = reason}
#define REFUSE(f, p, k, ok, reason)                                                                \
    {.flag = f, .field = p, .kind = SETTING_##k, .effect = SETTING_REFUSED, .harmless = ok,        \
     .why = reason}

const struct setting config_settings[] = {
    // What is honoured, in the order of --help.
    HONOUR("pod-manifest-path", "staticPodPath", STRING, "PATH", setting_set_path, manifest_path,
           "directory of manifests (or one manifest) to run"),
    HONOUR("file-check-frequency", "fileCheckFrequency", DURATION, "DURATION",
           setting_set_positive_duration, file_check_usec,
           "full rescan of the manifests, beside inotify"),
    HONOUR("manifest-url", "staticPodURL", STRING, "URL", setting_set_url, manifest_url,
           "a second source: a Pod or PodList that is fetched from there"),
    HONOUR("manifest-url-header", "staticPodURLHeader", MAP, "NAME:VALUE,...", setting_set_headers,
           manifest_url_headers, "headers to ask it with"),
    HONOUR("http-check-frequency", "httpCheckFrequency", DURATION, "DURATION",
           setting_set_positive_duration, http_check_usec, "how often it is asked"),
    HONOUR("volume-stats-agg-period", "volumeStatsAggPeriod", DURATION, "DURATION",
           setting_set_positive_duration, volume_stats_usec,
           "how often emptyDir volumes with a sizeLimit are measured"),
    HONOUR("hostname-override", NULL, STRING, "NAME", setting_set_node_name, node_name,
           "name of this node, the suffix of its pods"),
    HONOUR("node-ip", NULL, STRING, "IP", setting_set_node_ip, node_ip,
           "address of this node, for status.hostIP and probes"),
    HONOUR("cni-conf-dir", NULL, STRING, "DIR", setting_set_path, cni_conf_dir,
           "where the network of pods is described, as CNI defines it"),
    HONOUR("cni-bin-dir", NULL, STRING, "DIR,...", setting_set_string, cni_bin_dir,
           "where CNI plugins are looked up"),
    HONOUR("cluster-dns", "clusterDNS", LIST, "IP,...", setting_set_ip_list, cluster_dns,
           "name servers of pods whose dnsPolicy is ClusterFirst"),
    HONOUR("cluster-domain", "clusterDomain", STRING, "DOMAIN", setting_set_domain, cluster_domain,
           "domain of the cluster, for the names of pods and their search domains"),
    HONOUR("resolv-conf", "resolvConf", STRING, "PATH", setting_set_path_or_none, resolv_conf,
           "the node's name servers, for pods; \"\" for none"),
    HONOUR("allowed-unsafe-sysctls", "allowedUnsafeSysctls", LIST, "NAME,...", setting_set_sysctls,
           allowed_unsafe_sysctls, "kernel parameters that pods may set beside the safe ones"),
    HONOUR("runtime-request-timeout", "runtimeRequestTimeout", DURATION, "DURATION",
           setting_set_positive_duration, cni_timeout_usec, "how long a CNI plugin may take"),
    HONOUR("root-dir", NULL, STRING, "DIR", setting_set_path, root_dir,
           "state, images and pod directories"),
    HONOUR("run-dir", NULL, STRING, "DIR", setting_set_path, run_dir,
           "sockets and shims; another one for each agent of a machine"),
    HONOUR("pod-log-dir", "podLogsDir", STRING, "DIR", setting_set_path, pod_log_dir,
           "logs of containers, in the CRI layout"),
    HONOUR("socket", NULL, STRING, "PATH", setting_set_path, socket_path,
           "where `mainstay` finds this agent"),
    HONOUR("pid-file", NULL, STRING, "PATH", setting_set_path_or_none, pid_file,
           "where monit and init scripts find this agent's PID, \"\" for no such file"),
    HONOUR("shim", NULL, STRING, "PATH", setting_set_path, shim_path, "the mainstay-shim program"),
    HONOUR("renew-certificates", "renewCertificates", STRING, "DIR", setting_set_path_or_none, renew_certificates,
           "directory of certificates that are renewed at 2/3 of their life, with those that the "
           "manifests name, by the CAs there; \"\" for none (the default)"),
    HONOUR("quorum-guard-patience", NULL, DURATION, "DURATION", setting_set_positive_duration,
           quorum_guard_usec,
           "how long a member of etcd is not stopped where nobody can be asked whether the quorum "
           "would be kept"),
    HONOUR("healthz-bind-address", "healthzBindAddress", STRING, "IP", setting_set_ip,
           healthz_bind_address, "address of the healthz endpoint"),
    HONOUR("healthz-port", "healthzPort", INT, "PORT", setting_set_port, healthz_port,
           "port of the healthz endpoint, 0 for none"),
    HONOUR("container-log-max-size", "containerLogMaxSize", STRING, "QUANTITY",
           setting_set_log_size, log_max_bytes, "rotate a container's log beyond this size"),
    HONOUR("container-log-max-files", "containerLogMaxFiles", INT, "N", setting_set_log_files,
           log_max_files, "log files of a container, the live one included (at least 2)"),
    HONOUR("cgroup-name", NULL, STRING, "NAME", setting_set_cgroup, cgroup_name,
           "cgroup that the pods' cgroups are made in"),
    HONOUR("cgroup-root", "cgroupRoot", STRING, "PATH", setting_set_cgroup, cgroup_name,
           "the same, as the kubelet calls it"),
    HONOUR("seccomp-default", "seccompDefault", BOOL, NULL, setting_set_bool, seccomp_default,
           "RuntimeDefault for containers whose manifest names no seccomp profile"),
    HONOUR("seccomp-profile-root", NULL, STRING, "DIR", setting_set_path, seccomp_root,
           "directory of seccomp profiles of the type Localhost"),
    HONOUR("cpu-cfs-quota", "cpuCFSQuota", BOOL, NULL, setting_set_bool, limits.cpu_quota,
           "enforce CPU limits"),
    HONOUR("cpu-cfs-quota-period", "cpuCFSQuotaPeriod", DURATION, "DURATION",
           setting_set_cpu_period, limits.cpu_period_usec,
           "period in which a CPU limit is counted, 1ms to 1s"),
    HONOUR("cpu-weight-formula", NULL, STRING, "FORMULA", setting_set_weight_formula,
           limits.weight,
           "CPU requests to v2 cpu.weight: linear (as the kubelet) or logarithmic (runc 1.3.2)"),
    HONOUR("pod-max-pids", "podPidsLimit", INT, "N", setting_set_pids_limit, limits.pids_limit,
           "processes of a pod, -1 for any number"),
    HONOUR(NULL, "singleProcessOOMKill", BOOL, NULL, setting_set_bool, limits.oom_kills_one,
           "under cgroup v2, the memory limit kills one process instead of the whole container"),
    HONOUR("stop-pods-on-exit", NULL, BOOL, NULL, setting_set_bool, stop_pods_on_exit,
           "stop the pods when the agent is stopped (they go on running otherwise)"),
    HONOUR("init", NULL, BOOL, NULL, setting_set_bool, init,
           "be process 1 of a container or a machine: reap, and keep the agent as a child"),
    HONOUR("init-as", NULL, STRING, "KIND", setting_set_init_as, init_as,
           "how process 1 begins and ends: container, machine or auto"),
    HONOUR("init-watchdog", NULL, DURATION, "DURATION", setting_set_positive_duration,
           init_watchdog_usec, "process 1 starts an agent anew that is silent for longer"),
    HONOUR("v", "logging.verbosity", INT, "LEVEL", setting_set_verbosity, verbosity,
           "verbosity as in klog: 0 normal, 2 informative, 4 debug"),
    HONOUR(NULL, "crashLoopBackOff.maxContainerRestartPeriod", DURATION, NULL,
           setting_set_max_restart_period, backoff,
           "the longest back-off between two restarts of a container, 1s to 300s"),
    HONOUR("eviction-hard", "evictionHard", MAP, "LIMITS", setting_set_disk_limits, disk_limits,
           "nodefs.available and nodefs.inodesFree: with less left on a file system of its own the "
           "agent tells of DiskPressure (no pod is evicted, and other signals mean nothing)"),
    HONOUR(NULL, "shutdownGracePeriod", DURATION, NULL, setting_set_positive_duration,
           shutdown_usec,
           "how long a stop of all pods may take when the agent or the machine ends, 0s for as long "
           "as their grace periods; given, logind is asked to hold the machine's end up for it"),
    HONOUR(NULL, "shutdownGracePeriodCriticalPods", DURATION, NULL, setting_set_positive_duration,
           shutdown_critical_usec,
           "the part of it that is kept for pods of the two system priority classes, which stop "
           "last"),

    // The API server.
    REFUSE("kubeconfig", NULL, STRING, "",
           "registering with an API server comes with a later release; leave it out to run "
           "standalone"),
    REFUSE("bootstrap-kubeconfig", NULL, STRING, "",
           "registering with an API server comes with a later release; leave it out to run "
           "standalone"),
    REFUSE("experimental-bootstrap-kubeconfig", NULL, STRING, "",
           "registering with an API server comes with a later release"),
    NOTE("register-node", "registerNode", BOOL, no_api),
    NOTE("register-schedulable", NULL, BOOL, no_api),
    NOTE("register-with-taints", "registerWithTaints", LIST, no_api),
    NOTE("node-labels", NULL, MAP, no_api),
    NOTE("node-status-max-images", "nodeStatusMaxImages", INT, no_api),
    NOTE("node-status-update-frequency", "nodeStatusUpdateFrequency", DURATION, no_api),
    NOTE(NULL, "nodeStatusReportFrequency", DURATION, no_api),
    NOTE(NULL, "nodeLeaseDurationSeconds", INT, no_api),
    NOTE("kube-api-content-type", "contentType", STRING, no_api),
    NOTE("kube-api-qps", "kubeAPIQPS", INT, no_api),
    NOTE("kube-api-burst", "kubeAPIBurst", INT, no_api),
    NOTE("master-service-namespace", NULL, STRING, no_api),
    NOTE("provider-id", "providerID", STRING, no_api),
    NOTE("rotate-certificates", "rotateCertificates", BOOL, no_api),
    NOTE("event-qps", "eventRecordQPS", INT, "no event is ever dropped"),
    NOTE("event-burst", "eventBurst", INT, "no event is ever dropped"),
    NOTE(NULL, "configMapAndSecretChangeDetectionStrategy", STRING, no_api),
    REFUSE("cloud-provider", NULL, STRING, "|external", "cloud providers are not supported"),
    REFUSE("cloud-config", NULL, STRING, "", "cloud providers are not supported"),
    REFUSE("dynamic-config-dir", NULL, STRING, "",
           "dynamic configuration (removed from Kubernetes 1.24) is not supported"),

    // Other sources of pods.
    REFUSE("runonce", "runOnce", BOOL, "false", "it is not supported: the agent keeps pods running"),
    NOTE("sync-frequency", "syncFrequency", DURATION, by_events),
    NOTE("max-pods", "maxPods", INT, "the number of static pods is not limited"),
    NOTE("pods-per-core", "podsPerCore", INT, "the number of static pods is not limited"),

    // Servers and their security.
    NOTE("enable-server", "enableServer", BOOL, no_ports),
    NOTE("address", "address", STRING, no_ports),
    NOTE("port", "port", INT, no_ports),
    REFUSE("read-only-port", "readOnlyPort", INT, "0",
           "the read-only port comes with a later release; set it to 0"),
    NOTE("anonymous-auth", "authentication.anonymous.enabled", BOOL, no_ports),
    NOTE("authentication-token-webhook", "authentication.webhook.enabled", BOOL, no_ports),
    NOTE("authentication-token-webhook-cache-ttl", "authentication.webhook.cacheTTL", DURATION,
         no_ports),
    NOTE("client-ca-file", "authentication.x509.clientCAFile", STRING, no_ports),
    NOTE("authorization-mode", "authorization.mode", STRING, no_ports),
    NOTE("authorization-webhook-cache-authorized-ttl",
         "authorization.webhook.cacheAuthorizedTTL", DURATION, no_ports),
    NOTE("authorization-webhook-cache-unauthorized-ttl",
         "authorization.webhook.cacheUnauthorizedTTL", DURATION, no_ports),
    NOTE("tls-cert-file", "tlsCertFile", STRING, no_ports),
    NOTE("tls-private-key-file", "tlsPrivateKeyFile", STRING, no_ports),
    NOTE("tls-cipher-suites", "tlsCipherSuites", LIST, no_ports),
    NOTE("tls-min-version", "tlsMinVersion", STRING, no_ports),
    NOTE("cert-dir", NULL, STRING, no_ports),
    NOTE("rotate-server-certificates", "serverTLSBootstrap", BOOL, no_ports),
    NOTE("streaming-connection-idle-timeout", "streamingConnectionIdleTimeout", DURATION, no_ports),
    NOTE("enable-debugging-handlers", "enableDebuggingHandlers", BOOL, no_ports),
    NOTE("contention-profiling", "enableContentionProfiling", BOOL, no_debug),
    NOTE(NULL, "enableProfilingHandler", BOOL, no_debug),
    NOTE(NULL, "enableDebugFlagsHandler", BOOL, no_debug),
    NOTE(NULL, "enableSystemLogHandler", BOOL, no_ports),
    NOTE(NULL, "enableSystemLogQuery", BOOL, no_ports),
    NOTE("enable-cadvisor-json-endpoints", NULL, BOOL, no_cadvisor),

    // Container engines and images.
    NOTE("container-runtime", NULL, STRING, no_engine),
    NOTE("container-runtime-endpoint", "containerRuntimeEndpoint", STRING, no_engine),
    NOTE("image-service-endpoint", "imageServiceEndpoint", STRING, no_engine),
    NOTE("runtime-cgroups", NULL, STRING, no_engine),
    NOTE("redirect-container-streaming", NULL, BOOL, no_engine),
    NOTE("experimental-dockershim-root-directory", NULL, STRING, no_engine),
    NOTE("docker-endpoint", NULL, STRING, no_engine),
    NOTE("pod-infra-container-image", NULL, STRING, "pods have no infrastructure container"),
    NOTE("image-pull-progress-deadline", NULL, DURATION, no_images),
    NOTE("image-credential-provider-config", NULL, STRING, no_images),
    NOTE("image-credential-provider-bin-dir", NULL, STRING, no_images),
    NOTE("azure-container-registry-config", NULL, STRING, no_images),
    NOTE("registry-qps", "registryPullQPS", INT, no_images),
    NOTE("registry-burst", "registryBurst", INT, no_images),
    NOTE("serialize-image-pulls", "serializeImagePulls", BOOL, no_images),
    NOTE(NULL, "maxParallelImagePulls", INT, no_images),
    NOTE("minimum-image-ttl-duration", "imageMinimumGCAge", DURATION, no_images),
    NOTE(NULL, "imageMaximumGCAge", DURATION, no_images),
    NOTE("image-gc-high-threshold", "imageGCHighThresholdPercent", INT, no_images),
    NOTE("image-gc-low-threshold", "imageGCLowThresholdPercent", INT, no_images),
    NOTE("minimum-container-ttl-duration", NULL, DURATION,
         "of dead containers only the logs are kept"),
    NOTE("maximum-dead-containers-per-container", NULL, INT,
         "of dead containers only the logs are kept"),
    NOTE("maximum-dead-containers", NULL, INT, "of dead containers only the logs are kept"),
    NOTE(NULL, "containerLogMaxWorkers", INT, "each container's shim rotates its own log"),
    NOTE(NULL, "containerLogMonitorInterval", DURATION,
         "the shim rotates a log in the moment it is full"),

    // Network.
    REFUSE("network-plugin", NULL, STRING, "|cni", "pods get their network from CNI plugins only"),
    NOTE("network-plugin-mtu", NULL, INT, by_cni),
    NOTE("cni-cache-dir", NULL, STRING, "results of CNI plugins are kept below --root-dir"),
    NOTE("pod-cidr", "podCIDR", STRING, by_cni),
    NOTE("non-masquerade-cidr", NULL, STRING, by_cni),
    NOTE("hairpin-mode", "hairpinMode", STRING, by_cni),
    NOTE("make-iptables-util-chains", "makeIPTablesUtilChains", BOOL, no_proxy),
    NOTE("iptables-masquerade-bit", "iptablesMasqueradeBit", INT, no_proxy),
    NOTE("iptables-drop-bit", "iptablesDropBit", INT, no_proxy),

    // Resources.
    NOTE("cgroup-driver", "cgroupDriver", STRING, own_cgroups),
    NOTE("cgroups-per-qos", "cgroupsPerQOS", BOOL, own_cgroups),
    NOTE("kubelet-cgroups", "kubeletCgroups", STRING, own_cgroups),
    NOTE("system-cgroups", "systemCgroups", STRING, own_cgroups),
    NOTE(NULL, "failCgroupV1", BOOL, own_cgroups),
    REFUSE("cpu-manager-policy", "cpuManagerPolicy", STRING, "|none", no_pinning),
    NOTE("cpu-manager-reconcile-period", "cpuManagerReconcilePeriod", DURATION, no_pinning),
    NOTE(NULL, "cpuManagerPolicyOptions", MAP, no_pinning),
    REFUSE("topology-manager-policy", "topologyManagerPolicy", STRING, "|none", no_pinning),
    NOTE("topology-manager-scope", "topologyManagerScope", STRING, no_pinning),
    NOTE(NULL, "topologyManagerPolicyOptions", MAP, no_pinning),
    REFUSE(NULL, "memoryManagerPolicy", STRING, "|None", no_pinning),
    REFUSE(NULL, "reservedMemory", LIST, "", no_pinning),
    REFUSE("qos-reserved", "qosReserved", MAP, "", "memory is not reserved by QoS class"),
    NOTE("system-reserved", "systemReserved", MAP, no_reserve),
    NOTE("kube-reserved", "kubeReserved", MAP, no_reserve),
    NOTE("reserved-cpus", "reservedSystemCPUs", STRING, no_reserve),
    NOTE("system-reserved-cgroup", "systemReservedCgroup", STRING, no_reserve),
    NOTE("kube-reserved-cgroup", "kubeReservedCgroup", STRING, no_reserve),
    NOTE("enforce-node-allocatable", "enforceNodeAllocatable", LIST, no_reserve),
    NOTE("experimental-allocatable-ignore-eviction", NULL, BOOL, no_reserve),
    NOTE("eviction-soft", "evictionSoft", MAP, no_eviction),
    NOTE("eviction-soft-grace-period", "evictionSoftGracePeriod", MAP, no_eviction),
    NOTE("eviction-pressure-transition-period", "evictionPressureTransitionPeriod", DURATION,
         no_eviction),
    NOTE("eviction-max-pod-grace-period", "evictionMaxPodGracePeriod", INT, no_eviction),
    NOTE("eviction-minimum-reclaim", "evictionMinimumReclaim", MAP, no_eviction),
    NOTE(NULL, "mergeDefaultEvictionSettings", BOOL, no_eviction),
    NOTE("kernel-memcg-notification", "kernelMemcgNotification", BOOL, no_eviction),
    NOTE("experimental-kernel-memcg-notification", NULL, BOOL, no_eviction),
    NOTE("fail-swap-on", "failSwapOn", BOOL, "swap is left as it is"),
    NOTE(NULL, "memorySwap", MAP, "swap is left as it is"),
    NOTE(NULL, "memoryThrottlingFactor", STRING, "memory.high is not set"),
    NOTE("oom-score-adj", "oomScoreAdj", INT, by_systemd),
    NOTE("max-open-files", "maxOpenFiles", INT, by_systemd),
    REFUSE("protect-kernel-defaults", "protectKernelDefaults", BOOL, "false",
           "kernel tunables are not checked"),

    // Volumes.
    NOTE("volume-plugin-dir", "volumePluginDir", STRING, "volume plugins are not supported"),
    NOTE("enable-controller-attach-detach", "enableControllerAttachDetach", BOOL, no_attach),
    NOTE("keep-terminated-pod-volumes", NULL, BOOL, no_attach),
    NOTE("experimental-mounter-path", NULL, STRING, no_attach),
    NOTE("experimental-check-node-capabilities-before-mount", NULL, BOOL, no_attach),
    NOTE(NULL, "localStorageCapacityIsolation", BOOL, no_eviction),

    // Shutdown.
    REFUSE(NULL, "shutdownGracePeriodByPodPriority", LIST, "",
           "pods stop in the order of their priorities, and shutdownGracePeriod limits the whole"),

    // The program itself.
    NOTE("feature-gates", "featureGates", MAP, no_gates),
    NOTE("lock-file", NULL, STRING, own_lock),
    NOTE("exit-on-lock-contention", NULL, BOOL, own_lock),
    NOTE("really-crash-for-testing", NULL, BOOL, no_debug),
    REFUSE("chaos-chance", NULL, STRING, "0", no_debug),
    NOTE(NULL, "showHiddenMetricsForVersion", STRING, no_stats),
    NOTE(NULL, "tracing", MAP, "nothing is traced"),
    REFUSE("logging-format", "logging.format", STRING, "|text", own_log),
    NOTE("experimental-logging-sanitization", "logging.sanitization", BOOL, own_log),
    NOTE("log-flush-frequency", "logging.flushFrequency", DURATION, "the log is never held back"),
    NOTE(NULL, "logging.options", MAP, own_log),
    NOTE(NULL, "logging.vmodule", LIST, own_log),
    REFUSE("log-dir", NULL, STRING, "", own_log),
    REFUSE("log-file", NULL, STRING, "", own_log),
    NOTE("log-file-max-size", NULL, INT, own_log),
    REFUSE("logtostderr", NULL, BOOL, "true", own_log),
    NOTE("alsologtostderr", NULL, BOOL, own_log),
    NOTE("stderrthreshold", NULL, STRING, own_log),
    NOTE("one-output", NULL, BOOL, own_log),
    NOTE("add-dir-header", NULL, BOOL, own_log),
    NOTE("skip-headers", NULL, BOOL, own_log),
    NOTE("skip-log-headers", NULL, BOOL, own_log),
    NOTE("log-backtrace-at", NULL, STRING, own_log),
    NOTE("vmodule", NULL, STRING, own_log),

    // cAdvisor.
    NOTE("application-metrics-count-limit", NULL, INT, no_cadvisor),
    NOTE("boot-id-file", NULL, STRING, no_cadvisor),
    NOTE("container-hints", NULL, STRING, no_cadvisor),
    NOTE("containerd", NULL, STRING, no_cadvisor),
    NOTE("containerd-namespace", NULL, STRING, no_cadvisor),
    NOTE("docker", NULL, STRING, no_cadvisor),
    NOTE("docker-env-metadata-whitelist", NULL, STRING, no_cadvisor),
    NOTE("docker-only", NULL, BOOL, no_cadvisor),
    NOTE("docker-root", NULL, STRING, no_cadvisor),
    NOTE("docker-tls", NULL, BOOL, no_cadvisor),
    NOTE("docker-tls-ca", NULL, STRING, no_cadvisor),
    NOTE("docker-tls-cert", NULL, STRING, no_cadvisor),
    NOTE("docker-tls-key", NULL, STRING, no_cadvisor),
    NOTE("enable-load-reader", NULL, BOOL, no_cadvisor),
    NOTE("event-storage-age-limit", NULL, STRING, no_cadvisor),
    NOTE("event-storage-event-limit", NULL, STRING, no_cadvisor),
    NOTE("global-housekeeping-interval", NULL, DURATION, no_cadvisor),
    NOTE("housekeeping-interval", NULL, DURATION, no_cadvisor),
    NOTE("log-cadvisor-usage", NULL, BOOL, no_cadvisor),
    NOTE("machine-id-file", NULL, STRING, no_cadvisor),
    NOTE("storage-driver-buffer-duration", NULL, DURATION, no_cadvisor),
    NOTE("storage-driver-db", NULL, STRING, no_cadvisor),
    NOTE("storage-driver-host", NULL, STRING, no_cadvisor),
    NOTE("storage-driver-password", NULL, STRING, no_cadvisor),
    NOTE("storage-driver-secure", NULL, BOOL, no_cadvisor),
    NOTE("storage-driver-table", NULL, STRING, no_cadvisor),
    NOTE("storage-driver-user", NULL, STRING, no_cadvisor),
};
// clang-format on

const size_t config_n_settings = ARRAY_SIZE(config_settings);

static bool same_flag(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        if (*a != *b && !((*a == '_' || *a == '-') && (*b == '_' || *b == '-')))
            return false;
    }
    return *a == *b;
}

const struct setting *setting_by_flag(const char *name)
{
    for (size_t i = 0; i < config_n_settings; i++) {
        if (config_settings[i].flag && same_flag(config_settings[i].flag, name))
            return &config_settings[i];
    }
    return NULL;
}

const struct setting *setting_by_field(const char *path)
{
    for (size_t i = 0; i < config_n_settings; i++) {
        if (config_settings[i].field && strcmp(config_settings[i].field, path) == 0)
            return &config_settings[i];
    }
    return NULL;
}

bool setting_field_has_children(const char *path)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < config_n_settings; i++) {
        const char *field = config_settings[i].field;
        if (field && strncmp(field, path, n) == 0 && field[n] == '.')
            return true;
    }
    return false;
}

const char *setting_nearest_flag(const char *name)
{
    _cleanup_free_ const char **names = xcalloc(config_n_settings + 3, sizeof(*names));
    size_t n = 0;
    for (size_t i = 0; i < config_n_settings; i++) {
        if (config_settings[i].flag)
            names[n++] = config_settings[i].flag;
    }
    names[n++] = "config";
    names[n++] = "help";
    names[n++] = "version";
    return str_nearest(name, names, n);
}

const char *setting_nearest_field(const char *path)
{
    _cleanup_free_ const char **names = xcalloc(config_n_settings, sizeof(*names));
    size_t n = 0;
    for (size_t i = 0; i < config_n_settings; i++) {
        if (config_settings[i].field)
            names[n++] = config_settings[i].field;
    }
    return str_nearest(path, names, n);
}
