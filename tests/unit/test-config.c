// The daemon's configuration: flags, the KubeletConfiguration file, defaults, what is refused.
#include "tests/unit/config-fixture.h"

// Flags in one string, separated by blanks.
static int parse_for(struct fixture *f, const struct config_host *host, const char *flags)
{
    _cleanup_free_ char *copy = xasprintf("mainstayd %s", flags);
    char *argv[32];
    int argc = 0;
    for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
        argv[argc++] = p;
    config_free(&f->config);
    error_clear(&f->err);
    return config_parse_for(host, argc, argv, &f->config, &f->err);
}

static void accept(struct fixture *f, const char *flags)
{
    if (parse_for(f, &root, flags) < 0)
        fail_msg("%s: %s", flags, error_message(&f->err));
}

static void refuse(struct fixture *f, const char *flags, const char *message)
{
    assert_int_equal(parse_for(f, &root, flags), -EINVAL);
    if (!strstr(error_message(&f->err), message))
        fail_msg("\"%s\" lacks \"%s\"", error_message(&f->err), message);
}

static void write_file(struct fixture *f, const char *fields)
{
    _cleanup_free_ char *text = xasprintf("apiVersion: kubelet.config.k8s.io/v1beta1\n"
                                          "kind: KubeletConfiguration\n%s",
                                          fields);
    assert_int_equal(fs_write_atomic(AT_FDCWD, f->file, text, strlen(text), 0600, 0), 0);
}

static void accept_file(struct fixture *f, const char *fields, const char *more_flags)
{
    write_file(f, fields);
    _cleanup_free_ char *flags = xasprintf("--config %s %s", f->file, more_flags);
    accept(f, flags);
}

static void refuse_file(struct fixture *f, const char *fields, const char *message)
{
    write_file(f, fields);
    _cleanup_free_ char *flags = xasprintf("--config=%s", f->file);
    refuse(f, flags, message);
}

static void defaults_are_the_kubelets(void **state)
{
    struct fixture *f = *state;
    accept(f, "");
    const struct config *c = &f->config;
    assert_int_equal(c->action, CONFIG_RUN);
    assert_string_equal(c->node_name, "node1.example.org");
    assert_string_equal(c->manifest_path, "/etc/kubernetes/manifests");
    assert_string_equal(c->root_dir, "/var/lib/mainstay");
    assert_string_equal(c->socket_path, "/run/mainstay/mainstay.sock");
    assert_string_equal(c->pid_file, "/run/mainstay/mainstayd.pid");
    assert_string_equal(c->pod_log_dir, "/var/log/pods");
    assert_string_equal(c->healthz_bind_address, "127.0.0.1");
    assert_string_equal(c->node_ip, "");
    assert_string_equal(c->cgroup_name, "mainstay");
    assert_string_equal(c->shim_path, MAINSTAY_SHIM_PATH);
    assert_int_equal(c->healthz_port, 10248);
    assert_int_equal(c->file_check_usec, 20 * USEC_PER_SEC);
    assert_int_equal(c->log_max_bytes, 10 << 20);
    assert_int_equal(c->log_max_files, 5);
    assert_int_equal(c->backoff.max_usec, 300 * USEC_PER_SEC);
    assert_int_equal(c->notes.n, 0);
    assert_null(c->config_file);
}

static void other_users_have_places_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct config_host host = {.host_name = "n", .home = "/home/u", .runtime_dir = "/run/user/7"};
    assert_int_equal(parse_for(f, &host, ""), 0);
    assert_string_equal(f->config.manifest_path, "/home/u/.config/mainstay/manifests");
    assert_string_equal(f->config.root_dir, "/home/u/.local/share/mainstay");
    assert_string_equal(f->config.run_dir, "/run/user/7/mainstay");
    assert_string_equal(f->config.socket_path, "/run/user/7/mainstay/mainstay.sock");
    assert_string_equal(f->config.pod_log_dir, "/home/u/.local/state/mainstay/pods");
    host.runtime_dir = NULL;
    assert_int_equal(parse_for(f, &host, ""), 0);
    assert_string_equal(f->config.run_dir, "/home/u/.local/state/mainstay/run");
}

