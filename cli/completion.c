// `mainstay completion`: what a shell needs to complete command lines. The scripts are small: they
// ask the hidden `mainstay __complete`, which reads the same tables as the commands themselves.
#include <string.h>

#include "base/string-list.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/field.h"

struct completion_options {
    struct common_options common;
};

static const struct option completion_options[] = {COMMON_OPTIONS(completion_options)};

static const char *const shells[] = {"bash", "zsh", NULL};

static const char bash_script[] =
    "# bash completion for mainstay: source <(mainstay completion bash)\n"
    "_mainstay() {\n"
    "    local IFS=$'\\n'\n"
    "    COMPREPLY=($(mainstay __complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))\n"
    "}\n"
    "complete -o default -F _mainstay mainstay\n";

static const char zsh_script[] =
    "#compdef mainstay\n"
    "# zsh completion for mainstay: source <(mainstay completion zsh)\n"
    "_mainstay() {\n"
    "    local -a candidates\n"
    "    candidates=(${(f)\"$(mainstay __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"})\n"
    "    if (( ${#candidates} )); then compadd -- $candidates; else _files; fi\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _mainstay ]; then _mainstay \"$@\"; else compdef _mainstay mainstay; "
    "fi\n";

static int cmd_completion(int argc, char **argv)
{
    struct completion_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status;
    if (!command_parse(&command_completion, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n == 1 && str_equal(rest.arguments[0], "bash"))
        fputs(bash_script, stdout);
    else if (rest.n == 1 && str_equal(rest.arguments[0], "zsh"))
        fputs(zsh_script, stdout);
    else
        return command_usage_error(&command_completion, "say for which shell: bash or zsh");
    return CLI_DONE;
}

const struct command command_completion = {
    .name = "completion",
    .group = "Help",
    .summary = "Print what bash or zsh needs to complete command lines",
    .usage = "bash|zsh",
    .examples = "  source <(mainstay completion bash)\n"
                "  mainstay completion bash > /etc/bash_completion.d/mainstay\n"
                "  mainstay completion zsh > \"${fpath[1]}/_mainstay\"",
    .options = completion_options,
    .n_options = ARRAY_SIZE(completion_options),
    .argument = ARGUMENT_WORDS,
    .words = shells,
    .run = cmd_completion,
};

// What has been typed: the words up to the cursor, the last of them unfinished.
struct line {
    const char **words;
    size_t n;
    const char *current;
    const struct command *command;
    size_t n_arguments; // of the command, before the current word
};

static void offer(const struct line *line, const char *candidate)
{
    if (str_starts_with(candidate, line->current))
        puts(candidate);
}

static void offer_list(const struct line *line, const char *const *candidates)
{
    for (; candidates && *candidates; candidates++)
        offer(line, *candidates);
}

// Names of pods, or (by "metadata.namespace") the namespaces they are in. Without an agent there is
// nothing to offer.
static void offer_pods(const struct line *line, const char *field)
{
    _cleanup_client_ struct client *client = client_new(NULL);
    _cleanup_string_list_ struct string_list seen = {0};
    json_t *list;
    if (client_get(client, "/mainstay/v1/pods", &list, NULL) < 0)
        return;
    const json_t *items = field_at(list, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *text = field_text_or_empty(json_array_get(items, i), field);
        if (!string_list_contains(&seen, text))
            offer(line, text);
        string_list_add(&seen, text);
    }
    json_decref(list);
}

static const struct option *flag_of(const struct command *command, const char *word)
{
    if (str_starts_with(word, "--"))
        return options_find(command->options, command->n_options, word + 2);
    for (size_t i = 0; i < command->n_options && word[0] == '-' && word[1] && !word[2]; i++)
        if (command->options[i].letter == word[1])
            return &command->options[i];
    return NULL;
}

// The flag whose value the current word is, or NULL. bash makes three words of --for=ready.
static const struct option *flag_before(const struct line *line)
{
    size_t at = line->n - 1;
    if (at > 1 && str_equal(line->words[at - 1], "="))
        at--;
    const struct option *option = at > 0 ? flag_of(line->command, line->words[at - 1]) : NULL;
    return option && option->type != OPTION_BOOL ? option : NULL;
}

static void offer_values(const struct line *line, const struct option *option)
{
    static const char *const formats[] = {
        "json", "yaml", "wide", "name", "jsonpath=", "custom-columns=", NULL};
    static const char *const goals[] = {"ready", "gone", "applied", NULL};
    if (option->values)
        offer_list(line, option->values);
    else if (str_equal(option->name, "output"))
        offer_list(line, formats);
    else if (str_equal(option->name, "for"))
        offer_list(line, goals);
    else if (str_equal(option->name, "namespace"))
        offer_pods(line, "metadata.namespace");
}

static void offer_flags(const struct line *line)
{
    for (size_t i = 0; i < line->command->n_options; i++) {
        char flag[64];
        snprintf(flag, sizeof(flag), "--%s", line->command->options[i].name);
        offer(line, flag);
    }
}

static void offer_arguments(const struct line *line)
{
    switch (line->command->argument) {
    case ARGUMENT_POD:
        offer_pods(line, "metadata.name");
        break;
    case ARGUMENT_WORDS:
        if (line->n_arguments == 0)
            offer_list(line, line->command->words);
        else
            offer_pods(line, "metadata.name");
        break;
    case ARGUMENT_NONE:
    case ARGUMENT_FILE:
        break; // the shell offers files where nothing is printed
    }
}

static void offer_commands(const struct line *line)
{
    for (const struct command *const *c = commands_all(); *c; c++)
        if ((*c)->group)
            offer(line, (*c)->name);
}

static void complete(struct line *line)
{
    static const char equals[] = "=";
    line->current = line->n > 0 ? line->words[line->n - 1] : "";
    if (str_equal(line->current, equals))
        line->current = "";
    for (size_t i = 0; i + 1 < line->n; i++) {
        if (line->words[i][0] == '-' || str_equal(line->words[i], equals))
            continue;
        if (line->command)
            line->n_arguments++;
        else
            line->command = command_find(line->words[i]);
    }
    if (!line->command) {
        offer_commands(line);
        return;
    }
    const struct option *option = flag_before(line);
    if (option)
        offer_values(line, option);
    else if (line->current[0] == '-')
        offer_flags(line);
    else
        offer_arguments(line);
}

static int cmd_complete(int argc, char **argv)
{
    struct completion_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status;
    if (!command_parse(&command_complete, argc, argv, &options, &rest, &status))
        return status;
    struct line line = {.words = rest.after_dashes, .n = rest.n_after};
    complete(&line);
    return CLI_DONE;
}

const struct command command_complete = {
    .name = "__complete",
    .summary = "Offer completions of a command line, for shells",
    .usage = "-- WORD…",
    .options = completion_options,
    .n_options = ARRAY_SIZE(completion_options),
    .run = cmd_complete,
};
