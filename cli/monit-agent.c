// See monit-agent.h.
#include "cli/monit-agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/client.h"
#include "cli/field.h"
#include "supervisor/config.h"

enum {
    COMMAND_LINE_MAX = 1 << 20,
    STOP_SEC = 60,         // TERM, and KILL for one that hangs: the init script takes 35 s
    SYSTEMD_STOP_SEC = 200 // TimeoutStopSec= of the unit, and some
};

// ---- programs ----

// Of a program that has been replaced by a newer one, the kernel says " (deleted)".
static char *read_program(const char *link)
{
    char path[PATH_MAX];
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n <= 0)
        return NULL;
    path[n] = '\0';
    if (str_ends_with(path, " (deleted)"))
        path[n - (ssize_t)strlen(" (deleted)")] = '\0';
    return xstrdup(path);
}

char *own_program(void)
{
    char *path = read_program("/proc/self/exe");
    return path ? path : xstrdup("/usr/bin/mainstay");
}

// Beside this one in the build, in sbin where it is installed.
static char *find_mainstayd(void)
{
    static const char *const places[] = {"mainstayd", "../sbin/mainstayd"};
    _cleanup_free_ char *own = own_program();
    *strrchr(own, '/') = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        _cleanup_free_ char *path = path_join(own, places[i]);
        char *real = realpath(path, NULL);
        if (real && access(real, X_OK) == 0)
            return real;
        free(real);
    }
    return xstrdup("/usr/sbin/mainstayd");
}

// ---- from the running agent ----

static void read_command_line(long long pid, struct agent_facts *facts)
{
    char path[64];
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    snprintf(path, sizeof(path), "/proc/%lld/exe", pid);
    char *program = read_program(path);
    snprintf(path, sizeof(path), "/proc/%lld/cwd", pid);
    facts->directory = read_program(path);
    snprintf(path, sizeof(path), "/proc/%lld/cmdline", pid);
    if (program && fs_read_file(AT_FDCWD, path, COMMAND_LINE_MAX, &text) == 0)
        for (size_t at = strlen(buffer_str(&text)) + 1; at < text.len;
             at += strlen(text.data + at) + 1)
            string_list_add(&facts->flags, text.data + at);
    facts->program = program ? program : find_mainstayd();
}

static void take_healthz(const char *address, struct agent_facts *facts)
{
    const char *colon = address ? strrchr(address, ':') : NULL;
    long long port;
    if (!colon || str_to_int(colon + 1, 1, 65535, &port) < 0)
        return;
    bool bracketed = address[0] == '[';
    facts->healthz_host =
        xstrndup(address + bracketed, (size_t)(colon - address) - 2 * (size_t)bracketed);
    facts->healthz_port = (int)port;
}

static int ask_agent(const struct monit_options *options, struct agent_facts *facts,
                     struct error *err)
{
    json_t *status = NULL;
    _cleanup_client_ struct client *client = client_new(options->common.socket);
    int r = client_get(client, "/mainstay/v1/status", &status, err);
    if (r < 0)
        return r;
    facts->manifests = xstrdup(field_text_or_empty(status, "directories.manifests"));
    facts->root_dir = xstrdup(field_text_or_empty(status, "directories.root"));
    facts->pod_log_dir = xstrdup(field_text_or_empty(status, "directories.podLogs"));
    facts->socket = xstrdup(field_text_or_empty(status, "socket"));
    facts->pid_file = xstrdup(field_text_or_empty(status, "pidFile"));
    facts->node = xstrdup(field_text_or_empty(status, "node"));
    facts->node_ip = xstrdup_or_null(field_text(status, "nodeIP"));
    take_healthz(field_text(status, "healthz"), facts);
    read_command_line(field_int(status, "pid"), facts);
    json_decref(status);
    return 0;
}

// ---- from flags ----

static int read_flags(const char *const *flags, size_t n, struct agent_facts *facts,
                      struct error *err)
{
    _cleanup_config_ struct config config = {0};
    _cleanup_string_list_ struct string_list words = {0};
    string_list_add(&words, "mainstayd");
    for (size_t i = 0; i < n; i++) {
        string_list_add(&words, flags[i]);
        string_list_add(&facts->flags, flags[i]);
    }
    _cleanup_free_ char **argv = string_list_argv(&words);
    int r = config_parse((int)words.n, argv, &config, err);
    if (r >= 0 && config.action != CONFIG_RUN)
        r = error_set(err, EINVAL, "--help and --version start no agent");
    if (r < 0)
        return error_prefix(err, r, "mainstayd's flags");
    facts->program = find_mainstayd();
    facts->directory = getcwd(NULL, 0);
    facts->manifests = xstrdup(config.manifest_path);
    facts->root_dir = xstrdup(config.root_dir);
    facts->pod_log_dir = xstrdup(config.pod_log_dir);
    facts->socket = xstrdup(config.socket_path);
    facts->pid_file = xstrdup(config.pid_file);
    facts->node = xstrdup(config.node_name);
    facts->node_ip = str_empty(config.node_ip) ? NULL : xstrdup(config.node_ip);
    if (config.healthz_port > 0) {
        facts->healthz_host = xstrdup(config.healthz_bind_address);
        facts->healthz_port = config.healthz_port;
    }
    return 0;
}