static void the_shim_beside_the_program_is_taken(void **state)
{
    struct fixture *f = *state;
    struct config_host host = {.privileged = true, .host_name = "n", .exe_dir = f->dir};
    assert_int_equal(parse_for(f, &host, ""), 0);
    assert_string_equal(f->config.shim_path, MAINSTAY_SHIM_PATH);
    _cleanup_free_ char *shim = path_join(f->dir, "mainstay-shim");
    assert_int_equal(fs_write_atomic(AT_FDCWD, shim, "", 0, 0755, 0), 0);
    assert_int_equal(parse_for(f, &host, ""), 0);
    assert_string_equal(f->config.shim_path, shim);
    assert_int_equal(parse_for(f, &host, "--shim /x/y"), 0);
    assert_string_equal(f->config.shim_path, "/x/y");
}

static void flags_are_read_as_pflag_does(void **state)
{
    struct fixture *f = *state;
    accept(f, "--pod-manifest-path /m --file_check_frequency=1m30s --hostname-override=N2 "
              "--node-ip 10.0.0.1 --root-dir=/r --run-dir /u --pod-log-dir /l --healthz-port 0 "
              "--healthz-bind-address ::1 --container-log-max-size 1Gi -v2 --stop-pods-on-exit "
              "--container-log-max-files=3 --cgroup-root /a/b/ --healthz-port=99");
    const struct config *c = &f->config;
    assert_string_equal(c->manifest_path, "/m");
    assert_int_equal(c->file_check_usec, 90 * USEC_PER_SEC);
    assert_string_equal(c->node_name, "n2");
    assert_string_equal(c->node_ip, "10.0.0.1");
    assert_string_equal(c->root_dir, "/r");
    assert_string_equal(c->run_dir, "/u");
    assert_string_equal(c->socket_path, "/u/mainstay.sock");
    assert_string_equal(c->pid_file, "/u/mainstayd.pid");
    assert_string_equal(c->pod_log_dir, "/l");
    assert_string_equal(c->healthz_bind_address, "::1");
    assert_string_equal(c->cgroup_name, "a/b");
    assert_int_equal(c->healthz_port, 99); // the last one
    assert_int_equal(c->log_max_bytes, 1 << 30);
    assert_int_equal(c->log_max_files, 3);
    assert_int_equal(c->verbosity, 2);
    assert_true(c->stop_pods_on_exit);
    accept(f, "--stop-pods-on-exit=F --v 4 --socket /x/s");
    assert_false(f->config.stop_pods_on_exit);
    assert_int_equal(f->config.verbosity, 4);
    assert_string_equal(f->config.socket_path, "/x/s");
}

static void relative_paths_become_absolute(void **state)
{
    struct fixture *f = *state;
    accept(f, "--pod-manifest-path manifests");
    assert_int_equal(f->config.manifest_path[0], '/');
    assert_true(str_ends_with(f->config.manifest_path, "/manifests"));
    accept_file(f, "staticPodPath: pods\n", "");
    _cleanup_free_ char *expected = path_join(f->dir, "pods"); // beside the file, as the kubelet
    assert_string_equal(f->config.manifest_path, expected);
}

static void help_and_version(void **state)
{
    struct fixture *f = *state;
    accept(f, "--help --nonsense");
    assert_int_equal(f->config.action, CONFIG_SHOW_HELP);
    accept(f, "-h");
    assert_int_equal(f->config.action, CONFIG_SHOW_HELP);
    accept(f, "--version");
    assert_int_equal(f->config.action, CONFIG_SHOW_VERSION);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    config_usage(&root, &text);
    assert_non_null(strstr(text.data, "--pod-manifest-path PATH"));
    assert_non_null(strstr(text.data, "(default /run/mainstay/mainstay.sock)"));
    assert_non_null(strstr(text.data, "(default 20s)"));
    assert_non_null(strstr(text.data, "(default 10Mi)"));
}

