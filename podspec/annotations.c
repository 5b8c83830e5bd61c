// See annotations.h. One row an annotation.
#include "podspec/annotations.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/time-format.h"
#include "podspec/checks.h"

static const char prefix[] = "mainstay.dev/";

enum {
    LIST_MAX = 256,
    CONFIRM_SECONDS_MIN = 1,
    CONFIRM_SECONDS_MAX = 24 * 3600,
    BACKOFF_MILLISECONDS_MIN = 100,
    BACKOFF_SECONDS_MAX = 3600,
};

struct row {
    const char *name; // behind the prefix
    int (*parse)(const struct pod *pod, const char *value, struct pod_annotations *ret,
                 struct error *err);
};

// ---- lists of names ----

static char *trimmed(const char *start, size_t length)
{
    while (length > 0 && (start[length - 1] == ' ' || start[length - 1] == '\t'))
        length--;
    while (length > 0 && (*start == ' ' || *start == '\t')) {
        start++;
        length--;
    }
    return xstrndup(start, length);
}

// "a, b": each once. A name that is missing between two commas is an error.
static int parse_names(const char *value, struct string_list *ret, struct error *err)
{
    for (;;) {
        size_t length = strcspn(value, ",");
        _cleanup_free_ char *name = trimmed(value, length);
        if (!*name)
            return error_set(err, EINVAL, "must be names, separated by commas");
        if (ret->n >= LIST_MAX)
            return error_set(err, EINVAL, "must not have more than %d names", LIST_MAX);
        if (!string_list_contains(ret, name))
            string_list_add(ret, name);
        value += length;
        if (!*value)
            return 0;
        value++;
    }
}

static int check_pod_name(const char *name, struct error *err)
{
    const char *slash = strchr(name, '/');
    _cleanup_free_ char *namespace_ = slash ? xstrndup(name, (size_t)(slash - name)) : NULL;
    const char *wrong = namespace_ ? check_dns_label(namespace_) : NULL;
    if (!wrong)
        wrong = check_dns_subdomain(slash ? slash + 1 : name);
    return wrong ? error_set(err, EINVAL, "%s: %s", name, wrong) : 0;
}

static int parse_depends_on(const struct pod *pod, const char *value, struct pod_annotations *ret,
                            struct error *err)
{
    int code = parse_names(value, &ret->depends_on, err);
    for (size_t i = 0; code == 0 && i < ret->depends_on.n; i++)
        code = check_pod_name(ret->depends_on.items[i], err);
    return code;
}

static int check_volume(const struct pod *pod, const char *name, struct error *err)
{
    LIST_EACH (volume, &pod->spec.volumes) {
        if (!str_equal(volume->name, name))
            continue;
        return volume->hostPath ? 0
                                : error_set(err, EINVAL, "volume %s is no hostPath volume", name);
    }
    return error_set(err, EINVAL, "there is no volume %s", name);
}

static int parse_restart_on_change(const struct pod *pod, const char *value,
                                   struct pod_annotations *ret, struct error *err)
{
    int code = parse_names(value, &ret->restart_on_change, err);
    for (size_t i = 0; code == 0 && i < ret->restart_on_change.n; i++)
        code = check_volume(pod, ret->restart_on_change.items[i], err);
    return code;
}

// ---- single values ----

static int parse_reload_signal(const struct pod *pod, const char *value,
                               struct pod_annotations *ret, struct error *err)
{
    ret->reload_signal = signal_from_name(value);
    return ret->reload_signal > 0
               ? 0
               : error_set(err, EINVAL, "must be the name of a signal (\"HUP\", \"SIGUSR1\")");
}

static int parse_confirm(const struct pod *pod, const char *value, struct pod_annotations *ret,
                         struct error *err)
{
    int64_t nsec = 0;
    if (duration_parse(value, &nsec) < 0 || nsec < CONFIRM_SECONDS_MIN * NSEC_PER_SEC ||
        nsec > CONFIRM_SECONDS_MAX * NSEC_PER_SEC)
        return error_set(err, EINVAL, "must be a duration from 1s to 24h, such as 60s");
    ret->confirm_usec = nsec / NSEC_PER_USEC;
    return 0;
}

