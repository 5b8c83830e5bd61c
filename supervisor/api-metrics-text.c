// See api-metrics.h.
#include "supervisor/api-metrics.h"

#include <inttypes.h>

static void add_escaped(struct buffer *out, const char *s, bool quotes)
{
    for (; *s; s++) {
        if (*s == '\\')
            buffer_add_str(out, "\\\\");
        else if (*s == '\n')
            buffer_add_str(out, "\\n");
        else if (*s == '"' && quotes)
            buffer_add_str(out, "\\\"");
        else
            buffer_add_char(out, *s);
    }
}

void metric_heading(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s ", name);
    add_escaped(out, help, false);
    buffer_printf(out, "\n# TYPE %s %s\n", name, type);
}

void metric_begin_with(struct buffer *out, const char *name, const char *const *labels)
{
    const char *separator = "{";
    buffer_add_str(out, name);
    for (; *labels; labels += 2) {
        buffer_printf(out, "%s%s=\"", separator, labels[0]);
        add_escaped(out, labels[1] ? labels[1] : "", true);
        buffer_add_char(out, '"');
        separator = ",";
    }
    buffer_add_str(out, *separator == ',' ? "} " : " ");
}

void metric_number(struct buffer *out, int64_t n)
{
    buffer_printf(out, "%" PRId64 "\n", n);
}

void metric_seconds(struct buffer *out, int64_t usec)
{
    buffer_printf(out, "%" PRId64 ".%06" PRId64 "\n", usec / USEC_PER_SEC, usec % USEC_PER_SEC);
}

void metric_single(struct buffer *out, const char *name, const char *type, const char *help,
                   int64_t n)
{
    if (n < 0)
        return;
    metric_heading(out, name, type, help);
    metric_begin(out, name, NULL);
    metric_number(out, n);
}