static void wrong_flags_are_explained(void **state)
{
    struct fixture *f = *state;
    refuse(f, "--pod-manifest-pth /x", "did you mean --pod-manifest-path?");
    refuse(f, "--frobnicate", "unknown flag: --frobnicate");
    refuse(f, "run", "unexpected argument \"run\"");
    refuse(f, "--", "unexpected argument");
    refuse(f, "--healthz-port", "needs a value");
    refuse(f, "--healthz-port x", "--healthz-port: \"x\": must be a whole number");
    refuse(f, "--healthz-port 65536", "between 0 and 65535");
    refuse(f, "--healthz-port 99999999999999999999", "whole number");
    refuse(f, "--file-check-frequency 20", "must be a duration");
    refuse(f, "--file-check-frequency -1s", "positive");
    refuse(f, "--container-log-max-size many", "must be a size");
    refuse(f, "--container-log-max-size 0", "positive");
    refuse(f, "--container-log-max-files 1", "between 2");
    refuse(f, "--node-ip 1.2.3", "IP address");
    refuse(f, "--node-ip 1.2.3.4,::1", "dual stack");
    refuse(f, "--hostname-override a_b", "cannot be a node's name");
    refuse(f, "--root-dir=", "must not be empty");
    refuse(f, "--config=", "must not be empty");
    refuse(f, "--stop-pods-on-exit=perhaps", "true or false");
    refuse(f, "--cgroup-root /a/../b", "name of a cgroup");
    _cleanup_free_ char *deep = xasprintf("--run-dir /%0120d", 0);
    refuse(f, deep, "107 characters at most");
    struct config_host nameless = {.privileged = true, .host_name = "my_host"};
    assert_int_equal(parse_for(f, &nameless, ""), -EINVAL);
    assert_non_null(strstr(error_message(&f->err), "my_host"));
    assert_non_null(strstr(error_message(&f->err), "--hostname-override"));
}

static void limits_are_set_as_for_the_kubelet(void **state)
{
    struct fixture *f = *state;
    accept(f, "");
    const struct cgroup_policy *limits = &f->config.limits;
    assert_true(limits->cpu_quota);
    assert_int_equal(limits->cpu_period_usec, 100000);
    assert_int_equal(limits->pids_limit, -1);
    assert_int_equal(limits->weight, CGROUP_WEIGHT_LINEAR);
    assert_false(limits->oom_kills_one);
    accept(f, "--cpu-cfs-quota=false --cpu-cfs-quota-period 50ms --pod-max-pids 100 "
              "--cpu-weight-formula logarithmic");
    assert_false(limits->cpu_quota);
    assert_int_equal(limits->cpu_period_usec, 50000);
    assert_int_equal(limits->pids_limit, 100);
    assert_int_equal(limits->weight, CGROUP_WEIGHT_LOGARITHMIC);
    accept_file(f,
                "cpuCFSQuota: false\ncpuCFSQuotaPeriod: 10ms\npodPidsLimit: 7\n"
                "singleProcessOOMKill: true\n",
                "");
    assert_false(limits->cpu_quota);
    assert_int_equal(limits->cpu_period_usec, 10000);
    assert_int_equal(limits->pids_limit, 7);
    assert_true(limits->oom_kills_one);
    refuse(f, "--cpu-cfs-quota-period 2s", "between 1ms and 1s");
    refuse(f, "--cpu-weight-formula cubic", "linear or logarithmic");
    refuse(f, "--pod-max-pids many", "whole number");
}

static void what_is_not_done_is_said(void **state)
{
    struct fixture *f = *state;
    refuse(f, "--kubeconfig /etc/kubernetes/kubelet.conf", "--kubeconfig: is refused");
    refuse(f, "--kubeconfig /x", "later release");
    refuse(f, "--runonce", "--runonce: is refused");
    refuse(f, "--read-only-port 10255", "is refused");
    refuse(f, "--cpu-manager-policy static", "does not assign CPUs");
    accept(f, "--read-only-port 0 --runonce=false --cloud-provider= --logtostderr "
              "--cpu-cfs-quota-period 0.1s --cluster-domain=");
    assert_int_equal(f->config.notes.n, 0); // asks for nothing
    accept(f, "--cgroup-driver systemd --network-plugin=cni --fail-swap-on=false");
    assert_int_equal(f->config.notes.n, 2);
    refuse(f, "--network-plugin kubenet", "CNI plugins only");
    accept(f, "--cgroup-driver systemd --cni-bin-dir /a,/b --cni-conf-dir /c");
    assert_string_equal(f->config.cni_bin_dir, "/a,/b");
    assert_string_equal(f->config.cni_conf_dir, "/c");
    assert_true(str_starts_with(f->config.notes.items[0], "--cgroup-driver has no effect: "));
}

