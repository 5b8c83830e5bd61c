// See monit-node.h.
#include "cli/monit-node.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/certificate-files.h"
#include "cli/check.h"
#include "cli/monit-agent.h"
#include "cli/node-manifests.h"

enum {
    MONITRC_MAX = 1 << 20,
    DEFAULT_INTERVAL_SEC = 120, // Debian's monitrc
    HEALTH_SEC = 10,            // for the agent's answer
    PROGRAM_SEC = 60,           // for `mainstay check`, which waits 30 s for an agent that hangs
    RARELY_SEC = 600,           // for what changes slowly
    DEFAULT_HEALTHZ_PORT = 10248,
    WATCHDOG_SEC = 60, // systemd's watchdog has done its work by then
};

struct gathering {
    const struct monit_options *options;
    const struct agent_facts *facts;
    const struct node_manifests *manifests;
    struct monit_control *control;
    struct string_list taken; // names of services
    char *program;            // mainstay
    const char *manifest_path;
    const char *host; // the name that monit has taken itself
};

static int seconds(int64_t nsec)
{
    return (int)MIN((nsec + NSEC_PER_SEC - 1) / NSEC_PER_SEC, (int64_t)INT32_MAX);
}

// ---- monit's interval ----

// "set daemon 30" in monit's own control file.
static int configured_interval(void)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    char *save = NULL;
    int interval = DEFAULT_INTERVAL_SEC;
    if (fs_read_file(AT_FDCWD, "/etc/monit/monitrc", MONITRC_MAX, &text) < 0 || !text.data)
        return interval;
    for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        int n;
        if (sscanf(line, " set daemon %d", &n) == 1 && n > 0)
            interval = n;
    }
    return interval;
}

// ---- names ----

// monit wants each name once, whatever its case, and has taken the host's name itself.
static char *take_name(struct gathering *g, const char *wanted)
{
    _cleanup_free_ char *name = xstrdup(wanted);
    for (int i = 2;; i++) {
        _cleanup_free_ char *url = monit_url_service(name);
        if (!string_list_contains(&g->taken, name) && !string_list_contains(&g->taken, url)) {
            string_list_add(&g->taken, name);
            string_list_add(&g->taken, url);
            return TAKE_PTR(name);
        }
        free(name);
        name = xasprintf("%s_%d", wanted, i);
    }
}

// ---- commands ----

static void add_check(struct gathering *g, struct string_list *command, const char *what)
{
    string_list_add(command, g->program);
    string_list_add(command, "check");
    string_list_add(command, what);
}

// Where it is not the one that `mainstay` of root asks anyway.
static void add_socket(struct gathering *g, struct string_list *command)
{
    if (str_equal(g->facts->socket, "/run/mainstay/mainstay.sock"))
        return;
    string_list_add(command, "--socket");
    string_list_add(command, g->facts->socket);
}

static struct monit_program *add_program(struct gathering *g, const char *name, const char *what,
                                         const char *about)
{
    struct monit_program *program = LIST_APPEND(&g->control->programs);
    program->name = xstrdup(name);
    program->about = xstrdup(about);
    program->timeout_sec = PROGRAM_SEC;
    add_check(g, &program->command, what);
    return program;
}

// ---- pods ----

static int resolve_port(const struct container *container, const struct int_or_string *port)
{
    long long number = 0;
    if (!port->is_string)
        return (int)port->number;
    LIST_EACH (candidate, &container->ports)
        if (str_equal(candidate->name, port->string))
            return (int)candidate->containerPort;
    return str_to_int(port->string, 1, 65535, &number) < 0 ? 0 : (int)number;
}

static bool same_url(const struct monit_url *a, const struct monit_url *b)
{
    return str_equal(a->host, b->host) && a->port == b->port && str_equal(a->path, b->path) &&
           a->https == b->https;
}

static void read_headers(const struct http_get_action *get, struct monit_url *url)
{
    LIST_EACH (header, &get->httpHeaders) {
        struct monit_header *copy = LIST_APPEND(&url->headers);
        copy->name = xstrdup(header->name);
        copy->value = xstrdup(header->value ? header->value : "");
    }
}

