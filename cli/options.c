// See options.h.
#include "cli/options.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/time-format.h"

struct parse {
    const struct option *options;
    size_t n;
    int argc;
    char **argv;
    int next; // index of the next word
    void *opts;
    struct options_rest *rest;
    struct error *err;
};

void options_rest_free(struct options_rest *rest)
{
    free(rest->arguments);
    free(rest->after_dashes);
    free(rest->given);
    *rest = (struct options_rest){0};
}

void options_rest_add(struct options_rest *rest, const struct string_list *more)
{
    rest->arguments =
        xreallocarray(rest->arguments, rest->n + more->n + 1, sizeof(*rest->arguments));
    for (size_t i = 0; i < more->n; i++)
        rest->arguments[rest->n++] = more->items[i];
}

const struct option *options_find(const struct option *options, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(options[i].name, name))
            return &options[i];
    return NULL;
}

static const struct option *find_letter(const struct parse *p, char letter)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->options[i].letter == letter)
            return &p->options[i];
    return NULL;
}

// The table's own rows are constant; only the struct that they point into is written.
static void *member(const struct parse *p, const struct option *option)
{
    return (char *)p->opts + option->offset;
}

static int set_bool(struct parse *p, const struct option *option, const char *value)
{
    bool on = !value || str_equal(value, "true") || str_equal(value, "1");
    if (!on && !str_equal(value, "false") && !str_equal(value, "0"))
        return error_set(p->err, EINVAL, "--%s: \"%s\" is neither true nor false", option->name,
                         value);
    *(bool *)member(p, option) = on;
    return 0;
}

static int set_int(struct parse *p, const struct option *option, const char *value)
{
    long long number;
    if (str_to_int(value, option->min, INT64_MAX, &number) < 0)
        return error_set(p->err, EINVAL, "--%s: \"%s\" is not a whole number from %lld",
                         option->name, value, (long long)option->min);
    *(int64_t *)member(p, option) = number;
    return 0;
}

static int set_duration(struct parse *p, const struct option *option, const char *value)
{
    int64_t nsec;
    if (duration_parse(value, &nsec) < 0 || nsec < 0)
        return error_set(p->err, EINVAL, "--%s: \"%s\" is not a duration such as 30s, 5m or 1h30m",
                         option->name, value);
    *(int64_t *)member(p, option) = nsec;
    return 0;
}

static int check_allowed(struct parse *p, const struct option *option, const char *value)
{
    size_t n = 0;
    if (!option->values)
        return 0;
    for (; option->values[n]; n++)
        if (str_equal(option->values[n], value))
            return 0;
    _cleanup_buffer_ struct buffer known = BUFFER_EMPTY;
    for (size_t i = 0; i < n; i++)
        buffer_printf(&known, "%s%s", i ? ", " : "", option->values[i]);
    return error_set(p->err, EINVAL, "--%s: \"%s\" is not one of %s", option->name, value,
                     buffer_str(&known));
}

static int set_value(struct parse *p, const struct option *option, const char *value)
{
    if (option->type == OPTION_BOOL)
        return set_bool(p, option, value);
    int r = check_allowed(p, option, value);
    if (r < 0)
        return r;
    switch (option->type) {
    case OPTION_INT:
        return set_int(p, option, value);
    case OPTION_DURATION:
        return set_duration(p, option, value);
    case OPTION_LIST:
        string_list_add(member(p, option), value);
        return 0;
    case OPTION_STRING:
    case OPTION_BOOL:
        break;
    }
    *(const char **)member(p, option) = value;
    return 0;
}

// `value` is what stood in the same word, or NULL: then the next word is taken.
static int take_value(struct parse *p, const struct option *option, const char *value)
{
    if (!value && option->type != OPTION_BOOL) {
        if (p->next >= p->argc)
            return error_set(p->err, EINVAL, "--%s needs a value (%s)", option->name,
                             option->argument ? option->argument : "VALUE");
        value = p->argv[p->next++];
    }
    p->rest->given = xreallocarray(p->rest->given, p->rest->n_given + 1, sizeof(*p->rest->given));
    p->rest->given[p->rest->n_given++] = option;
    return set_value(p, option, value);
}

static int unknown_flag(struct parse *p, const char *name)
{
    const char **names = xcalloc(p->n + 1, sizeof(*names));
    for (size_t i = 0; i < p->n; i++)
        names[i] = p->options[i].name;
    const char *nearest = str_nearest(name, names, p->n);
    int r = nearest
                ? error_set(p->err, EINVAL, "unknown flag --%s; did you mean --%s?", name, nearest)
                : error_set(p->err, EINVAL, "unknown flag --%s", name);
    free(names);
    return r;
}

static int parse_long(struct parse *p, const char *word)
{
    const char *equals = strchr(word, '=');
    char *name = equals ? xstrndup(word, (size_t)(equals - word)) : xstrdup(word);
    const struct option *option = options_find(p->options, p->n, name);
    int r = option ? take_value(p, option, equals ? equals + 1 : NULL) : unknown_flag(p, name);
    free(name);
    return r;
}

// "-it", "-nkube-system", "-n=kube-system"
static int parse_letters(struct parse *p, const char *letters)
{
    for (; *letters; letters++) {
        const struct option *option = find_letter(p, *letters);
        if (!option)
            return error_set(p->err, EINVAL, "unknown flag -%c", *letters);
        const char *rest = letters + 1;
        if (*rest == '=')
            return take_value(p, option, rest + 1);
        if (option->type != OPTION_BOOL)
            return take_value(p, option, *rest ? rest : NULL);
        int r = take_value(p, option, NULL);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_word(struct parse *p, const char *word)
{
    struct options_rest *rest = p->rest;
    if (rest->has_dashes) {
        rest->after_dashes[rest->n_after++] = word;
        return 0;
    }
    if (word[0] != '-' || word[1] == '\0') {
        rest->arguments[rest->n++] = word;
        return 0;
    }
    if (word[1] != '-')
        return parse_letters(p, word + 1);
    if (word[2] != '\0')
        return parse_long(p, word + 2);
    rest->has_dashes = true;
    return 0;
}

int options_parse(const struct option *options, size_t n, int argc, char **argv, void *opts,
                  struct options_rest *rest, struct error *err)
{
    struct parse p = {options, n, argc, argv, 1, opts, rest, err};
    rest->arguments = xcalloc((size_t)argc + 1, sizeof(*rest->arguments));
    rest->after_dashes = xcalloc((size_t)argc + 1, sizeof(*rest->after_dashes));
    while (p.next < argc) {
        const char *word = argv[p.next++];
        int r = parse_word(&p, word);
        if (r < 0)
            return r;
    }
    return 0;
}

void options_free(const struct option *options, size_t n, void *opts)
{
    for (size_t i = 0; i < n; i++)
        if (options[i].type == OPTION_LIST)
            string_list_free((struct string_list *)((char *)opts + options[i].offset));
}

static char *help_left(const struct option *option)
{
    struct buffer b = BUFFER_EMPTY;
    if (option->letter)
        buffer_printf(&b, "  -%c, --%s", option->letter, option->name);
    else
        buffer_printf(&b, "      --%s", option->name);
    if (option->type != OPTION_BOOL)
        buffer_printf(&b, "=%s", option->argument ? option->argument : "VALUE");
    return buffer_take(&b);
}

void options_print_help(const struct option *options, size_t n, FILE *out)
{
    size_t width = 0;
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *left = help_left(&options[i]);
        width = MAX(width, strlen(left));
    }
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *left = help_left(&options[i]);
        fprintf(out, "%-*s   %s\n", (int)width, left, options[i].help);
    }
}