static void the_file_is_honoured_and_flags_win(void **state)
{
    struct fixture *f = *state;
    accept_file(f,
                "staticPodPath: /pods\nfileCheckFrequency: 5s\nhealthzPort: 0\n"
                "healthzBindAddress: 0.0.0.0\ncontainerLogMaxSize: 1Mi\ncontainerLogMaxFiles: 7\n"
                "podLogsDir: /logs\ncgroupRoot: /mine\nlogging: {verbosity: 4, format: text}\n"
                "crashLoopBackOff: {maxContainerRestartPeriod: 5s}\n",
                "--healthz-port 12 --container-log-max-files=2");
    const struct config *c = &f->config;
    assert_string_equal(c->config_file, f->file);
    assert_string_equal(c->manifest_path, "/pods");
    assert_int_equal(c->file_check_usec, 5 * USEC_PER_SEC);
    assert_int_equal(c->healthz_port, 12);
    assert_string_equal(c->healthz_bind_address, "0.0.0.0");
    assert_int_equal(c->log_max_bytes, 1 << 20);
    assert_int_equal(c->log_max_files, 2);
    assert_string_equal(c->pod_log_dir, "/logs");
    assert_string_equal(c->cgroup_name, "mine");
    assert_int_equal(c->verbosity, 4);
    assert_int_equal(c->backoff.max_usec, 5 * USEC_PER_SEC);
    assert_int_equal(c->backoff.initial_usec, 5 * USEC_PER_SEC);
    assert_int_equal(c->notes.n, 0);
}

// What `kubeadm init` of 1.20 writes to /var/lib/kubelet/config.yaml.
static void a_kubeadm_file_is_accepted(void **state)
{
    struct fixture *f = *state;
    accept_file(f,
                "authentication:\n  anonymous:\n    enabled: false\n"
                "  webhook:\n    cacheTTL: 0s\n    enabled: true\n"
                "  x509:\n    clientCAFile: /etc/kubernetes/pki/ca.crt\n"
                "authorization:\n  mode: Webhook\n"
                "  webhook:\n    cacheAuthorizedTTL: 0s\n    cacheUnauthorizedTTL: 0s\n"
                "clusterDNS:\n- 10.96.0.10\nclusterDomain: cluster.local\n"
                "cpuManagerReconcilePeriod: 0s\nevictionPressureTransitionPeriod: 0s\n"
                "fileCheckFrequency: 0s\nhealthzBindAddress: 127.0.0.1\nhealthzPort: 10248\n"
                "httpCheckFrequency: 0s\nimageMinimumGCAge: 0s\nlogging: {}\n"
                "nodeStatusReportFrequency: 0s\nnodeStatusUpdateFrequency: 0s\n"
                "rotateCertificates: true\nruntimeRequestTimeout: 0s\nshutdownGracePeriod: 0s\n"
                "shutdownGracePeriodCriticalPods: 0s\nstaticPodPath: /etc/kubernetes/manifests\n"
                "streamingConnectionIdleTimeout: 0s\nsyncFrequency: 0s\nvolumeStatsAggPeriod: 0s\n",
                "");
    assert_int_equal(f->config.file_check_usec, 20 * USEC_PER_SEC); // 0s: the default
    assert_int_equal(f->config.notes.n, 5); // authentication 3, mode, rotateCertificates
    bool named = false;
    for (size_t i = 0; i < f->config.notes.n; i++)
        named |= strstr(f->config.notes.items[i], ": rotateCertificates has no effect") != NULL;
    if (!named)
        fail_msg("%s", f->config.notes.items[2]);
    assert_string_equal(f->config.cluster_dns, "10.96.0.10");
    assert_string_equal(f->config.cluster_domain, "cluster.local");
    assert_string_equal(f->config.resolv_conf, "/etc/resolv.conf");
    assert_int_equal(f->config.cni_timeout_usec, 120 * USEC_PER_SEC); // 0s: the default
}

static void names_and_parameters_of_pods(void **state)
{
    struct fixture *f = *state;
    accept(f, "--cluster-dns 10.96.0.10,fd00::a --resolv-conf= --cluster-domain a.b "
              "--allowed-unsafe-sysctls net.core.*,kernel.sem");
    assert_string_equal(f->config.cluster_dns, "10.96.0.10,fd00::a");
    assert_string_equal(f->config.resolv_conf, "");
    assert_string_equal(f->config.allowed_unsafe_sysctls, "net.core.*,kernel.sem");
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    config_describe(&f->config, &text);
    assert_non_null(strstr(buffer_str(&text), "clusterDNS: [\"10.96.0.10\", \"fd00::a\"]\n"));
    refuse(f, "--cluster-dns dns.example", "is no IP address");
    refuse(f, "--cluster-domain a_b", "is no domain");
    refuse(f, "--allowed-unsafe-sysctls vm.swappiness", "not known to be a pod's own");
}