// A pod with a network of its own is not reached from here by an address that is known now.
static void add_url(struct gathering *g, const struct pod *pod, const struct container *container,
                    const struct probe *probe, struct monit_pod *out)
{
    const struct http_get_action *get = probe ? probe->httpGet : NULL;
    if (!get || (str_empty(get->host) && !pod->spec.hostNetwork))
        return;
    int64_t timeout = MAX(probe->timeoutSeconds, (int64_t)1);
    const char *node = g->facts->node_ip ? g->facts->node_ip : "127.0.0.1";
    struct monit_url url = {
        .host = xstrdup(str_empty(get->host) ? node : get->host),
        .port = resolve_port(container, &get->port),
        .path = xstrdup(str_empty(get->path) ? "/" : get->path),
        .https = str_equal(get->scheme, "HTTPS"),
        .timeout_sec = (int)timeout,
    };
    bool known = url.port == 0;
    for (size_t i = 0; i < out->urls.n && !known; i++)
        known = same_url(&out->urls.items[i], &url);
    if (known) {
        monit_url_free(&url);
        return;
    }
    read_headers(get, &url);
    *LIST_APPEND(&out->urls) = url;
}

// How long the component may fail by its own probe.
static int64_t tolerated_sec(const struct container *container)
{
    const struct probe *probe = container->livenessProbe;
    return probe ? probe->periodSeconds * probe->failureThreshold : 0;
}

static void read_container(struct gathering *g, const struct pod *pod,
                           const struct container *container, struct monit_pod *out)
{
    add_url(g, pod, container, container->livenessProbe, out);
    add_url(g, pod, container, container->readinessProbe, out);
    if (!container->livenessProbe && !container->readinessProbe)
        add_url(g, pod, container, container->startupProbe, out);
    out->patience_sec =
        (int)MAX((int64_t)out->patience_sec, MIN(tolerated_sec(container), (int64_t)86400));
}

static void add_pod(struct gathering *g, const struct pod *pod)
{
    struct monit_pod *out = LIST_APPEND(&g->control->pods);
    _cleanup_free_ char *name = pod_short_name(pod);
    out->name = take_name(g, name);
    out->patience_sec = seconds(g->options->patience_nsec);
    LIST_EACH (container, &pod->spec.containers)
        read_container(g, pod, container, out);
    out->state = (struct monit_program){
        .name = xstrdup(out->name),
        .about = xasprintf("Pod %s/%s.", pod->metadata.namespace, name),
        .timeout_sec = PROGRAM_SEC,
        .patience_sec = out->patience_sec,
    };
    add_check(g, &out->state.command, "pod");
    string_list_add(&out->state.command, name);
    if (!str_equal(name, out->name)) { // another namespace has one of this name
        string_list_add(&out->state.command, "--namespace");
        string_list_add(&out->state.command, pod->metadata.namespace);
    }
    add_socket(g, &out->state.command);
}

static void add_pods(struct gathering *g)
{
    LIST_EACH (draft, &g->manifests->drafts)
        for (size_t i = 0; i < draft->pods.n; i++)
            add_pod(g, draft->pods.items[i]);
}

// ---- what is looked at besides ----

static void add_data_dir(void *userdata, const struct pod *pod, const struct container *container)
{
    struct string_list *directories = userdata;
    const char *dir =
        container_runs(container, "etcd") ? container_flag(container, "data-dir") : NULL;
    if (!dir || dir[0] != '/')
        return;
    _cleanup_free_ char *host = container_host_path(pod, container, dir);
    if (!string_list_contains(directories, host))
        string_list_add(directories, host);
}

static void add_disk(struct gathering *g)
{
    _cleanup_string_list_ struct string_list directories = {0};
    node_manifests_each(g->manifests, add_data_dir, &directories);
    string_list_add(&directories, g->facts->pod_log_dir);
    string_list_add(&directories, g->facts->root_dir);
    struct monit_program *program =
        add_program(g, "mainstay_disk", "disk",
                    "Room for etcd's data, the pods' logs and the agent's state. A full disk stops "
                    "etcd for good.");
    for (size_t i = 0; i < directories.n; i++)
        string_list_add(&program->command, directories.items[i]);
}

static void add_manifest_checks(struct gathering *g)
{
    _cleanup_certificate_files_ struct certificate_files certificates = {0};
    struct monit_program *program =
        add_program(g, "mainstay_manifests", "manifests",
                    "Manifests that are refused or in conflict (the last good ones run on).");
    add_socket(g, &program->command);
    certificate_files_find(g->manifests, &certificates);
    if (certificates.n > 0) {
        program = add_program(g, "mainstay_certificates", "certificates",
                              "Certificates and kubeconfigs that the manifests' flags name.");
        program->period_sec = RARELY_SEC;
        string_list_add(&program->command, "--manifests");
        string_list_add(&program->command, g->manifest_path);
    }
    if (!check_quorum_is_possible(g->manifests))
        return;
    program = add_program(g, "etcd_quorum", "quorum",
                          "etcd's quorum, and whether the loss of one more member would end it.");
    program->patience_sec = seconds(g->options->patience_nsec);
    string_list_add(&program->command, "--manifests");
    string_list_add(&program->command, g->manifest_path);
}

// ---- the agent ----