// What listens on all addresses is asked on the loopback's.
static void mend_host(struct agent_facts *facts)
{
    const char *host = facts->healthz_host;
    const char *local = str_equal(host, "0.0.0.0") ? "127.0.0.1"
                        : str_equal(host, "::")    ? "::1"
                                                   : NULL;
    if (!local)
        return;
    free(facts->healthz_host);
    facts->healthz_host = xstrdup(local);
}

int agent_facts_gather(const struct monit_options *options, const char *const *flags, size_t n,
                       struct agent_facts *ret, struct error *err)
{
    _cleanup_error_ struct error why = ERROR_NONE;
    int r = options->offline || n > 0 ? -ENOTCONN : ask_agent(options, ret, &why);
    if (r < 0) {
        if (!options->offline && n == 0)
            fprintf(stderr,
                    "note: %s\n"
                    "note: this is for an agent with its default flags; give others behind --\n",
                    error_message(&why));
        r = read_flags(flags, n, ret, err);
    }
    if (r >= 0)
        mend_host(ret);
    return r;
}

void agent_facts_free(struct agent_facts *facts)
{
    free(facts->program);
    free(facts->directory);
    string_list_free(&facts->flags);
    free(facts->manifests);
    free(facts->root_dir);
    free(facts->pod_log_dir);
    free(facts->socket);
    free(facts->pid_file);
    free(facts->healthz_host);
    free(facts->node);
    free(facts->node_ip);
    *facts = (struct agent_facts){0};
}

// ---- how it is started ----

static void add_words(struct string_list *list, const char *const *words)
{
    for (; *words; words++)
        string_list_add(list, *words);
}
#define ADD_WORDS(list, ...) add_words(list, (const char *const[]){__VA_ARGS__, NULL})

static const char *systemctl(void)
{
    return access("/bin/systemctl", X_OK) < 0 && access("/usr/bin/systemctl", X_OK) == 0
               ? "/usr/bin/systemctl"
               : "/bin/systemctl";
}

// A path that means something else elsewhere: "manifests/x", "--config=../y".
static bool is_relative_path(const char *word)
{
    const char *value = word[0] != '-' ? word : strchr(word, '=') ? strchr(word, '=') + 1 : "";
    return value[0] != '/' && strchr(value, '/');
}

static bool needs_directory(const struct agent_facts *facts)
{
    for (size_t i = 0; i < facts->flags.n; i++)
        if (is_relative_path(facts->flags.items[i]))
            return facts->directory;
    return false;
}

// monit waits for the process and not for its readiness, which the health URL shows. The name is
// that of the process: its program may have been replaced by a newer one meanwhile. An agent ends
// at once when asked to, so one that does not hangs.
static void add_direct(const struct agent_facts *facts, const struct monit_options *options,
                       struct monit_agent *ret)
{
    ADD_WORDS(&ret->start, "/sbin/start-stop-daemon", "--start", "--oknodo", "--background",
              "--pidfile", facts->pid_file, "--name", "mainstayd", "--output", options->log,
              "--startas", facts->program);
    if (needs_directory(facts))
        ADD_WORDS(&ret->start, "--chdir", facts->directory);
    if (facts->flags.n > 0)
        ADD_WORDS(&ret->start, "--");
    for (size_t i = 0; i < facts->flags.n; i++)
        string_list_add(&ret->start, facts->flags.items[i]);
    ADD_WORDS(&ret->stop, "/sbin/start-stop-daemon", "--stop", "--oknodo", "--retry",
              "TERM/5/KILL/5", "--pidfile", facts->pid_file, "--name", "mainstayd");
}

int agent_facts_methods(const struct agent_facts *facts, const struct monit_options *options,
                        struct monit_agent *ret, struct error *err)
{
    const char *init = options->init;
    if (str_empty(facts->pid_file))
        return error_set(err, EINVAL,
                         "the agent writes no PID file, by which monit knows it: leave out "
                         "--pid-file=\"\"");
    if (!init)
        init = sd_booted() > 0                              ? "systemd"
               : access("/etc/init.d/mainstayd", X_OK) == 0 ? "sysv"
                                                            : "none";
    ret->stop_timeout_sec = STOP_SEC;
    if (str_equal(init, "systemd")) {
        ADD_WORDS(&ret->start, systemctl(), "start", "mainstayd");
        ADD_WORDS(&ret->stop, systemctl(), "stop", "mainstayd");
        ret->stop_timeout_sec = SYSTEMD_STOP_SEC;
        ret->has_service_manager = true;
    } else if (str_equal(init, "sysv")) {
        ADD_WORDS(&ret->start, "/etc/init.d/mainstayd", "start");
        ADD_WORDS(&ret->stop, "/etc/init.d/mainstayd", "stop");
    } else {
        add_direct(facts, options, ret);
    }
    return 0;
}