static void manifests_may_come_from_a_url(void **state)
{
    struct fixture *f = *state;
    accept(f,
           "--manifest-url https://x/pods --manifest-url-header A:b,C:d --manifest-url-header E:f "
           "--http-check-frequency 5s");
    assert_string_equal(f->config.manifest_url, "https://x/pods");
    assert_string_equal(f->config.manifest_url_headers, "A: b\nC: d\nE: f\n");
    assert_int_equal(f->config.http_check_usec, 5 * USEC_PER_SEC);
    accept_file(f, "staticPodURL: http://x\nstaticPodURLHeader: {A: [b, \"c, d\"], E: f}\n", "");
    assert_string_equal(f->config.manifest_url_headers, "A: b\nA: c, d\nE: f\n");
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    config_describe(&f->config, &text);
    assert_non_null(strstr(buffer_str(&text), "\"E\": [\"<masked>\"]"));
    assert_null(strstr(buffer_str(&text), "c, d"));
    refuse(f, "--manifest-url http://x/a\tb", "must not have blanks");
    refuse(f, "--manifest-url file:///etc/x", "must be a URL");
    refuse(f, "--manifest-url-header Ab", "must be headers");
}

static void renewal_is_switched_on_by_flag_or_file(void **state)
{
    struct fixture *f = *state;
    accept(f, "");
    assert_string_equal(f->config.renew_certificates, "");
    accept(f, "--renew-certificates /etc/kubernetes/pki");
    assert_string_equal(f->config.renew_certificates, "/etc/kubernetes/pki");
    accept_file(f, "renewCertificates: /srv/kubernetes\n", "");
    assert_string_equal(f->config.renew_certificates, "/srv/kubernetes");
    accept_file(f, "renewCertificates: /srv/kubernetes\n", "--renew-certificates=");
    assert_string_equal(f->config.renew_certificates, "");
    refuse_file(f, "renewCertificates: true\n", "renewCertificates: must be a string");
}

static void wrong_files_are_explained(void **state)
{
    struct fixture *f = *state;
    refuse_file(f, "staticPodPth: /x\n",
                "config.yaml:3:1: staticPodPth: unknown field (did you "
                "mean staticPodPath?)");
    refuse_file(f, "healthzPort: \"80\"\n",
                "config.yaml:3:14: healthzPort: must be a whole number");
    refuse_file(f, "staticPodPath: 5\n", "must be a string");
    refuse_file(f, "fileCheckFrequency: 5\n", "must be a duration in a string");
    refuse_file(f, "authentication: yes\n", "authentication: must be a mapping");
    refuse_file(f, "authentication: {webhook: {enabeld: true}}\n",
                "did you mean authentication.webhook.enabled?");
    refuse_file(f, "clusterDNS: 10.96.0.10\n", "clusterDNS: must be a list");
    refuse_file(f, "staticPodURL: ftp://x\n", "staticPodURL: must be a URL");
    refuse_file(f, "staticPodURLHeader: {A: {b: c}}\n", "staticPodURLHeader: must hold strings");
    refuse_file(f, "staticPodURLHeader: {A b: [c]}\n", "staticPodURLHeader: must be headers");
    refuse_file(f, "containerLogMaxFiles: 1\n", "containerLogMaxFiles: must be between 2");
    refuse_file(f, "memoryManagerPolicy: Static\n", "memoryManagerPolicy: is refused");
    refuse_file(f, "shutdownGracePeriodByPodPriority: [{priority: 1}]\n",
                "is refused: pods stop in");
    refuse_file(f, "shutdownGracePeriod: 5s\nshutdownGracePeriodCriticalPods: 6s\n",
                "must not be longer than shutdownGracePeriod");
    refuse_file(f, "crashLoopBackOff: {maxContainerRestartPeriod: 301s}\n", "between 1s and 300s");
    refuse_file(f, "port: 1\nport: 2\n", "port");
    refuse_file(f, "staticPodPath: [\n", "config.yaml:");
    refuse_file(f, "---\nkind: KubeletConfiguration\n", "only one document");
    refuse_file(f, "nonsense: 1\nhealthzPort: -1\n", "nonsense: unknown field\n"); // and the next
    assert_non_null(strstr(error_message(&f->err), "healthzPort: must be between"));
}

