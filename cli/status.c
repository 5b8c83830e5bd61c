// `mainstay status`: one screen, once or live.
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/field.h"
#include "cli/pod-view.h"
#include "cli/printers.h"
#include "cli/status-screen.h"

enum {
    EVENTS_KEPT = 50,
    SETTLE_MS = 40,    // news that come together are drawn together
    REFRESH_MS = 1000, // ages grow without news; also how often a lost agent is tried again
    STOP_ASKED = 1,    // what callbacks return
    REDRAW_ASKED = 2,
};

struct status_options {
    struct common_options common;
    bool watch;
    const char *output;
};

static const struct option status_options[] = {
    OPT_BOOL(status_options, watch, .letter = 'w', .name = "watch",
             .help = "Stay, and redraw the screen with every change, until Ctrl-C"),
    OPT_STRING(status_options, output, .letter = 'o', .name = "output", .argument = "FORMAT",
               .offers = (const char *const[]){"json", "yaml", "jsonpath=", NULL},
               .help = "json, yaml or jsonpath=TEMPLATE: the agent's status as it is"),
    COMMON_OPTIONS(status_options),
};

// What is known of the agent, kept up to date by its watches.
struct live {
    struct client *client;
    json_t *status, *pods, *manifests, *events; // the latter three are arrays
    bool on_screen;                             // else one line per change
    bool lost;                                  // the agent does not answer at the moment
    size_t n_streams;
    struct error *err;
};

static int fetch_items(struct client *client, const char *path, json_t **ret, struct error *err)
{
    json_t *list;
    int r = client_get(client, path, &list, err);
    if (r < 0)
        return r;
    *ret = json_incref(field_at(list, "items"));
    json_decref(list);
    return 0;
}

static void live_free(struct live *live)
{
    json_decref(live->status);
    json_decref(live->pods);
    json_decref(live->manifests);
    json_decref(live->events);
}

static struct status_view view_of(const struct live *live)
{
    return (struct status_view){live->status, live->pods, live->manifests, live->events};
}

static int status_once(struct live *live, const struct status_options *options)
{
    int r = client_get(live->client, "/mainstay/v1/status", &live->status, live->err);
    if (r == 0 && options->output) {
        _cleanup_output_ struct output output = {0};
        r = output_parse(options->output, &output, live->err);
        if (r < 0)
            return command_usage_error(&command_status, "%s", error_message(live->err));
        return client_failed(output_print(&output, "status", live->status, live->err), live->err);
    }
    if (r == 0)
        r = fetch_items(live->client, "/mainstay/v1/pods", &live->pods, live->err);
    if (r == 0)
        r = fetch_items(live->client, "/mainstay/v1/manifests", &live->manifests, live->err);
    if (r < 0)
        return client_failed(r, live->err);
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    struct status_view view = view_of(live);
    int rows, columns;
    term_size(STDOUT_FILENO, &rows, &columns);
    status_render(&view, walltime_now(), term_has_color(stdout),
                  isatty(STDOUT_FILENO) ? columns : 0, &out);
    fwrite(buffer_str(&out), 1, out.len, stdout);
    bool well = field_true(live->status, "live");
    return well ? CLI_DONE : CLI_NO;
}

static void draw(const struct live *live)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY, out = BUFFER_EMPTY;
    struct status_view view = view_of(live);
    bool color = term_has_color(stdout);
    int rows, columns;
    term_size(STDOUT_FILENO, &rows, &columns);
    if (live->lost)
        buffer_printf(&text, "%sThe agent does not answer; its pods live on. Waiting for it …%s\n",
                      term_begin(TERM_RED, color), term_end(TERM_RED, color));
    status_render(&view, walltime_now(), color, columns, &text);
    buffer_add_str(&out, "\033[H");
    status_fit(buffer_str(&text), rows, columns, &out);
    buffer_add_str(&out, "\033[J");
    fwrite(out.data, 1, out.len, stdout);
    fflush(stdout);
}

// Without a terminal: one line per change, with its time.
static void print_pod_line(const json_t *pod, bool deleted)
{
    struct pod_view view;
    char now[RFC3339_NANO_SIZE];
    pod_view_read(pod, &view);
    printf("%s pod/%s %s %lld/%lld restarts=%lld\n", walltime_format(walltime_now(), now),
           field_text_or_empty(pod, "metadata.name"), deleted ? "Gone" : view.status, view.ready,
           view.total, view.restarts);
    fflush(stdout);
}

static void print_manifest_line(const json_t *manifest, bool deleted)
{
    char now[RFC3339_NANO_SIZE];
    const json_t *findings = field_at(manifest, "findings");
    printf("%s manifest/%s %s\n", walltime_format(walltime_now(), now),
           field_text_or_empty(manifest, "file"),
           deleted ? "Gone" : field_text_or_empty(manifest, "state"));
    for (size_t i = 0; i < json_array_size(findings) && !deleted; i++) {
        _cleanup_free_ char *text =
            term_safe(field_text_or_empty(json_array_get(findings, i), "text"));
        printf("  %s\n", text);
    }
    fflush(stdout);
}

static bool same_object(const json_t *a, const json_t *b)
{
    if (field_at(a, "file"))
        return str_equal(field_text(a, "file"), field_text(b, "file"));
    return str_equal(field_text(a, "metadata.name"), field_text(b, "metadata.name")) &&
           str_equal(field_text(a, "metadata.namespace"), field_text(b, "metadata.namespace"));
}

static void replace(json_t *array, json_t *object, bool deleted)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!same_object(json_array_get(array, i), object))
            continue;
        if (deleted)
            json_array_remove(array, i);
        else
            json_array_set(array, i, object);
        return;
    }
    if (!deleted)
        json_array_append(array, object);
}

