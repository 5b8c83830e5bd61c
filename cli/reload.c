// `mainstay reload`: the agent reads its configuration anew. Comes back when what it says is in
// force and the manifests have been read, or with the reason why not.
#include <errno.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/field.h"

enum {
    WAIT_SECONDS = 60,
    FRUITLESS_MOST = 8, // connections that end without a word, while the agent executes itself anew
};

struct reload_options {
    struct common_options common;
    int64_t timeout;
};

static const struct option reload_options[] = {
    OPT_DURATION(reload_options, timeout, .name = "timeout", .argument = "DURATION",
                 .help = "How long to wait for the agent (default 60s)"),
    COMMON_OPTIONS(reload_options),
};

struct reload {
    struct client *client;
    int64_t after; // the newest event before the request
    bool heard;    // on this connection
    bool refused;
    char *message;
};

enum { OUTCOME = 1 };

static int on_event(void *userdata, const char *line, size_t len)
{
    struct reload *reload = userdata;
    json_t *event = json_loadb(line, len, 0, NULL);
    const char *reason = field_text_or_empty(event, "reason");
    bool refused = str_equal(reason, "ConfigurationRefused");
    bool outcome = refused || str_equal(reason, "ConfigurationReloaded");
    reload->heard = true;
    if (outcome) {
        reload->refused = refused;
        reload->message = xstrdup(field_text_or_empty(event, "message"));
    }
    json_decref(event);
    return outcome ? OUTCOME : 0;
}

// The watch ends when the agent executes its program anew; the next one is answered by that.
static int wait_for_outcome(struct reload *reload, monotime deadline, struct error *err)
{
    _cleanup_free_ char *path =
        xasprintf("/mainstay/v1/events?watch=true&after=%" PRId64, reload->after);
    int r = 0;
    for (int fruitless = 0; fruitless < FRUITLESS_MOST; fruitless++) {
        reload->heard = false;
        error_clear(err);
        client_add_lines(reload->client, path, on_event, reload);
        r = client_run(reload->client, deadline, err);
        if (r == OUTCOME)
            return 0;
        if (r == -ETIMEDOUT)
            return error_set(err, ETIMEDOUT,
                             "the agent has not come up with its configuration in time; see "
                             "`mainstay status` and `journalctl -u mainstayd`");
        if (r < 0 && r != -ENOTCONN)
            return r;
        if (reload->heard)
            fruitless = 0;
    }
    return r < 0 ? r
                 : error_set(err, ENOTCONN, "the agent ended; see `systemctl status mainstayd`");
}

static int reload_agent(struct reload *reload, monotime deadline, struct error *err)
{
    json_t *status = NULL;
    int r = client_get(reload->client, "/mainstay/v1/status", &status, err);
    if (r < 0)
        return r;
    reload->after = field_int(status, "lastEvent");
    json_decref(status);
    r = client_post(reload->client, "/mainstay/v1/reload", NULL, err);
    if (r == 0)
        r = wait_for_outcome(reload, deadline, err);
    if (r == 0 && reload->refused)
        r = error_set(err, EREMOTEIO, "%s", reload->message);
    return r;
}

static int cmd_reload(int argc, char **argv)
{
    struct reload_options options = {.timeout = WAIT_SECONDS * NSEC_PER_SEC};
    _cleanup_options_rest_ struct options_rest rest = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    int status;
    if (!command_parse(&command_reload, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n > 0)
        return command_usage_error(&command_reload, "takes no arguments");
    _cleanup_client_ struct client *client = client_new(options.common.socket);
    struct reload reload = {.client = client};
    monotime deadline = monotime_add_usec(monotime_now(), options.timeout / NSEC_PER_USEC);
    int r = reload_agent(&reload, deadline, &err);
    if (r == 0)
        puts(reload.message);
    free(reload.message);
    return client_failed(r, &err);
}

const struct command command_reload = {
    .name = "reload",
    .group = "Act",
    .summary = "Let the agent read its configuration anew",
    .usage = "[--timeout DURATION]",
    .description =
        "The configuration file is read again, and the manifests. Comes back when what it says is\n"
        "in force, and names what has changed; nothing that runs is restarted for it. A file that\n"
        "is wrong is refused with its place, and the configuration before it stays in force.\n"
        "Flags are those that the agent was started with.",
    .examples = "  mainstay reload\n"
                "  # The same, by way of systemd\n"
                "  systemctl reload mainstayd",
    .options = reload_options,
    .n_options = ARRAY_SIZE(reload_options),
    .run = cmd_reload,
};
