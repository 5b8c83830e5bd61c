// See commands.h: the table of all commands, dispatch and help.
#include "cli/commands.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/term.h"

static const struct command *const all[] = {
    &command_status,   &command_get,      &command_describe,
    &command_top,      &command_logs,     &command_exec,
    &command_check,    &command_restart,  &command_retry,
    &command_stop,     &command_start,    &command_wait,
    &command_reload,   &command_validate, &command_diff,
    &command_apply,    &command_delete,   &command_history,
    &command_rollback, &command_init,     &command_join,
    &command_reset,    &command_render,   &command_balancer,
    &command_pki,      &command_etcd,     &command_monit,
    &command_explain,  &command_version,  &command_completion,
    &command_help,     &command_complete, NULL,
};

const struct command *const *commands_all(void)
{
    return all;
}

const struct command *command_find(const char *name)
{
    for (const struct command *const *c = all; *c; c++)
        if (str_equal((*c)->name, name))
            return *c;
    return NULL;
}

int command_usage_error(const struct command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    fprintf(stderr, "error: %s\nSee `mainstay %s --help`.\n", message, command->name);
    return CLI_USAGE;
}

bool command_parse(const struct command *command, int argc, char **argv, void *opts,
                   struct options_rest *rest, int *ret_exit)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    int r = options_parse(command->options, command->n_options, argc, argv, opts, rest, &err);
    if (r < 0) {
        *ret_exit = command_usage_error(command, "%s", error_message(&err));
        return false;
    }
    const struct option *help = options_find(command->options, command->n_options, "help");
    if (help && *(bool *)((char *)opts + help->offset)) {
        command_print_help(command);
        *ret_exit = CLI_DONE;
        return false;
    }
    return true;
}

void command_print_help(const struct command *command)
{
    bool color = term_has_color(stdout);
    const char *bold = term_begin(TERM_BOLD, color), *end = term_end(TERM_BOLD, color);
    printf("%s.\n\n%sUsage:%s\n  mainstay %s %s\n", command->summary, bold, end, command->name,
           command->usage);
    if (command->description)
        printf("\n%s\n", command->description);
    if (command->n_options > 0) {
        printf("\n%sOptions:%s\n", bold, end);
        options_print_help(command->options, command->n_options, stdout);
    }
    if (command->examples)
        printf("\n%sExamples:%s\n%s\n", bold, end, command->examples);
}

void commands_print_overview(void)
{
    bool color = term_has_color(stdout);
    const char *group = "";
    printf("mainstay looks after the static pods of this node, with kubectl's words.\n\n"
           "%sUsage:%s\n  mainstay [--socket PATH] COMMAND [ARGUMENTS]\n",
           term_begin(TERM_BOLD, color), term_end(TERM_BOLD, color));
    for (const struct command *const *c = all; *c; c++) {
        if (!(*c)->group)
            continue;
        if (!str_equal(group, (*c)->group))
            printf("\n%s%s:%s\n", term_begin(TERM_BOLD, color), (*c)->group,
                   term_end(TERM_BOLD, color));
        group = (*c)->group;
        printf("  %-11s %s\n", (*c)->name, (*c)->summary);
    }
    printf("\nExit status: 0 done, 1 the answer is no, 2 wrong usage, 3 cannot reach the agent.\n"
           "`mainstay COMMAND --help` shows flags and examples.\n");
}

static int unknown_command(const char *name)
{
    const char *names[ARRAY_SIZE(all)];
    size_t n = 0;
    for (const struct command *const *c = all; *c; c++)
        if ((*c)->group)
            names[n++] = (*c)->name;
    const char *nearest = str_nearest(name, names, n);
    fprintf(stderr, "error: unknown command \"%s\"", name);
    if (nearest)
        fprintf(stderr, "; did you mean \"%s\"?", nearest);
    fprintf(stderr, "\nSee `mainstay help`.\n");
    return CLI_USAGE;
}

// True where the word is a flag before the command that takes the next word as its value.
static bool takes_next_word(const char *word)
{
    static const char *const flags[] = {"--socket", "-n", "--namespace"};
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        if (str_equal(word, flags[i]))
            return true;
    return false;
}

// `mainstay --socket X get pods` means `mainstay get --socket X pods`: kubectl takes flags in front
// of the command too.
int commands_run(int argc, char **argv)
{
    int at = 1;
    while (at < argc && argv[at][0] == '-')
        at += takes_next_word(argv[at]) ? 2 : 1;
    bool version = argc == 2 && str_equal(argv[1], "--version");
    if (version)
        return command_version.run(1, (char *[]){(char *)"version", NULL});
    if (at >= argc) {
        bool help = argc == 1 || str_equal(argv[1], "-h") || str_equal(argv[1], "--help");
        if (help) {
            commands_print_overview();
            return CLI_DONE;
        }
        fprintf(stderr, "error: no command follows %s\nSee `mainstay help`.\n", argv[1]);
        return CLI_USAGE;
    }
    const struct command *command = command_find(argv[at]);
    if (!command)
        return unknown_command(argv[at]);
    char **words = xcalloc((size_t)argc + 1, sizeof(*words));
    int n = 0;
    words[n++] = argv[at];
    for (int i = 1; i < at; i++)
        words[n++] = argv[i];
    for (int i = at + 1; i < argc; i++)
        words[n++] = argv[i];
    int status = command->run(n, words);
    free(words);
    return status;
}
