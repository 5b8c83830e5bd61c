// The verbs of a command that has several (`mainstay etcd member add …`), and which flags go with
// which of them.
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/string-list.h"
#include "cli/commands.h"

bool option_is_for(const struct option *option, const char *verb)
{
    if (!option->only || !verb)
        return true;
    for (const char *p = option->only; *p; p += *p == ',') {
        size_t len = strcspn(p, ",");
        if (len == strlen(verb) && strncmp(p, verb, len) == 0)
            return true;
        p += len;
    }
    return false;
}

const char *command_verb(const struct command *command, const char *const *words, size_t n)
{
    for (size_t i = 0; n > 0 && command->verbs && command->verbs[i]; i++) {
        const char *verb = command->verbs[i], *space = strchr(verb, ' ');
        size_t len = space ? (size_t)(space - verb) : strlen(verb);
        if (strlen(words[0]) == len && strncmp(verb, words[0], len) == 0 &&
            (!space || (n > 1 && str_equal(space + 1, words[1]))))
            return verb;
    }
    return NULL;
}

// "--dir, --keep and -o (--output)", without those that every verb of every command takes.
static void list_flags(const struct command *command, const char *verb, struct buffer *out)
{
    const char *separator = "";
    for (size_t i = 0; i < command->n_options; i++) {
        const struct option *option = &command->options[i];
        bool common = str_equal(option->name, "help") || str_equal(option->name, "socket");
        if (common || !option_is_for(option, verb))
            continue;
        buffer_printf(out, "%s--%s", separator, option->name);
        separator = ", ";
    }
    if (out->len == 0)
        buffer_add_str(out, "no flags of its own");
}

int command_check_flags(const struct command *command, const struct options_rest *rest)
{
    const char *verb = command_verb(command, rest->arguments, rest->n);
    for (size_t i = 0; verb && i < rest->n_given; i++) {
        const struct option *option = rest->given[i];
        if (option_is_for(option, verb))
            continue;
        _cleanup_buffer_ struct buffer own = BUFFER_EMPTY;
        list_flags(command, verb, &own);
        return command_usage_error(command, "%s %s takes no --%s; it takes %s", command->name, verb,
                                   option->name, buffer_str(&own));
    }
    return 0;
}