static int add_agent(struct gathering *g, struct error *err)
{
    struct monit_agent *agent = &g->control->agent;
    const struct agent_facts *facts = g->facts;
    agent->service = take_name(g, g->options->service);
    agent->pid_file = xstrdup(facts->pid_file);
    agent->socket = xstrdup(facts->socket);
    agent->start_timeout_sec = seconds(g->options->start_timeout_nsec);
    agent->patience_sec = seconds(g->options->patience_nsec);
    if (facts->healthz_host) {
        agent->url = xcalloc(1, sizeof(*agent->url));
        agent->url->host = xstrdup(facts->healthz_host);
        agent->url->port = facts->healthz_port;
        agent->url->path = xstrdup("/healthz");
        agent->url->timeout_sec = MIN(HEALTH_SEC, MAX(agent->patience_sec, 1));
    }
    int r = agent_facts_methods(facts, g->options, agent, err);
    if (agent->has_service_manager)
        agent->patience_sec = MAX(agent->patience_sec, WATCHDOG_SEC);
    return r;
}

static int gather(struct gathering *g, struct error *err)
{
    static const char *const reserved[] = {"mainstay_disk", "mainstay_manifests",
                                           "mainstay_certificates", "etcd_quorum"};
    string_list_add(&g->taken, g->host);
    for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
        string_list_add(&g->taken, reserved[i]);
    int r = add_agent(g, err);
    if (r < 0)
        return r;
    add_pods(g);
    add_manifest_checks(g);
    add_disk(g);
    return 0;
}

int monit_node_gather(const struct monit_options *options, const char *const *flags, size_t n,
                      struct monit_control *ret, struct error *err)
{
    _cleanup_agent_facts_ struct agent_facts facts = {0};
    _cleanup_node_manifests_ struct node_manifests manifests = {0};
    _cleanup_free_ char *directory = NULL;
    int r = agent_facts_gather(options, flags, n, &facts, err);
    if (r < 0)
        return r;
    directory = realpath(options->manifests ? options->manifests : facts.manifests, NULL);
    if (!directory)
        return error_errno(err, errno, "%s cannot be read",
                           options->manifests ? options->manifests : facts.manifests);
    r = node_manifests_load(directory, facts.node, &manifests, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < manifests.passed_over.n; i++)
        fprintf(stderr, "note: left out: %s\n", manifests.passed_over.items[i]);
    ret->interval_sec =
        options->interval_nsec > 0 ? seconds(options->interval_nsec) : configured_interval();
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    struct gathering g = {
        .options = options,
        .host = host,
        .facts = &facts,
        .manifests = &manifests,
        .control = ret,
        .program = own_program(),
        .manifest_path = directory,
    };
    r = gather(&g, err);
    string_list_free(&g.taken);
    free(g.program);
    return r;
}

static void facts_of(const struct monit_elsewhere *elsewhere, struct agent_facts *facts)
{
    const char *root = elsewhere->root;
    *facts = (struct agent_facts){
        .program = xstrdup(MAINSTAY_SBIN_DIR "/mainstayd"),
        .directory = xstrdup("/"),
        .manifests = xstrdup(elsewhere->manifests),
        .root_dir = xasprintf("%s/var/lib/mainstay", root),
        .pod_log_dir = xasprintf("%s/var/log/pods", root),
        .socket = xasprintf("%s/run/mainstay/mainstay.sock", root),
        .pid_file = xasprintf("%s/run/mainstay/mainstayd.pid", root),
        .healthz_host = xstrdup("127.0.0.1"),
        .healthz_port = DEFAULT_HEALTHZ_PORT,
        .node = xstrdup(elsewhere->node),
        .node_ip = xstrdup(elsewhere->address),
    };
}

int monit_elsewhere_gather(const struct monit_elsewhere *elsewhere,
                           const struct node_manifests *manifests, struct monit_control *ret,
                           struct error *err)
{
    _cleanup_agent_facts_ struct agent_facts facts = {0};
    const struct monit_options options = {
        .service = "mainstayd",
        .init = "systemd",
        .patience_nsec = 60 * NSEC_PER_SEC,
        .start_timeout_nsec = 90 * NSEC_PER_SEC,
    };
    facts_of(elsewhere, &facts);
    struct gathering g = {
        .options = &options,
        .host = elsewhere->node,
        .facts = &facts,
        .manifests = manifests,
        .control = ret,
        .program = xstrdup(MAINSTAY_BIN_DIR "/mainstay"),
        .manifest_path = elsewhere->manifests,
    };
    ret->command = xstrdup("mainstay render");
    ret->interval_sec = DEFAULT_INTERVAL_SEC;
    int r = gather(&g, err);
    string_list_free(&g.taken);
    free(g.program);
    return r;
}