static void other_kinds_of_files_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "apiVersion: kubeadm.k8s.io/v1beta2\nhealthzPort: 1\n";
    assert_int_equal(fs_write_atomic(AT_FDCWD, f->file, text, strlen(text), 0600, 0), 0);
    _cleanup_free_ char *flags = xasprintf("--config %s", f->file);
    refuse(f, flags, "apiVersion: must be kubelet.config.k8s.io/v1beta1");
    refuse(f, flags, "kind: is missing");
    assert_int_equal(fs_write_atomic(AT_FDCWD, f->file, "", 0, 0600, 0), 0);
    refuse(f, flags, "holds no KubeletConfiguration");
    assert_int_equal(parse_for(f, &root, "--config /nowhere/x"), -ENOENT);
    assert_non_null(strstr(error_message(&f->err), "/nowhere/x cannot be read"));
}

static void the_configuration_in_force_is_shown(void **state)
{
    struct fixture *f = *state;
    accept(f, "--healthz-port 1 --container-log-max-size 1500 --pod-manifest-path /a\"b");
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    config_describe(&f->config, &text);
    assert_non_null(strstr(text.data, "\nhealthzPort: 1\n"));
    assert_non_null(strstr(text.data, "\nstaticPodPath: \"/a\\\"b\"\n"));
    assert_non_null(strstr(text.data, "\nfileCheckFrequency: \"20s\"\n"));
    assert_non_null(strstr(text.data, "\ncontainerLogMaxSize: \"1500\"\n"));
    assert_non_null(strstr(text.data, "\ncgroupRoot: \"/mainstay\"\n"));
    assert_non_null(
        strstr(text.data, "\ncrashLoopBackOff: {\"maxContainerRestartPeriod\": \"5m0s\"}\n"));
    assert_int_equal(fs_write_atomic(AT_FDCWD, f->file, text.data, text.len, 0600, 0), 0);
    _cleanup_free_ char *flags = xasprintf("--config %s", f->file);
    accept(f, flags); // it is a file that asks for the same
    assert_int_equal(f->config.log_max_bytes, 1500);
    assert_int_equal(f->config.notes.n, 0);
}

static void every_row_is_in_order(void **state)
{
    for (size_t i = 0; i < config_n_settings; i++) {
        const struct setting *row = &config_settings[i];
        assert_true(row->flag || row->field);
        if (row->effect == SETTING_HONOURED)
            assert_non_null(row->set);
        else
            assert_non_null(row->why);
        if (row->flag)
            assert_ptr_equal(setting_by_flag(row->flag), row); // no name twice
        if (row->field)
            assert_ptr_equal(setting_by_field(row->field), row);
    }
}

static void the_pid_file_may_be_elsewhere_or_nowhere(void **state)
{
    struct fixture *f = *state;
    accept(f, "--pid-file /var/run/kubelet.pid");
    assert_string_equal(f->config.pid_file, "/var/run/kubelet.pid");
    accept(f, "--pid-file=");
    assert_string_equal(f->config.pid_file, "");
}

static void this_host_has_a_configuration(void **state)
{
    struct fixture *f = *state;
    char program[] = "mainstayd", flag[] = "--hostname-override=n";
    char *argv[] = {program, flag, NULL};
    assert_int_equal(config_parse(2, argv, &f->config, &f->err), 0);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    config_usage_here(&text);
    assert_non_null(strstr(text.data, "Usage"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_the_kubelets),
        TEST(other_users_have_places_of_their_own),
        TEST(the_shim_beside_the_program_is_taken),
        TEST(flags_are_read_as_pflag_does),
        TEST(relative_paths_become_absolute),
        TEST(help_and_version),
        TEST(wrong_flags_are_explained),
        TEST(limits_are_set_as_for_the_kubelet),
        TEST(what_is_not_done_is_said),
        TEST(the_file_is_honoured_and_flags_win),
        TEST(a_kubeadm_file_is_accepted),
        TEST(names_and_parameters_of_pods),
        TEST(manifests_may_come_from_a_url),
        TEST(renewal_is_switched_on_by_flag_or_file),
        TEST(wrong_files_are_explained),
        TEST(other_kinds_of_files_are_refused),
        TEST(the_configuration_in_force_is_shown),
        TEST(every_row_is_in_order),
        TEST(the_pid_file_may_be_elsewhere_or_nowhere),
        TEST(this_host_has_a_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
