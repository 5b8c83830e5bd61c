// See api-metrics.h.
#include "supervisor/api-metrics.h"

#include <inttypes.h>
#include <stdarg.h>

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

void metric_begin(struct buffer *out, const char *name, ...)
{
    const char *label, *separator = "{";
    va_list args;
    va_start(args, name);
    buffer_add_str(out, name);
    while ((label = va_arg(args, const char *))) {
        const char *value = va_arg(args, const char *);
        buffer_printf(out, "%s%s=\"", separator, label);
        add_escaped(out, value ? value : "", true);
        buffer_add_char(out, '"');
        separator = ",";
    }
    va_end(args);
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
