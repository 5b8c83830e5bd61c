// See logs.h: which pod, which container, since when, and how lines get to stdout.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/time-format.h"
#include "cli/logs.h"

// ---- which pod ----

static const char *with_own_name(const struct string_list *names, const char *wanted)
{
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    _cleanup_free_ char *suffixed = xasprintf("%s-%s", wanted, host);
    LIST_EACH (name, names)
        if (strcmp(*name, wanted) == 0)
            return *name;
    LIST_EACH (name, names)
        if (strcasecmp(*name, suffixed) == 0)
            return *name;
    return NULL;
}

int logs_choose_pod(const struct string_list *names, const char *wanted, const char *where,
                    const char **ret, struct error *err)
{
    _cleanup_buffer_ struct buffer several = BUFFER_EMPTY;
    _cleanup_free_ char *beginning = xasprintf("%s-", wanted);
    const char *found = with_own_name(names, wanted);
    if (!found) {
        LIST_EACH (name, names) {
            if (!str_starts_with(*name, beginning) || str_equal(found, *name))
                continue;
            buffer_printf(&several, "%s%s", found ? ", " : "", *name);
            found = found ? found : *name;
        }
        if (several.len > (found ? strlen(found) : 0))
            return error_set(err, EINVAL, "%s %s may be %s: give the whole name", wanted, where,
                             buffer_str(&several));
    }
    if (!found)
        return error_set(err, ENOENT, "there is nothing of a pod %s %s", wanted, where);
    *ret = found;
    return 0;
}

// ---- which containers ----

int logs_choose_containers(const struct logs_options *options, const char *pod,
                           const struct string_list *names, struct string_list *ret,
                           struct error *err)
{
    _cleanup_buffer_ struct buffer known = BUFFER_EMPTY;
    if (names->n == 0)
        return error_set(err, ENOENT, "there is no log of pod %s%s%s", pod,
                         options->scope.namespace_ ? " in namespace " : "",
                         options->scope.namespace_ ? options->scope.namespace_ : "");
    if (options->all_containers) {
        string_list_copy(ret, names);
        return 0;
    }
    LIST_EACH (name, names)
        buffer_printf(&known, "%s%s", known.len > 0 ? " " : "", *name);
    const char *wanted = options->container;
    if (wanted && !string_list_contains(names, wanted))
        return error_set(err, ENOENT, "pod %s has no log of container \"%s\"; there are: %s", pod,
                         wanted, buffer_str(&known));
    string_list_add(ret, wanted ? wanted : names->items[0]);
    if (!wanted && names->n > 1)
        fprintf(stderr, "Defaulted container \"%s\" out of: %s\n", names->items[0],
                buffer_str(&known));
    return 0;
}

// ---- since when, and from where ----

walltime logs_since(const struct logs_options *options)
{
    walltime since = {0};
    if (options->since_time)
        (void)walltime_parse(options->since_time, &since); // it was looked at before
    else if (options->since_nsec > 0)
        since.nsec = walltime_now().nsec - options->since_nsec;
    return since;
}

void logs_say_place(const struct logs_whose *whose, const char *place)
{
    if (whose->note)
        fprintf(stderr, "mainstay: %s: these lines are from %s\n", whose->note, place);
}

// ---- to stdout ----

void logs_sink_init(struct logs_sink *sink, const struct logs_options *options, const char *pod,
                    const char *container, size_t n_containers)
{
    *sink = (struct logs_sink){
        .prefix = options->prefix ? xasprintf("[pod/%s/%s] ", pod, container) : xstrdup(""),
        .whole_lines = options->prefix || (options->follow && n_containers > 1),
    };
}

static int put(const char *text, size_t len)
{
    return fwrite(text, 1, len, stdout) < len ? -EIO : 0;
}

int logs_sink_write(struct logs_sink *sink, const char *text, size_t len)
{
    const char *newline;
    int r = sink->whole_lines ? 0 : put(text, len);
    if (!sink->whole_lines)
        return r;
    buffer_add(&sink->line, text, len);
    while (r == 0 && (newline = memchr(buffer_str(&sink->line), '\n', sink->line.len))) {
        size_t n = (size_t)(newline + 1 - sink->line.data);
        r = put(sink->prefix, strlen(sink->prefix));
        if (r == 0)
            r = put(sink->line.data, n);
        buffer_consume(&sink->line, n);
    }
    return r;
}

int logs_sink_end(struct logs_sink *sink)
{
    return sink->line.len > 0 ? logs_sink_write(sink, "\n", 1) : 0;
}

void logs_sink_free(struct logs_sink *sink)
{
    free(sink->prefix);
    buffer_free(&sink->line);
}
