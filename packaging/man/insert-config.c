// The daemon's flags and the fields of its configuration file, from the table that reads them.
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "packaging/man/inserts.h"
#include "packaging/man/roff.h"
#include "supervisor/config-internal.h"

// Root on a machine without a name: what is the same everywhere.
static void machine_defaults(struct config *defaults)
{
    config_shown_defaults(&(struct config_host){.privileged = true}, defaults);
}

static void add_flag(struct buffer *out, const char *name)
{
    _cleanup_free_ char *flag = xasprintf("%s%s", strlen(name) == 1 ? "-" : "--", name);
    roff_bold(out, flag);
}

static void add_default(struct buffer *out, const struct setting *row, const struct config *config)
{
    _cleanup_free_ char *value = setting_show(row, config);
    if (str_equal(row->flag, "hostname-override")) {
        buffer_add_str(out, "Default: the host\\(aqs name, in lower case.\n");
    } else if (str_equal(row->flag, "shim")) {
        buffer_add_str(out,
                       "Default: the one that is beside the agent, or was installed with it.\n");
    } else if (*value && row->kind != SETTING_BOOL) {
        buffer_add_str(out, "Default:\n");
        roff_bold(out, value);
        buffer_add_str(out, "\\&.\n");
    }
}

static const char *kind_name(enum setting_kind kind)
{
    static const char *const names[] = {
        [SETTING_STRING] = "string",     [SETTING_BOOL] = "boolean", [SETTING_INT] = "integer",
        [SETTING_DURATION] = "duration", [SETTING_LIST] = "list",    [SETTING_MAP] = "mapping",
    };
    return names[kind];
}

void insert_daemon_flags(struct buffer *out, const char *templates)
{
    _cleanup_config_ struct config defaults;
    machine_defaults(&defaults);
    for (size_t i = 0; i < config_n_settings; i++) {
        const struct setting *row = &config_settings[i];
        if (row->effect != SETTING_HONOURED || !row->flag)
            continue;
        roff_item(out);
        add_flag(out, row->flag);
        if (row->metavar) {
            buffer_add_char(out, ' ');
            roff_italic(out, row->metavar);
        }
        buffer_add_char(out, '\n');
        roff_sentence(out, row->why);
        add_default(out, row, &defaults);
        if (row->field) {
            buffer_add_str(out, "In the file:\n");
            roff_bold(out, row->field);
            buffer_add_str(out, "\\&.\n");
        }
    }
}

void insert_config_honoured(struct buffer *out, const char *templates)
{
    _cleanup_config_ struct config defaults;
    machine_defaults(&defaults);
    for (size_t i = 0; i < config_n_settings; i++) {
        const struct setting *row = &config_settings[i];
        if (row->effect != SETTING_HONOURED || !row->field)
            continue;
        roff_item(out);
        roff_bold(out, row->field);
        buffer_printf(out, " (%s)\n", kind_name(row->kind));
        roff_sentence(out, row->why);
        add_default(out, row, &defaults);
        if (row->flag) {
            buffer_add_str(out, "Flag:\n");
            add_flag(out, row->flag);
            buffer_add_str(out, "\\&.\n");
        }
    }
}

// The field with its flag behind it, or the one that there is.
static void add_names(struct buffer *out, const struct setting *row)
{
    if (row->field)
        roff_bold(out, row->field);
    if (row->field && row->flag)
        buffer_add_str(out, " (");
    if (row->flag)
        add_flag(out, row->flag);
    if (row->field && row->flag)
        buffer_add_char(out, ')');
}

static bool is_noted_earlier(size_t row)
{
    for (size_t i = 0; i < row; i++)
        if (config_settings[i].effect == SETTING_NOTED &&
            str_equal(config_settings[i].why, config_settings[row].why))
            return true;
    return false;
}

// One entry per reason, with all that it holds for.
void insert_config_noted(struct buffer *out, const char *templates)
{
    bool first = true;
    for (size_t i = 0; i < config_n_settings; i++) {
        if (config_settings[i].effect != SETTING_NOTED || is_noted_earlier(i))
            continue;
        buffer_add_str(out, first ? "" : ".PP\n");
        first = false;
        roff_sentence(out, config_settings[i].why);
        buffer_add_str(out, ".RS 4\n");
        for (size_t j = i; j < config_n_settings; j++) {
            if (config_settings[j].effect != SETTING_NOTED ||
                !str_equal(config_settings[j].why, config_settings[i].why))
                continue;
            buffer_add_str(out, j > i ? ",\n" : "");
            add_names(out, &config_settings[j]);
        }
        buffer_add_str(out, "\n.RE\n");
    }
}

// "false|" : what may be given all the same.
static void add_harmless(struct buffer *out, const struct setting *row)
{
    bool first = true;
    for (const char *p = row->harmless; p && *p;) {
        size_t n = strcspn(p, "|");
        if (n > 0) {
            buffer_add_str(out, first ? "Accepted:\n" : ",\n");
            _cleanup_free_ char *value = xstrndup(p, n);
            roff_bold(out, value);
            first = false;
        }
        p += n + (p[n] == '|');
    }
    if (!first)
        buffer_add_str(out, "\\&.\n");
}

void insert_config_refused(struct buffer *out, const char *templates)
{
    for (size_t i = 0; i < config_n_settings; i++) {
        const struct setting *row = &config_settings[i];
        if (row->effect != SETTING_REFUSED)
            continue;
        roff_item(out);
        add_names(out, row);
        buffer_add_char(out, '\n');
        roff_sentence(out, row->why);
        add_harmless(out, row);
    }
}
