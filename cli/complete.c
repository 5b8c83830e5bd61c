// `mainstay __complete`: what could stand where the cursor is, for the shells' functions (see
// completion.c). A candidate a line, with its description behind a tab. Lines that begin with a
// colon are for the shell: ":files" and ":directories" where it knows better what could stand here,
// ":nospace" where the word goes on behind the candidate.
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/client.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/complete-line.h"
#include "cli/container-choice.h"
#include "cli/field.h"
#include "cli/pod-view.h"
#include "podspec/podspec.h"

enum { PATIENCE_SEC = 2 }; // an agent that hangs must not hang the shell

struct complete_options {
    struct common_options common;
};

static const struct option complete_options[] = {COMMON_OPTIONS(complete_options)};

static void offer(const struct complete_line *line, const char *candidate, const char *description)
{
    if (!str_starts_with(candidate, line->current) || strpbrk(candidate, "\t\n"))
        return;
    if (!description || !*description)
        puts(candidate);
    else
        printf("%s\t%.*s\n", candidate, (int)strcspn(description, "\t\n"), description);
    if (str_ends_with(candidate, "=") || str_ends_with(candidate, "/"))
        puts(":nospace");
}

static bool is_argument(const struct complete_line *line, const char *word)
{
    for (size_t i = 0; i < line->n_arguments; i++)
        if (str_equal(line->arguments[i], word))
            return true;
    return false;
}

static void offer_list(const struct complete_line *line, const char *const *candidates)
{
    for (; candidates && *candidates; candidates++)
        if (!is_argument(line, *candidates))
            offer(line, *candidates, NULL);
}

// ---- what the agent knows ----

// A new reference; NULL where there is no agent: then there is nothing to offer.
static json_t *ask(const struct complete_line *line, const char *path)
{
    _cleanup_client_ struct client *client = client_new(line->socket);
    json_t *answer = NULL;
    return client_get(client, path, &answer, NULL) < 0 ? NULL : answer;
}

static bool in_namespace(const struct complete_line *line, const json_t *pod)
{
    return !line->namespace_ || str_equal(line->namespace_, field_text(pod, "metadata.namespace"));
}

static bool is_named_already(const struct complete_line *line, const json_t *pod)
{
    for (size_t i = 0; i < line->n_arguments; i++) {
        const char *slash = strchr(line->arguments[i], '/');
        if (pod_is_named(pod, line->namespace_, slash ? slash + 1 : line->arguments[i]))
            return true;
    }
    return false;
}

// Also "pod/NAME", where that has been begun.
static void offer_pod(const struct complete_line *line, const json_t *pod)
{
    static const char *const prefixes[] = {"pod/", "pods/", "po/"};
    const char *name = field_text_or_empty(pod, "metadata.name");
    struct pod_view view;
    pod_view_read(pod, &view);
    offer(line, name, view.status);
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (str_starts_with(line->current, prefixes[i])) {
            _cleanup_free_ char *full = xasprintf("%s%s", prefixes[i], name);
            offer(line, full, view.status);
        }
}

static void offer_pods(const struct complete_line *line)
{
    json_t *list = ask(line, "/mainstay/v1/pods");
    const json_t *items = field_at(list, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *pod = json_array_get(items, i);
        if (in_namespace(line, pod) && !is_named_already(line, pod))
            offer_pod(line, pod);
    }
    json_decref(list);
}

static void offer_namespaces(const struct complete_line *line)
{
    _cleanup_string_list_ struct string_list seen = {0};
    json_t *list = ask(line, "/mainstay/v1/pods");
    const json_t *items = field_at(list, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *name = field_text_or_empty(json_array_get(items, i), "metadata.namespace");
        if (!string_list_contains(&seen, name))
            offer(line, name, NULL);
        string_list_add(&seen, name);
    }
    json_decref(list);
}

// Of the pod that was named; of all pods where none was.
static void offer_containers(const struct complete_line *line)
{
    _cleanup_string_list_ struct string_list seen = {0};
    json_t *list = ask(line, "/mainstay/v1/pods");
    const json_t *items = field_at(list, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *pod = json_array_get(items, i);
        bool wanted = line->n_arguments > 0 ? is_named_already(line, pod) : in_namespace(line, pod);
        _cleanup_string_list_ struct string_list names = {0};
        if (wanted)
            pod_container_names(pod, &names);
        LIST_EACH (name, &names) {
            const json_t *own = field_named(field_at(pod, "mainstay.containers"), *name);
            if (!string_list_contains(&seen, *name))
                offer(line, *name, field_text_or_empty(own, "state"));
            string_list_add(&seen, *name);
        }
    }
    json_decref(list);
}

static void offer_named(const struct complete_line *line, const struct resource *resource)
{
    json_t *list = ask(line, resource->path);
    const json_t *items = field_at(list, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *name = json_string_value(resource->name(json_array_get(items, i)));
        const char *slash = name ? strrchr(name, '/') : NULL; // manifests are known by their path
        if (name && !is_argument(line, slash ? slash + 1 : name))
            offer(line, slash ? slash + 1 : name, NULL);
    }
    json_decref(list);
}

static void offer_node(const struct complete_line *line)
{
    json_t *status = ask(line, "/mainstay/v1/status");
    if (status)
        offer(line, field_text_or_empty(status, "node"), NULL);
    json_decref(status);
}

