// The command line, read as pflag reads it for the kubelet: --name value, --name=value, a boolean
// without a value is true, '_' and '-' are the same, the last one of several wins.
#include "supervisor/config-internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time-format.h"

void flags_free(struct given_flags *flags)
{
    LIST_EACH (flag, &flags->flags)
        free(flag->text);
    free(flags->flags.items);
    free(flags->config_file);
    *flags = (struct given_flags){0};
}

// strconv.ParseBool.
static const char *parse_bool(const char *text)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        if (strcmp(text, yes[i]) == 0)
            return "true";
        if (strcmp(text, no[i]) == 0)
            return "false";
    }
    return NULL;
}

static int check_kind(const struct setting *row, const char *text, struct error *err)
{
    long long number;
    int64_t nsec;
    switch (row->kind) {
    case SETTING_BOOL:
        return parse_bool(text) ? 0 : error_set(err, EINVAL, "must be true or false");
    case SETTING_INT:
        if (str_to_int(text, LLONG_MIN, LLONG_MAX, &number) < 0)
            return error_set(err, EINVAL, "must be a whole number");
        return 0;
    case SETTING_DURATION:
        if (duration_parse(text, &nsec) < 0)
            return error_set(err, EINVAL, "must be a duration, such as 20s or 1m30s");
        return 0;
    default:
        return 0;
    }
}

static int keep_flag(struct given_flags *flags, const struct setting *row, const char *text,
                     struct error *err)
{
    int code = check_kind(row, text, err);
    if (code < 0)
        return error_prefix(err, code, "--%s: \"%s\"", row->flag, text);
    struct given_flag *flag = NULL;
    LIST_EACH (earlier, &flags->flags) {
        if (earlier->row == row)
            flag = earlier;
    }
    if (!flag) {
        flag = LIST_APPEND(&flags->flags);
        flag->row = row;
    }
    bool adds = flag->text && (row->kind == SETTING_LIST || row->kind == SETTING_MAP);
    config_replace(&flag->text, adds
                                    ? xasprintf("%s,%s", flag->text, text)
                                    : xstrdup(row->kind == SETTING_BOOL ? parse_bool(text) : text));
    return 0;
}

static int unknown_flag(const char *name, struct error *err)
{
    const char *nearest = setting_nearest_flag(name);
    if (nearest)
        return error_set(err, EINVAL, "unknown flag: --%s (did you mean --%s?)", name, nearest);
    return error_set(err, EINVAL, "unknown flag: --%s (--help lists all)", name);
}

// One flag; *i moves on where its value is the next argument.
static int read_flag(struct given_flags *flags, const char *name, const char *value, int argc,
                     char *const *argv, int *i, struct error *err)
{
    bool help = strcmp(name, "help") == 0, version = strcmp(name, "version") == 0;
    if (help || version) {
        if (value && !parse_bool(value))
            return error_set(err, EINVAL, "--%s: takes no value", name);
        if (!value || strcmp(parse_bool(value), "true") == 0)
            flags->action = help ? CONFIG_SHOW_HELP : CONFIG_SHOW_VERSION;
        return 0;
    }
    const struct setting *row = setting_by_flag(name);
    bool config = strcmp(name, "config") == 0;
    if (!row && !config)
        return unknown_flag(name, err);
    if (!value && row && row->kind == SETTING_BOOL)
        value = "true";
    if (!value && *i + 1 >= argc)
        return error_set(err, EINVAL, "--%s: needs a value", name);
    if (!value)
        value = argv[++*i];
    if (!config)
        return keep_flag(flags, row, value, err);
    if (!*value)
        return error_set(err, EINVAL, "--config: must not be empty");
    config_replace(&flags->config_file, xstrdup(value));
    return 0;
}

static int read_argument(struct given_flags *flags, int argc, char *const *argv, int *i,
                         struct error *err)
{
    const char *argument = argv[*i];
    if (strcmp(argument, "-h") == 0)
        return read_flag(flags, "help", NULL, argc, argv, i, err);
    if (argument[0] == '-' && argument[1] == 'v') { // -v 2, -v=2, -v2
        const char *value = argument[2] ? argument + 2 + (argument[2] == '=') : NULL;
        return read_flag(flags, "v", value, argc, argv, i, err);
    }
    if (strncmp(argument, "--", 2) != 0 || !argument[2])
        return error_set(err, EINVAL,
                         "unexpected argument \"%s\": there are only flags (--help lists them)",
                         argument);
    size_t n = strcspn(argument + 2, "=");
    _cleanup_free_ char *name = xstrndup(argument + 2, n);
    const char *value = argument[2 + n] ? argument + 2 + n + 1 : NULL;
    return read_flag(flags, name, value, argc, argv, i, err);
}

int flags_read(int argc, char *const *argv, struct given_flags *ret, struct error *err)
{
    for (int i = 1; i < argc; i++) {
        int code = read_argument(ret, argc, argv, &i, err);
        if (code < 0)
            return code;
        if (ret->action != CONFIG_RUN)
            return 0; // whatever else is there
    }
    return 0;
}

int flags_apply(const struct given_flags *flags, struct config *config, struct error *err)
{
    _cleanup_free_ char *here = getcwd(NULL, 0);
    LIST_EACH (flag, &flags->flags) {
        char shown[128];
        snprintf(shown, sizeof(shown), "--%s", flag->row->flag);
        struct setting_value value = {.text = flag->text, .base = here ? here : "/"};
        int code = setting_apply(flag->row, shown, &value, config, err);
        if (code < 0)
            return code;
    }
    return 0;
}