static int take_change(struct live *live, json_t *array, const char *line, size_t len,
                       void (*print)(const json_t *object, bool deleted))
{
    json_t *message = json_loadb(line, len, 0, NULL);
    json_t *object = field_at(message, "object");
    const char *type = field_text_or_empty(message, "type");
    bool change = str_equal(type, "ADDED") || str_equal(type, "MODIFIED");
    bool deleted = str_equal(type, "DELETED");
    if (change || deleted) {
        replace(array, object, deleted);
        if (!live->on_screen)
            print(object, deleted);
    }
    json_decref(message);
    return live->on_screen ? REDRAW_ASKED : 0;
}

static int pod_changed(void *userdata, const char *line, size_t len)
{
    struct live *live = userdata;
    return take_change(live, live->pods, line, len, print_pod_line);
}

static int manifest_changed(void *userdata, const char *line, size_t len)
{
    struct live *live = userdata;
    return take_change(live, live->manifests, line, len, print_manifest_line);
}

static int event_added(void *userdata, const char *line, size_t len)
{
    struct live *live = userdata;
    json_t *event = json_loadb(line, len, 0, NULL);
    if (event)
        json_array_append_new(live->events, event);
    while (json_array_size(live->events) > EVENTS_KEPT)
        json_array_remove(live->events, 0);
    return REDRAW_ASKED;
}

static int signal_arrived(void *userdata)
{
    struct signalfd_siginfo info;
    if (read(*(int *)userdata, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return 0;
    return info.ssi_signo == SIGWINCH ? REDRAW_ASKED : STOP_ASKED;
}

// Connects (again): what was known before is replaced.
static int live_connect(struct live *live)
{
    json_t *status;
    int r = client_get(live->client, "/mainstay/v1/status", &status, live->err);
    if (r < 0)
        return r;
    json_decref(live->status);
    live->status = status;
    json_array_clear(live->pods);
    json_array_clear(live->manifests);
    json_array_clear(live->events);
    client_add_lines(live->client, "/mainstay/v1/pods?watch=true", pod_changed, live);
    client_add_lines(live->client, "/mainstay/v1/manifests?watch=true", manifest_changed, live);
    if (live->on_screen)
        client_add_lines(live->client, "/mainstay/v1/events?watch=true", event_added, live);
    live->n_streams = client_streams(live->client);
    live->lost = false;
    return 0;
}

static void lose(struct live *live)
{
    if (!live->lost && !live->on_screen)
        printf("The agent does not answer; its pods live on. Waiting for it …\n");
    fflush(stdout);
    live->lost = true;
    client_drop_streams(live->client);
}

static void refresh_status(struct live *live)
{
    json_t *status;
    if (client_get(live->client, "/mainstay/v1/status", &status, live->err) < 0)
        return;
    json_decref(live->status);
    live->status = status;
}

static monotime after_ms(int64_t ms)
{
    return monotime_add_ms(monotime_now(), ms);
}

// One drawing, and waiting until there is a reason for the next. 0, or STOP_ASKED.
static int live_turn(struct live *live)
{
    if (live->on_screen)
        draw(live);
    int r = client_run(live->client, after_ms(REFRESH_MS), live->err);
    if (r == REDRAW_ASKED) {
        // Whatever else is under way, until nothing came for a moment or it takes too long.
        monotime limit = after_ms(REFRESH_MS);
        while (r == REDRAW_ASKED && !monotime_reached(limit, monotime_now()))
            r = client_run(live->client, after_ms(SETTLE_MS), live->err);
        refresh_status(live);
    }
    if (r == STOP_ASKED)
        return r;
    bool ended = !live->lost && ((r != -ETIMEDOUT && r != REDRAW_ASKED) ||
                                 client_streams(live->client) < live->n_streams);
    if (ended)
        lose(live);
    else if (live->lost)
        live_connect(live);
    return 0;
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int status_watch(struct live *live)
{
    live->on_screen = term_is_live(stdout);
    live->pods = json_array();
    live->manifests = json_array();
    live->events = json_array();
    int r = live_connect(live);
    if (r < 0)
        return client_failed(r, live->err);
    _cleanup_close_ int signals = open_signals();
    if (signals >= 0)
        client_add_fd(live->client, signals, signal_arrived, &signals);
    if (live->on_screen)
        printf("\033[?25l\033[2J"); // without the cursor, on an empty screen
    while (r != STOP_ASKED)
        r = live_turn(live);
    if (live->on_screen)
        printf("\033[?25h\n");
    return CLI_DONE;
}

static int cmd_status(int argc, char **argv)
{
    struct status_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    int status;
    if (!command_parse(&command_status, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n > 0)
        return command_usage_error(&command_status,
                                   "it takes no names; see `mainstay describe pod "
                                   "%s`",
                                   rest.arguments[0]);
    struct live live = {.client = client_new(options.common.socket), .err = &err};
    status = options.watch ? status_watch(&live) : status_once(&live, &options);
    live_free(&live);
    client_free(live.client);
    return status;
}

const struct command command_status = {
    .name = "status",
    .group = "Look",
    .summary = "One screen: the agent, its watchers, pods, refused manifests, advice",
    .usage = "[--watch] [-o json]",
    .description =
        "Exit status 1 where the agent says that it is not well, 3 where it does not answer.\n"
        "--watch draws the screen anew with every change; where the output is no terminal, it "
        "prints\n"
        "a line per change instead.",
    .examples = "  mainstay status\n"
                "  mainstay status --watch\n"
                "  mainstay status -o jsonpath='{.counts}'",
    .options = status_options,
    .n_options = ARRAY_SIZE(status_options),
    .run = cmd_status,
};
