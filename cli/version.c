// `mainstay version`: of this command, and of the agent if it answers.
#include <string.h>

#include "base/string-list.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/field.h"
#include "cli/printers.h"

struct version_options {
    struct common_options common;
    bool client, is_short;
    const char *output;
};

static const struct option version_options[] = {
    OPT_BOOL(version_options, client, .name = "client", .help = "This command only"),
    OPT_BOOL(version_options, is_short, .name = "short", .help = "The bare number"),
    OPT_STRING(version_options, output, .letter = 'o', .name = "output", .argument = "FORMAT",
               .values = (const char *const[]){"json", "yaml", NULL}, .help = "json or yaml"),
    COMMON_OPTIONS(version_options),
};

static int print_versions(const struct version_options *options, const json_t *status,
                          struct error *err)
{
    const char *agent = field_text(status, "version");
    if (options->output) {
        _cleanup_output_ struct output output = {0};
        json_t *value = json_pack("{s:s}", "clientVersion", MAINSTAY_VERSION);
        if (agent)
            json_object_set_new(value, "agentVersion", json_string(agent));
        int r = output_parse(options->output, &output, err);
        if (r == 0)
            r = output_print(&output, "version", value, err);
        json_decref(value);
        return r;
    }
    if (options->is_short) {
        puts(MAINSTAY_VERSION);
        return 0;
    }
    printf("Client: mainstay %s\n", MAINSTAY_VERSION);
    if (agent)
        printf("Agent:  mainstayd %s (node %s, pid %lld)\n", agent,
               field_text_or_empty(status, "node"), field_int(status, "pid"));
    return 0;
}

static int cmd_version(int argc, char **argv)
{
    struct version_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    json_t *status = NULL;
    int exit_status, r = 0;
    if (!command_parse(&command_version, argc, argv, &options, &rest, &exit_status))
        return exit_status;
    if (!options.client && !options.is_short) {
        _cleanup_client_ struct client *client = client_new(options.common.socket);
        r = client_get(client, "/mainstay/v1/status", &status, &err);
    }
    // What this command is can be said also where no agent answers.
    int printed = print_versions(&options, status, r < 0 ? NULL : &err);
    json_decref(status);
    return client_failed(r < 0 ? r : printed, &err);
}

const struct command command_version = {
    .name = "version",
    .group = "Help",
    .summary = "Show the version of this command and of the agent",
    .usage = "[--client] [-o json|yaml]",
    .examples = "  mainstay version\n  mainstay version --client -o json",
    .options = version_options,
    .n_options = ARRAY_SIZE(version_options),
    .run = cmd_version,
};
