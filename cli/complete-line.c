// See complete-line.h.
#include "cli/complete-line.h"

#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"

struct walk {
    struct complete_line *line;
    const char *const *words;
    size_t n, at; // `at`: the next word
};

static const struct option *find_letter(const struct command *command, char letter)
{
    for (size_t i = 0; i < command->n_options; i++)
        if (command->options[i].letter == letter)
            return &command->options[i];
    return NULL;
}

static void note_value(struct complete_line *line, const struct option *option, const char *value)
{
    if (str_equal(option->name, "socket"))
        line->socket = value;
    else if (str_equal(option->name, "namespace"))
        line->namespace_ = value;
}

// The flag's value is in the same word, or follows; or the cursor is in it. In bash "=" is a word.
static void take_value(struct walk *walk, const struct option *option, const char *value)
{
    struct complete_line *line = walk->line;
    line->flags[line->n_flags++] = option;
    bool equals = walk->at < walk->n && str_equal(walk->words[walk->at], "=");
    if (option->type == OPTION_BOOL) {
        walk->at += equals ? 2 : 0; // --wait = false
    } else if (value) {
        note_value(line, option, value);
    } else if (walk->at + (equals ? 1 : 0) + 1 >= walk->n) {
        line->value_of = option;
        walk->at = walk->n;
    } else {
        walk->at += equals ? 1 : 0;
        note_value(line, option, walk->words[walk->at++]);
    }
}

// What may be in front of the command as well: `mainstay --socket X get pods`.
static const struct command *owner_of_flags(const struct complete_line *line)
{
    return line->command ? line->command : &command_get;
}

static void take_long_flag(struct walk *walk, const char *word)
{
    const struct command *command = owner_of_flags(walk->line);
    size_t n = strcspn(word, "=");
    _cleanup_free_ char *name = xstrndup(word, n);
    const struct option *option = options_find(command->options, command->n_options, name);
    if (option)
        take_value(walk, option, word[n] ? word + n + 1 : NULL);
}

// "-it", "-nkube-system", "-n"
static void take_letters(struct walk *walk, const char *letters)
{
    const struct command *command = owner_of_flags(walk->line);
    for (; *letters; letters++) {
        const struct option *option = find_letter(command, *letters);
        if (!option)
            return;
        if (option->type != OPTION_BOOL) {
            const char *rest = letters + 1 + (letters[1] == '=');
            take_value(walk, option, letters[1] ? rest : NULL);
            return;
        }
        walk->line->flags[walk->line->n_flags++] = option;
    }
}

static void take_word(struct walk *walk, const char *word)
{
    struct complete_line *line = walk->line;
    bool flag = word[0] == '-' && word[1];
    if (line->after_dashes)
        return;
    if (str_equal(word, "--"))
        line->after_dashes = true;
    else if (flag && word[1] == '-')
        take_long_flag(walk, word + 2);
    else if (flag)
        take_letters(walk, word + 1);
    else if (line->command)
        line->arguments[line->n_arguments++] = word;
    else if (!line->unknown)
        line->unknown = !(line->command = command_find(word));
}

// "--output=js" in one word: what is completed is the value.
static void split_current(struct complete_line *line)
{
    const char *word = line->current, *equals = strchr(word, '=');
    if (line->value_of || line->after_dashes || !str_starts_with(word, "--") || !equals)
        return;
    const struct command *command = owner_of_flags(line);
    _cleanup_free_ char *name = xstrndup(word + 2, (size_t)(equals - word - 2));
    line->value_of = options_find(command->options, command->n_options, name);
    if (line->value_of)
        line->current = equals + 1;
}

void complete_line_parse(const char *const *words, size_t n, struct complete_line *ret)
{
    struct walk walk = {ret, words, n, 0};
    size_t letters = 0;
    for (size_t i = 0; i < n; i++)
        letters += strlen(words[i]);
    *ret = (struct complete_line){
        .arguments = xcalloc(n + 1, sizeof(*ret->arguments)),
        .flags = xcalloc(letters + 1, sizeof(struct option *)), // a letter can be a flag
        .current = n > 0 ? words[n - 1] : "",
    };
    while (walk.at + 1 < n)
        take_word(&walk, words[walk.at++]);
    if (ret->value_of && str_equal(ret->current, "="))
        ret->current = "";
    split_current(ret);
}

void complete_line_free(struct complete_line *line)
{
    free(line->arguments);
    free(line->flags);
    *line = (struct complete_line){0};
}
