// --help, and the configuration in force in the words of the file that would ask for it.
#include "supervisor/config-internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/time-format.h"

static char *show_duration(int64_t usec)
{
    char text[DURATION_SIZE];
    return xstrdup(duration_format_go(usec * NSEC_PER_USEC, text));
}

static char *show_size(int64_t bytes)
{
    static const struct {
        const char *suffix;
        int shift;
    } units[] = {{"Gi", 30}, {"Mi", 20}, {"Ki", 10}};
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (bytes % (INT64_C(1) << units[i].shift) == 0)
            return xasprintf("%lld%s", (long long)(bytes >> units[i].shift), units[i].suffix);
    }
    return xasprintf("%lld", (long long)bytes);
}

bool setting_is_secret(const struct setting *row)
{
    return row->set == setting_set_headers;
}

char *setting_show(const struct setting *row, const struct config *config)
{
    const void *member = (const char *)config + row->offset;
    if (row->set == setting_set_log_size)
        return show_size(*(const int64_t *)member);
    if (row->set == setting_set_max_restart_period)
        return show_duration(((const struct backoff_curve *)member)->max_usec);
    if (row->set == setting_set_weight_formula)
        return xstrdup(cgroup_weight_formula_name(*(const enum cgroup_weight_formula *)member));
    switch (row->kind) {
    case SETTING_BOOL:
        return xstrdup(*(const bool *)member ? "true" : "false");
    case SETTING_INT:
        return xasprintf("%d", *(const int *)member);
    case SETTING_DURATION:
        return show_duration(*(const int64_t *)member);
    default:
        return xstrdup(*(char *const *)member);
    }
}

static void usage_row(const struct setting *row, const struct config *defaults, struct buffer *out)
{
    enum { TEXT_COLUMN = 38 };
    size_t start = out->len;
    buffer_printf(out, strlen(row->flag) == 1 ? "  -%s" : "      --%s", row->flag);
    if (row->metavar)
        buffer_printf(out, " %s", row->metavar);
    buffer_printf(out, "%*s %s", (int)(TEXT_COLUMN - MIN(out->len - start, (size_t)TEXT_COLUMN)),
                  "", row->why);
    _cleanup_free_ char *value = setting_show(row, defaults);
    if (*value && row->kind != SETTING_BOOL)
        buffer_printf(out, " (default %s)", value);
    buffer_add_char(out, '\n');
}

void config_shown_defaults(const struct config_host *host, struct config *config)
{
    config_set_defaults(host, config);
    if (host->host_name)
        config_replace(&config->node_name, xstrdup(host->host_name));
    config_replace(&config->socket_path, path_join(config->run_dir, "mainstay.sock"));
    config_replace(&config->pid_file, path_join(config->run_dir, "mainstayd.pid"));
    config_replace(&config->seccomp_root, path_join(config->root_dir, "seccomp"));
}

void config_usage(const struct config_host *host, struct buffer *out)
{
    _cleanup_config_ struct config defaults;
    config_shown_defaults(host, &defaults);
    buffer_add_str(out, "Usage: mainstayd [flags]\n\n"
                        "Runs the pods of a manifest directory as supervised processes.\n\n"
                        "Flags:\n"
                        "      --config FILE                    a KubeletConfiguration "
                        "(kubelet.config.k8s.io/v1beta1); flags win over it\n");
    for (size_t i = 0; i < config_n_settings; i++) {
        if (config_settings[i].effect == SETTING_HONOURED && config_settings[i].flag)
            usage_row(&config_settings[i], &defaults, out);
    }
    buffer_add_str(out, "  -h, --help                           show this\n"
                        "      --version                        show the version\n\n"
                        "The kubelet's other flags are known too: each is refused with the reason, "
                        "or noted\nin the log where leaving it out changes nothing.\n");
}

static void describe_string(const char *s, struct buffer *out)
{
    buffer_add_char(out, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buffer_printf(out, "\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            buffer_printf(out, "\\u%04x", *s);
        else
            buffer_add_char(out, *s);
    }
    buffer_add_char(out, '"');
}

// {"Name": ["<masked>"]}: headers hold passwords and tokens, and anybody on the machine may ask.
static void describe_headers(const char *lines, struct buffer *out)
{
    const char *separator = "";
    buffer_add_char(out, '{');
    for (const char *line = lines; *line; line += strcspn(line, "\n") + 1) {
        _cleanup_free_ char *name = xstrndup(line, strcspn(line, ":"));
        buffer_add_str(out, separator);
        describe_string(name, out);
        buffer_add_str(out, ": [\"<masked>\"]");
        separator = ", ";
    }
    buffer_add_char(out, '}');
}

// ["a", "b"] of what is joined by commas.
static void describe_list(const char *text, struct buffer *out)
{
    const char *separator = "";
    buffer_add_char(out, '[');
    for (const char *p = text; *p; p += p[0] == ',') {
        _cleanup_free_ char *item = xstrndup(p, strcspn(p, ","));
        buffer_add_str(out, separator);
        describe_string(item, out);
        separator = ", ";
        p += strlen(item);
    }
    buffer_add_char(out, ']');
}

// {"nodefs.available": "10%", …}
static void describe_limits(const char *text, struct buffer *out)
{
    const char *separator = "";
    buffer_add_char(out, '{');
    for (const char *p = text; *p; p += p[0] == ',') {
        size_t all = strcspn(p, ","), name = strcspn(p, "<");
        buffer_printf(out, "%s\"%.*s\": \"%.*s\"", separator, (int)name, p, (int)(all - name - 1),
                      p + name + 1);
        separator = ", ";
        p += all;
    }
    buffer_add_char(out, '}');
}

static void describe_value(const struct setting *row, const struct config *config,
                           struct buffer *out)
{
    _cleanup_free_ char *value = setting_show(row, config);
    if (setting_is_secret(row)) {
        describe_headers(value, out);
        return;
    }
    if (row->kind == SETTING_LIST) {
        describe_list(value, out);
        return;
    }
    if (row->set == setting_set_disk_limits) {
        describe_limits(value, out);
        return;
    }
    bool plain = row->kind == SETTING_INT || row->kind == SETTING_BOOL;
    if (plain)
        buffer_add_str(out, value);
    else if (row->set == setting_set_cgroup) {
        _cleanup_free_ char *path = xasprintf("/%s", value);
        describe_string(path, out);
    } else {
        describe_string(value, out);
    }
}

void config_describe(const struct config *config, struct buffer *out)
{
    buffer_add_str(out, "apiVersion: \"kubelet.config.k8s.io/v1beta1\"\n"
                        "kind: \"KubeletConfiguration\"\n");
    for (size_t i = 0; i < config_n_settings; i++) {
        const struct setting *row = &config_settings[i];
        if (row->effect != SETTING_HONOURED || !row->field)
            continue;
        const char *dot = strchr(row->field, '.');
        if (dot)
            buffer_printf(out, "%.*s: {\"%s\": ", (int)(dot - row->field), row->field, dot + 1);
        else
            buffer_printf(out, "%s: ", row->field);
        describe_value(row, config, out);
        buffer_add_str(out, dot ? "}\n" : "\n");
    }
}