static int parse_backoff(const struct pod *pod, const char *value, struct pod_annotations *ret,
                         struct error *err)
{
    const char *dots = strstr(value, "..");
    _cleanup_free_ char *first = dots ? trimmed(value, (size_t)(dots - value)) : NULL;
    _cleanup_free_ char *last = dots ? trimmed(dots + 2, strlen(dots + 2)) : NULL;
    int64_t initial = 0, most = 0;
    if (!dots || duration_parse(first, &initial) < 0 || duration_parse(last, &most) < 0 ||
        initial < BACKOFF_MILLISECONDS_MIN * (NSEC_PER_SEC / 1000) || most < initial ||
        most > BACKOFF_SECONDS_MAX * NSEC_PER_SEC)
        return error_set(err, EINVAL,
                         "must be two durations such as 1s..60s: the first wait (100ms or more) "
                         "and the longest one (1h or less)");
    ret->backoff_initial_usec = initial / NSEC_PER_USEC;
    ret->backoff_max_usec = most / NSEC_PER_USEC;
    return 0;
}

static int parse_fence(const struct pod *pod, const char *value, struct pod_annotations *ret,
                       struct error *err)
{
    return path_is_clean_absolute(value) ? 0 : error_set(err, EINVAL, "must be an absolute path");
}

static int parse_quorum_guard(const struct pod *pod, const char *value, struct pod_annotations *ret,
                              struct error *err)
{
    bool known = str_equal(value, "true") || str_equal(value, "false");
    return known ? 0 : error_set(err, EINVAL, "must be \"true\" or \"false\"");
}

static const struct row rows[] = {
    {"backoff", parse_backoff},
    {"confirm", parse_confirm},
    {"depends-on", parse_depends_on},
    {"fence", parse_fence},
    {"quorum-guard", parse_quorum_guard},
    {"reload-signal", parse_reload_signal},
    {"restart-on-change", parse_restart_on_change},
};

static int refuse_unknown(const char *name, struct error *err)
{
    const char *names[ARRAY_SIZE(rows)];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        names[i] = rows[i].name;
    const char *nearest = str_nearest(name, names, ARRAY_SIZE(names));
    if (!nearest)
        return error_set(err, ESRCH, "this program knows no such annotation");
    return error_set(err, ESRCH, "this program knows no such annotation; did you mean \"%s%s\"?",
                     prefix, nearest);
}

static int parse_one(const struct pod *pod, const char *key, const char *value,
                     struct pod_annotations *ret, struct error *err)
{
    if (!str_starts_with(key, prefix))
        return -ENOENT;
    const char *name = key + strlen(prefix);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (str_equal(name, rows[i].name))
            return rows[i].parse(pod, value, ret, err);
    return refuse_unknown(name, err);
}

int pod_annotations_parse(const struct pod *pod, struct pod_annotations *ret, struct error *err)
{
    *ret = (struct pod_annotations){0};
    LIST_EACH (annotation, &pod->metadata.annotations) {
        int code = parse_one(pod, annotation->key, annotation->value, ret, err);
        if (code == -EINVAL)
            return error_prefix(err, code, "metadata.annotations[%s]", annotation->key);
    }
    error_clear(err);
    return 0;
}

void pod_annotations_free(struct pod_annotations *annotations)
{
    if (!annotations)
        return;
    string_list_free(&annotations->depends_on);
    string_list_free(&annotations->restart_on_change);
}

int pod_annotation_check(const struct pod *pod, const char *key, const char *value,
                         struct error *err)
{
    _cleanup_pod_annotations_ struct pod_annotations found = {0};
    return parse_one(pod, key, value, &found, err);
}
