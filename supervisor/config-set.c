// From the text of a value to the member of struct config that it is for.
#include "supervisor/config-internal.h"
#include "supervisor/pod-sysctls.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/time-format.h"
#include "podspec/checks.h"
#include "podspec/quantity.h"
#include "supervisor/disk-limits.h"
#include "supervisor/init.h"

enum { RESTART_PERIOD_MOST_SEC = 300 };

void config_replace(char **member, char *value)
{
    free(*member);
    *member = value;
}

static void *member_of(const struct setting *row, struct config *config)
{
    return (char *)config + row->offset;
}

SETTER(setting_set_string)
{
    if (!*value->text)
        return error_set(err, EINVAL, "must not be empty");
    config_replace(member_of(row, config), xstrdup(value->text));
    return 0;
}

SETTER(setting_set_path)
{
    if (!*value->text)
        return error_set(err, EINVAL, "must not be empty");
    if (strlen(value->text) >= PATH_MAX)
        return error_set(err, EINVAL, "is longer than a path can be");
    char *path = value->text[0] == '/' ? xstrdup(value->text) : path_join(value->base, value->text);
    config_replace(member_of(row, config), path);
    return 0;
}

// "" asks for none.
SETTER(setting_set_path_or_none)
{
    if (*value->text)
        return setting_set_path(row, config, value, err);
    config_replace(member_of(row, config), xstrdup(""));
    return 0;
}

SETTER(setting_set_bool)
{
    *(bool *)member_of(row, config) = strcmp(value->text, "true") == 0;
    return 0;
}

SETTER(setting_set_positive_duration)
{
    int64_t nsec;
    if (duration_parse(value->text, &nsec) < 0 || nsec < NSEC_PER_USEC)
        return error_set(err, EINVAL, "must be a positive duration, such as 20s");
    *(int64_t *)member_of(row, config) = nsec / NSEC_PER_USEC;
    return 0;
}

static int set_int(const struct setting *row, struct config *config, const char *text,
                   long long least, long long most, struct error *err)
{
    long long number;
    if (str_to_int(text, least, most, &number) < 0)
        return error_set(err, EINVAL, "must be between %lld and %lld", least, most);
    *(int *)member_of(row, config) = (int)number;
    return 0;
}

SETTER(setting_set_port)
{
    return set_int(row, config, value->text, 0, UINT16_MAX, err);
}

SETTER(setting_set_log_files)
{
    return set_int(row, config, value->text, 2, 1000, err);
}

SETTER(setting_set_verbosity)
{
    return set_int(row, config, value->text, 0, 100, err);
}

SETTER(setting_set_ip)
{
    if (check_ip(value->text))
        return error_set(err, EINVAL, "must be an IP address");
    return setting_set_string(row, config, value, err);
}

SETTER(setting_set_node_ip)
{
    if (strchr(value->text, ','))
        return error_set(err, EINVAL, "two addresses (dual stack) are not supported; give one");
    return setting_set_ip(row, config, value, err);
}

// As the kubelet: blanks around it go, lower case stays. Every pod is named after it.
SETTER(setting_set_node_name)
{
    const char *start = value->text + strspn(value->text, " \t\r\n");
    char *name = xstrndup(start, strcspn(start, " \t\r\n"));
    for (char *p = name; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    const char *wrong = check_dns_subdomain(name);
    if (wrong) {
        int code = error_set(err, EINVAL, "\"%s\" cannot be a node's name: %s", name, wrong);
        free(name);
        return code;
    }
    config_replace(member_of(row, config), name);
    return 0;
}

SETTER(setting_set_log_size)
{
    struct quantity size;
    if (quantity_parse(value->text, &size) < 0)
        return error_set(err, EINVAL, "must be a size, such as 10Mi");
    int64_t bytes = quantity_value(&size);
    quantity_clear(&size);
    if (bytes <= 0)
        return error_set(err, EINVAL, "must be positive");
    *(int64_t *)member_of(row, config) = bytes;
    return 0;
}

SETTER(setting_set_cgroup)
{
    const char *name = value->text + strspn(value->text, "/");
    if (!*name)
        return 0; // the root: below it is where the default name stands
    size_t n = strlen(name);
    while (n > 0 && name[n - 1] == '/')
        n--;
    _cleanup_free_ char *path = xasprintf("/%.*s", (int)n, name);
    if (!path_is_clean_absolute(path) || strstr(path, "//"))
        return error_set(err, EINVAL, "must be the name of a cgroup, without . and .. parts");
    config_replace(member_of(row, config), xstrdup(path + 1));
    return 0;
}

SETTER(setting_set_init_as)
{
    enum init_kind kind;
    if (!init_kind_from_name(value->text, &kind))
        return error_set(err, EINVAL, "must be container, machine or auto");
    return setting_set_string(row, config, value, err);
}

// The kernel's own bounds of a period.
SETTER(setting_set_cpu_period)
{
    int64_t nsec;
    if (duration_parse(value->text, &nsec) < 0 || nsec < NSEC_PER_SEC / MSEC_PER_SEC ||
        nsec > NSEC_PER_SEC)
        return error_set(err, EINVAL, "must be between 1ms and 1s");
    *(int64_t *)member_of(row, config) = nsec / NSEC_PER_USEC;
    return 0;
}

SETTER(setting_set_pids_limit)
{
    return set_int(row, config, value->text, -1, INT_MAX, err);
}

SETTER(setting_set_weight_formula)
{
    if (cgroup_weight_formula_parse(value->text, member_of(row, config)) < 0)
        return error_set(err, EINVAL, "must be linear or logarithmic");
    return 0;
}

// KEP-5593: the first delay is ten seconds or this, whichever is less.
SETTER(setting_set_max_restart_period)
{
    int64_t nsec;
    if (duration_parse(value->text, &nsec) < 0 || nsec < NSEC_PER_SEC ||
        nsec > RESTART_PERIOD_MOST_SEC * NSEC_PER_SEC)
        return error_set(err, EINVAL, "must be between 1s and %ds", RESTART_PERIOD_MOST_SEC);
    struct backoff_curve *curve = member_of(row, config);
    curve->max_usec = nsec / NSEC_PER_USEC;
    curve->initial_usec = MIN(BACKOFF_KUBELET.initial_usec, curve->max_usec);
    return 0;
}

void setting_items(const struct setting_value *value, struct string_list *ret)
{
    const char *text = value->text, *ends = strchr(text, '\n') ? "\n" : ",";
    while (*text) {
        size_t n = strcspn(text, ends);
        if (n > 0)
            string_list_add_owned(ret, xstrndup(text, n));
        text += n + (text[n] != '\0');
    }
}

SETTER(setting_set_url)
{
    if (!str_starts_with(value->text, "http://") && !str_starts_with(value->text, "https://"))
        return error_set(err, EINVAL, "must be a URL that begins with http:// or https://");
    if (value->text[strcspn(value->text, " \t\r\n")])
        return error_set(err, EINVAL, "must not have blanks in it");
    return setting_set_string(row, config, value, err);
}

// RFC 7230: a header's name.
static bool is_header_name(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("!#$%&'*+-.^_`|~", name[i]))
            return false;
    return length > 0;
}

