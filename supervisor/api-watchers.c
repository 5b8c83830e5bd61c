// Who watches this agent, as far as it can be told from inside: the service manager that started it
// (and its watchdog), monit by what it asks and starts, a supervisor by being the parent process,
// and whoever else asks for the health. An agent that nobody restarts is worth a warning, and one
// whose hang nobody would notice is worth a word.
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "supervisor/api-internal.h"
#include "supervisor/init.h"
#include "supervisor/json-text.h"

enum {
    ASKER_FORGOTTEN_USEC = 600000000, // whoever has not asked for ten minutes watches no more
    ASKER_NAME_MOST = 64,
    COMM_MOST = 64,
};

// Supervisors by the name of their process, which restart the agent when it dies.
static const struct {
    const char *comm, *name;
} supervisors[] = {
    {"runsv", "runit"},
    {"s6-supervise", "s6"},
    {"supervise-daemo", "OpenRC"},
    {"supervisord", "supervisor"},
    {"dinit", "dinit"},
    {"supervise", "daemontools"},
    {"perpd", "perp"},
    {"nosh", "nosh"},
    {"service-manager", "nosh"},
};

// Health is asked for over TCP by monit, load balancers and scripts, and over the socket by monit.
void api_asked_by(struct api *api, const struct request *r)
{
    const char *agent =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_USER_AGENT);
    // "Monit/5.27.2"
    bool monit = agent && strncasecmp(agent, "monit", strlen("monit")) == 0;
    struct asker *asker = monit ? &api->monit : &api->asker;
    if (!r->health_only && !monit)
        return;
    free(asker->agent);
    asker->agent = agent ? xstrndup(agent, ASKER_NAME_MOST) : xstrdup("somebody");
    asker->asked = monotime_now();
}

static void add_watcher(json_t *list, const char *name, const char *detail, bool restarts,
                        bool notices_hangs)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", json_text(name));
    json_object_set_new(o, "detail", json_text(detail));
    json_object_set_new(o, "restarts", json_boolean(restarts));
    json_object_set_new(o, "noticesHangs", json_boolean(notices_hangs));
    json_array_append_new(list, o);
}

// Others than systemd listen on a NOTIFY_SOCKET too, some only until the agent is ready
// (start-stop-daemon --notify-await): it is systemd where the socket is one of systemd's, and
// whoever sets a watchdog's time keeps a watchdog.
static bool is_systemds(const char *notify_socket)
{
    return str_starts_with(notify_socket, "/run/systemd/") ||
           str_starts_with(notify_socket, "@/org/freedesktop/systemd1/") ||
           (str_starts_with(notify_socket, "/run/user/") && strstr(notify_socket, "/systemd/"));
}

static void add_service_manager(json_t *list)
{
    const char *path = getenv("NOTIFY_SOCKET");
    char every[DURATION_SIZE];
    uint64_t usec = 0;
    if (!path || !*path)
        return;
    bool watchdog = sd_watchdog_enabled(0, &usec) > 0;
    if (!watchdog && !is_systemds(path))
        return;
    _cleanup_free_ char *detail =
        watchdog ? xasprintf("watchdog every %s",
                             duration_format_go((int64_t)usec * NSEC_PER_USEC, every))
                 : xstrdup("started it, without a watchdog");
    add_watcher(list, init_is_parent() ? "mainstayd --init" : "systemd", detail, true, watchdog);
}

static void add_parent(json_t *list)
{
    char path[PATH_MAX];
    _cleanup_buffer_ struct buffer comm = BUFFER_EMPTY;
    snprintf(path, sizeof(path), "/proc/%d/comm", (int)getppid());
    if (fs_read_file(AT_FDCWD, path, COMM_MOST, &comm) < 0)
        return;
    comm.data[strcspn(comm.data, "\n")] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(supervisors); i++) {
        if (!str_equal(comm.data, supervisors[i].comm))
            continue;
        _cleanup_free_ char *detail =
            xasprintf("%s, process %d, is its parent and restarts it", comm.data, (int)getppid());
        add_watcher(list, supervisors[i].name, detail, true, false);
        return;
    }
}

static bool asks(const struct asker *asker, monotime now)
{
    return asker->agent && monotime_since(now, asker->asked) <= ASKER_FORGOTTEN_USEC;
}

static void describe_asker(const struct asker *asker, monotime now, struct buffer *out)
{
    char ago[DURATION_SIZE];
    buffer_printf(out, "%s asked for the health %s ago", asker->agent,
                  duration_format_human(monotime_since(now, asker->asked) / USEC_PER_SEC, ago));
}

// monit leaves a young process alone: until it asks, it is known by the environment that it gives
// to what it starts.
static void add_monit(const struct api *api, json_t *list, monotime now)
{
    const char *service = getenv("MONIT_SERVICE");
    int64_t age = walltime_now().nsec - api->agent->started_at.nsec;
    _cleanup_buffer_ struct buffer detail = BUFFER_EMPTY;
    if (asks(&api->monit, now))
        describe_asker(&api->monit, now, &detail);
    else if (service && age / NSEC_PER_USEC < ASKER_FORGOTTEN_USEC)
        buffer_printf(&detail, "started it as %s, has not asked yet", service);
    else
        return;
    add_watcher(list, "monit", buffer_str(&detail), true, true);
}

json_t *api_watchers(const struct api *api)
{
    json_t *list = json_array();
    monotime now = monotime_now();
    add_service_manager(list);
    add_parent(list);
    add_monit(api, list, now);
    if (asks(&api->asker, now)) {
        _cleanup_buffer_ struct buffer detail = BUFFER_EMPTY;
        describe_asker(&api->asker, now, &detail);
        add_watcher(list, "healthz", buffer_str(&detail), false, false);
    }
    return list;
}
