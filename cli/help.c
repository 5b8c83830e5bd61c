// `mainstay help`: the overview, or a command's help.
#include "base/string-list.h"
#include "cli/commands.h"

struct help_options {
    struct common_options common;
};

static const struct option help_options[] = {COMMON_OPTIONS(help_options)};

static int cmd_help(int argc, char **argv)
{
    struct help_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status;
    if (!command_parse(&command_help, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n == 0) {
        commands_print_overview();
        return CLI_DONE;
    }
    // The command itself knows what to say, also where it is unknown.
    return commands_run(
        3, (char *[]){(char *)"mainstay", (char *)rest.arguments[0], (char *)"--help", NULL});
}

const struct command command_help = {
    .name = "help",
    .group = "Help",
    .summary = "Show this overview, or a command's flags and examples",
    .usage = "[COMMAND]",
    .examples = "  mainstay help logs",
    .options = help_options,
    .n_options = ARRAY_SIZE(help_options),
    .argument = ARGUMENT_COMMAND,
    .single = true,
    .run = cmd_help,
};