// The member becomes a text of "Name: value" lines.
SETTER(setting_set_headers)
{
    _cleanup_string_list_ struct string_list items = {0};
    struct buffer lines = BUFFER_EMPTY;
    setting_items(value, &items);
    LIST_EACH (item, &items) {
        size_t name = strcspn(*item, ":");
        const char *text = *item + name + ((*item)[name] == ':');
        if (!(*item)[name] || !is_header_name(*item, name)) {
            buffer_free(&lines);
            return error_set(err, EINVAL, "must be headers such as Name:value");
        }
        buffer_printf(&lines, "%.*s: %s\n", (int)name, *item, text + strspn(text, " "));
    }
    config_replace(member_of(row, config), buffer_take(&lines));
    return 0;
}

SETTER(setting_set_disk_limits)
{
    _cleanup_string_list_ struct string_list items = {0};
    struct disk_limits limits = disk_limits_of("");
    setting_items(value, &items);
    int code = disk_limits_read(&items, &limits, err);
    if (code == 0)
        config_replace(member_of(row, config), disk_limits_text(&limits));
    return code;
}

// "" for none.
SETTER(setting_set_domain)
{
    const char *wrong = *value->text ? check_dns_subdomain(value->text) : NULL;
    if (wrong)
        return error_set(err, EINVAL, "is no domain: %s", wrong);
    config_replace(member_of(row, config), xstrdup(value->text));
    return 0;
}

// The items, joined by commas; each is looked at first.
static int set_list(const struct setting *row, struct config *config,
                    const struct setting_value *value, bool (*fits)(const char *item),
                    const char *what, struct error *err)
{
    _cleanup_string_list_ struct string_list items = {0};
    struct buffer out = BUFFER_EMPTY;
    setting_items(value, &items);
    LIST_EACH (item, &items) {
        if (!fits(*item)) {
            buffer_free(&out);
            return error_set(err, EINVAL, "\"%s\" %s", *item, what);
        }
        buffer_printf(&out, "%s%s", out.len ? "," : "", *item);
    }
    config_replace(member_of(row, config), buffer_take(&out));
    return 0;
}

static bool is_ip(const char *item)
{
    return !check_ip(item);
}

SETTER(setting_set_ip_list)
{
    return set_list(row, config, value, is_ip, "is no IP address", err);
}

// K/sysctl/whitelist.go: others would be the whole node's.
SETTER(setting_set_sysctls)
{
    return set_list(row, config, value, pod_sysctls_is_namespaced,
                    "is not known to be a pod's own: kernel.shm*, kernel.msg*, kernel.sem, "
                    "fs.mqueue.* and net.* are",
                    err);
}

static bool equal_value(const struct setting *row, const char *text, const char *other)
{
    int64_t a, b;
    if (row->kind == SETTING_DURATION && duration_parse(text, &a) == 0 &&
        duration_parse(other, &b) == 0)
        return a == b;
    return strcmp(text, other) == 0;
}

static bool is_harmless(const struct setting *row, const char *text)
{
    int64_t nsec;
    if (row->kind == SETTING_DURATION && duration_parse(text, &nsec) == 0 && nsec == 0)
        return true; // Go's zero value: the kubelet's default
    if (!*text && row->kind != SETTING_INT && row->kind != SETTING_BOOL)
        return true;
    for (const char *p = row->harmless; p;) {
        size_t n = strcspn(p, "|");
        _cleanup_free_ char *one = xstrndup(p, n);
        if (equal_value(row, text, one))
            return true;
        p = p[n] ? p + n + 1 : NULL;
    }
    return false;
}

int setting_apply(const struct setting *row, const char *shown, const struct setting_value *value,
                  struct config *config, struct error *err)
{
    if (row->effect == SETTING_HONOURED) {
        int code = row->set(row, config, value, err);
        return code < 0 ? error_prefix(err, code, "%s", shown) : 0;
    }
    if (is_harmless(row, value->text))
        return 0;
    if (row->effect == SETTING_REFUSED)
        return error_set(err, EINVAL, "%s: is refused: %s", shown, row->why);
    string_list_add_owned(&config->notes, xasprintf("%s has no effect: %s", shown, row->why));
    return 0;
}
