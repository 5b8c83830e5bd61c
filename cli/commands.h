// The subcommands of `mainstay`: one row each, one file each. A row declares what the command
// takes, and from it come parsing, --help, the nearest-name suggestions and shell completion.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/options.h"

// What the shell gets to see (design.md section 7).
enum cli_exit {
    CLI_DONE = 0,
    CLI_NO = 1,          // the answer is no: not found, not valid, not ready in time
    CLI_USAGE = 2,       // wrong usage
    CLI_UNREACHABLE = 3, // the agent cannot be reached
};

// What a positional argument is, for completion.
enum command_argument {
    ARGUMENT_NONE,
    ARGUMENT_POD,
    ARGUMENT_FILE,
    ARGUMENT_WORDS,      // `words`, each once
    ARGUMENT_RESOURCE,   // one of `words`, then names of that resource
    ARGUMENT_CHECK,      // one of `words`, then what that check looks at
    ARGUMENT_WORD_FILES, // one of `words`, then files
    ARGUMENT_FIELD,      // `words`, or the path of a manifest's field
    ARGUMENT_COMMAND,    // the name of another command
};

struct command {
    const char *name;
    const char *group;       // heading in the overview; NULL: not shown there
    const char *summary;     // one line, for the overview
    const char *usage;       // what follows the name: "NAME [-c CONTAINER] -- COMMAND"
    const char *description; // paragraphs for --help
    const char *examples;    // lines of "  # why\n  mainstay …"
    const struct option *options;
    size_t n_options;
    enum command_argument argument;
    const char *const *words; // NULL-terminated
    const char *const *verbs; // NULL-terminated, those of two words whole ("member add"); or NULL
    bool single;              // one argument at most
    // argv[0] is the command's name; returns the exit status.
    int (*run)(int argc, char **argv);
};

// All commands in the order of the overview, NULL-terminated.
const struct command *const *commands_all(void);

// By name or abbreviation ("ls"); NULL where there is none.
const struct command *command_find(const char *name);

// Runs `mainstay ARGS…` (argv[0] is the program's name): finds the command, runs it.
int commands_run(int argc, char **argv);

// Reads argv by the command's options into *opts (see options.h). True: go on. False: *ret_exit is
// the exit status, because --help was asked for (and is printed) or the usage was wrong (and that
// is said on stderr, with the way to --help).
bool command_parse(const struct command *command, int argc, char **argv, void *opts,
                   struct options_rest *rest, int *ret_exit);

// "mainstay NAME: message" and where to find help, on stderr. Returns CLI_USAGE.
int command_usage_error(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Which of the command's verbs the arguments begin with; NULL where none.
const char *command_verb(const struct command *command, const char *const *words, size_t n);
// CLI_USAGE, said, where a flag was given that does not go with the verb; else 0.
int command_check_flags(const struct command *command, const struct options_rest *rest);

// The text of `mainstay NAME --help` and of `mainstay help`, on stdout.
void command_print_help(const struct command *command);
void commands_print_overview(void);

// The entry of each command. argv[0] is the command's name; the result is the exit status.
int cmd_init(int argc, char **argv);
int cmd_join(int argc, char **argv);
int cmd_reset(int argc, char **argv);
int cmd_render(int argc, char **argv);
int cmd_balancer(int argc, char **argv);

extern const struct command command_etcd, command_init, command_join, command_reset, command_render;

extern const struct command command_apply, command_balancer, command_check, command_complete,
    command_completion, command_delete, command_describe, command_diff, command_exec,
    command_explain, command_get, command_help, command_history, command_logs, command_monit,
    command_pki, command_reload, command_restart, command_retry, command_rollback, command_start,
    command_status, command_stop, command_top, command_validate, command_version, command_wait;