// `get pods …`: names of what was asked for.
static void offer_resource(const struct complete_line *line)
{
    const struct resource *resource = resource_find(line->arguments[0]);
    if (!resource || str_equal(resource->kind, "event"))
        return; // an event's name says nothing
    if (str_equal(resource->kind, "pod"))
        offer_pods(line);
    else if (resource->path)
        offer_named(line, resource);
    else
        offer_node(line);
}

// `check pod …`: what that check looks at.
static void offer_checked(const struct complete_line *line)
{
    const char *check = line->arguments[0];
    if (str_equal(check, "pod"))
        offer_pods(line);
    else if (str_equal(check, "certificates"))
        puts(":files");
    else if (str_equal(check, "disk"))
        puts(":directories");
}

// ---- what is known here ----

static void offer_values(const struct complete_line *line, const struct option *option)
{
    const char *argument = option->argument ? option->argument : "";
    if (option->values || option->offers)
        offer_list(line, option->values ? option->values : option->offers);
    else if (str_equal(argument, "NAMESPACE"))
        offer_namespaces(line);
    else if (str_equal(argument, "CONTAINER"))
        offer_containers(line);
    else if (str_starts_with(argument, "FILE") || str_equal(argument, "PATH"))
        puts(":files");
    else if (str_equal(argument, "DIR"))
        puts(":directories");
}

static bool is_given(const struct complete_line *line, const struct option *option)
{
    for (size_t i = 0; i < line->n_flags; i++)
        if (line->flags[i] == option)
            return option->type != OPTION_LIST;
    return false;
}

static void offer_flags(const struct complete_line *line)
{
    const char *verb = command_verb(line->command, line->arguments, line->n_arguments);
    for (size_t i = 0; i < line->command->n_options; i++) {
        const struct option *option = &line->command->options[i];
        if (is_given(line, option) || !option_is_for(option, verb))
            continue;
        _cleanup_free_ char *flag = xasprintf("--%s", option->name);
        offer(line, flag, option->help);
    }
}

static void offer_fields(const struct complete_line *line)
{
    _cleanup_string_list_ struct string_list paths = {0};
    podspec_explain_names(line->current, &paths);
    if (paths.n > 0)
        puts(":nospace"); // what is below it may be meant
    LIST_EACH (path, &paths)
        offer(line, *path, NULL);
}

static void offer_commands(const struct complete_line *line)
{
    for (const struct command *const *c = commands_all(); *c; c++)
        if ((*c)->group)
            offer(line, (*c)->name, (*c)->summary);
}

// `etcd member …`: what goes on from there. False where the first word is the whole verb.
static bool offer_second_words(const struct complete_line *line)
{
    bool any = false;
    for (size_t i = 0; line->command->verbs && line->command->verbs[i]; i++) {
        const char *verb = line->command->verbs[i], *space = strchr(verb, ' ');
        size_t len = strlen(line->arguments[0]);
        bool goes_on =
            space && (size_t)(space - verb) == len && strncmp(verb, line->arguments[0], len) == 0;
        if (goes_on)
            offer(line, space + 1, NULL);
        any = any || goes_on;
    }
    return any;
}

static void offer_arguments(const struct complete_line *line)
{
    const struct command *command = line->command;
    if (command->single && line->n_arguments > 0)
        return;
    switch (command->argument) {
    case ARGUMENT_NONE:
        break;
    case ARGUMENT_POD:
        offer_pods(line);
        break;
    case ARGUMENT_FILE:
        puts(":files");
        break;
    case ARGUMENT_WORDS:
        offer_list(line, command->words);
        break;
    case ARGUMENT_RESOURCE:
        if (line->n_arguments == 0)
            offer_list(line, command->words);
        else
            offer_resource(line);
        break;
    case ARGUMENT_CHECK:
        if (line->n_arguments == 0)
            offer_list(line, command->words);
        else
            offer_checked(line);
        break;
    case ARGUMENT_WORD_FILES:
        if (line->n_arguments == 0)
            offer_list(line, command->words);
        else if (line->n_arguments > 1 || !offer_second_words(line))
            puts(":files");
        break;
    case ARGUMENT_FIELD:
        offer_list(line, command->words);
        offer_fields(line);
        break;
    case ARGUMENT_COMMAND:
        offer_commands(line);
        break;
    }
}

static void complete(const struct complete_line *line)
{
    static const char *const first_flags[] = {"--socket", "--help", "--version", NULL};
    if (line->unknown)
        return;
    if (line->value_of)
        offer_values(line, line->value_of);
    else if (!line->command && line->current[0] == '-')
        offer_list(line, first_flags);
    else if (!line->command)
        offer_commands(line);
    else if (line->after_dashes)
        puts(":files"); // of a command inside the container; on the host's root they are the same
    else if (line->current[0] == '-')
        offer_flags(line);
    else
        offer_arguments(line);
}

static int cmd_complete(int argc, char **argv)
{
    struct complete_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    _cleanup_complete_line_ struct complete_line line = {0};
    int status;
    if (!command_parse(&command_complete, argc, argv, &options, &rest, &status))
        return status;
    alarm(PATIENCE_SEC);
    complete_line_parse(rest.after_dashes, rest.n_after, &line);
    complete(&line);
    return CLI_DONE;
}

const struct command command_complete = {
    .name = "__complete",
    .summary = "Offer completions of a command line, for shells",
    .usage = "-- WORD…",
    .options = complete_options,
    .n_options = ARRAY_SIZE(complete_options),
    .run = cmd_complete,
};
