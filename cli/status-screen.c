// See status-screen.h.
#include "cli/status-screen.h"

#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/columns.h"
#include "cli/duration.h"
#include "cli/field.h"
#include "cli/pod-view.h"
#include "cli/table.h"

enum { LABEL_WIDTH = 12, EVENTS_SHOWN = 8 };

struct screen {
    const struct status_view *view;
    walltime now;
    bool color;
    int columns;
    struct buffer *out;
};

static void styled(const struct screen *s, enum term_style style, const char *text)
{
    buffer_printf(s->out, "%s%s%s", term_begin(style, s->color), text, term_end(style, s->color));
}

static void label(const struct screen *s, const char *text)
{
    styled(s, TERM_DIM, text);
    buffer_printf(s->out, "%*s", (int)MAX(LABEL_WIDTH - (int)strlen(text), 1), "");
}

static void heading(const struct screen *s, const char *text)
{
    buffer_add_char(s->out, '\n');
    styled(s, TERM_BOLD, text);
    buffer_add_char(s->out, '\n');
}

void status_wrap(const char *text, const char *indent, int columns, struct buffer *out)
{
    _cleanup_free_ char *copy = xstrdup(text);
    char *save = NULL;
    size_t room = columns > 0 ? (size_t)columns : SIZE_MAX, width = 0;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        bool breaks = width > 0 && width + 1 + term_width(word) > room;
        if (width == 0 || breaks) {
            buffer_printf(out, "%s%s%s", breaks ? "\n" : "", indent, word);
            width = term_width(indent) + term_width(word);
        } else {
            buffer_printf(out, " %s", word);
            width += 1 + term_width(word);
        }
    }
    buffer_add_char(out, '\n');
}

static void sentence(const struct screen *s, const char *text)
{
    _cleanup_free_ char *safe = term_safe(text);
    status_wrap(safe, "  ", s->columns, s->out);
}

// A line for each part that is in trouble: red where a restart of the agent may cure it.
static void render_troubles(const struct screen *s, const json_t *health)
{
    for (size_t i = 0; i < json_array_size(health); i++) {
        const json_t *part = json_array_get(health, i);
        bool live = field_true(part, "ok");
        if (live && !field_true(part, "degraded"))
            continue;
        _cleanup_free_ char *text = xasprintf("%s: %s", field_text_or_empty(part, "name"),
                                              field_text_or_empty(part, "message"));
        buffer_add_str(s->out, term_begin(live ? TERM_YELLOW : TERM_RED, s->color));
        sentence(s, text);
        buffer_add_str(s->out, term_end(live ? TERM_YELLOW : TERM_RED, s->color));
    }
}

static void render_agent(const struct screen *s)
{
    const json_t *status = s->view->status;
    const char *unhealthy = field_text(status, "unhealthy");
    const char *ip = field_text(status, "nodeIP");
    char age[DURATION_SIZE];
    styled(s, TERM_BOLD, "mainstayd");
    buffer_printf(s->out, " %s on node ", field_text_or_empty(status, "version"));
    styled(s, TERM_BOLD, field_text_or_empty(status, "node"));
    buffer_printf(s->out, "%s%s%s, pid %lld, up %s: ", ip ? " (" : "", ip ? ip : "", ip ? ")" : "",
                  field_int(status, "pid"),
                  age_of_text(field_text(status, "startedAt"), s->now, age));
    if (!field_true(status, "live"))
        styled(s, TERM_RED, "not well");
    else if (field_true(status, "ready"))
        styled(s, TERM_GREEN, "ready");
    else
        styled(s, TERM_YELLOW, unhealthy ? "degraded" : "starting");
    if (unhealthy)
        buffer_printf(s->out, " (%s)", unhealthy);
    buffer_add_char(s->out, '\n');
    render_troubles(s, field_at(status, "health"));
}

static void render_watchers(const struct screen *s)
{
    const json_t *watchers = field_at(s->view->status, "watchers");
    bool watched = status_is_watched(s->view->status, "restarts");
    label(s, "Watched by");
    if (!watched)
        styled(s, TERM_YELLOW, "nobody");
    for (size_t i = 0; i < json_array_size(watchers); i++) {
        const json_t *watcher = json_array_get(watchers, i);
        const char *detail = field_text_or_empty(watcher, "detail");
        _cleanup_free_ char *safe = term_safe(detail); // it may hold what a client calls itself
        buffer_printf(s->out, "%s%s%s%s%s", i > 0 || !watched ? ", " : "",
                      field_text_or_empty(watcher, "name"), *detail ? " (" : "", safe,
                      *detail ? ")" : "");
    }
    buffer_add_char(s->out, '\n');
}

static void render_directories(const struct screen *s)
{
    const json_t *status = s->view->status;
    const char *healthz = field_text(status, "healthz");
    label(s, "Manifests");
    buffer_printf(s->out, "%s (%lld accepted", field_text_or_empty(status, "directories.manifests"),
                  field_int(status, "counts.accepted"));
    if (field_int(status, "counts.refused") > 0)
        buffer_printf(s->out, ", %lld refused", field_int(status, "counts.refused"));
    if (field_int(status, "counts.conflict") > 0)
        buffer_printf(s->out, ", %lld in conflict", field_int(status, "counts.conflict"));
    buffer_add_str(s->out, ")\n");
    label(s, "State");
    buffer_printf(s->out, "%s, %s, logs in %s\n", field_text_or_empty(status, "directories.root"),
                  field_text_or_empty(status, "directories.run"),
                  field_text_or_empty(status, "directories.podLogs"));
    label(s, "API");
    buffer_printf(s->out, "%s%s%s%s\n", field_text_or_empty(status, "socket"),
                  healthz ? ", http://" : "", healthz ? healthz : "", healthz ? "/healthz" : "");
    if (field_text(status, "cgroups")) {
        label(s, "Cgroups");
        buffer_printf(s->out, "%s\n", field_text(status, "cgroups"));
    }
}

static void render_pods(const struct screen *s)
{
    struct columns columns = {0};
    const struct resource *pods = resource_find("pods");
    _cleanup_table_ struct table *table = pods->table(columns);
    buffer_add_char(s->out, '\n');
    for (size_t i = 0; i < json_array_size(s->view->pods); i++)
        pods->row(table, columns, json_array_get(s->view->pods, i), s->now);
    if (table_rows(table) == 0) {
        buffer_add_str(s->out, "No pods.\n");
        return;
    }
    table_sort(table, 1);
    table_render(table, true, s->color, s->out);
}

static void render_refused(const struct screen *s)
{
    bool any = false;
    for (size_t i = 0; i < json_array_size(s->view->manifests); i++) {
        const json_t *manifest = json_array_get(s->view->manifests, i);
        const json_t *findings = field_at(manifest, "findings");
        if (str_equal(field_text(manifest, "state"), "Accepted"))
            continue;
        if (!any)
            heading(s, "Refused manifests");
        any = true;
        if (json_array_size(findings) == 0)
            sentence(s, field_text_or_empty(manifest, "file"));
        for (size_t j = 0; j < json_array_size(findings); j++)
            sentence(s, field_text_or_empty(json_array_get(findings, j), "text"));
    }
}

static void render_limitations(const struct screen *s)
{
    const json_t *limitations = field_at(s->view->status, "limitations");
    if (json_array_size(limitations) == 0)
        return;
    heading(s, "Limitations of this host");
    for (size_t i = 0; i < json_array_size(limitations); i++)
        sentence(s, json_string_value(json_array_get(limitations, i)));
}

static void render_advice(const struct screen *s)
{
    _cleanup_buffer_ struct buffer advice = BUFFER_EMPTY;
    char *save = NULL;
    status_advise(s->view, &advice);
    if (advice.len == 0)
        return;
    heading(s, "Advice");
    for (char *line = strtok_r(advice.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        sentence(s, line);
}

static void render_events(const struct screen *s)
{
    static const char *const headings[] = {"", "", "", "", NULL};
    const json_t *events = s->view->events;
    size_t n = json_array_size(events);
    if (n == 0)
        return;
    _cleanup_table_ struct table *table = table_new(headings);
    for (size_t i = n > EVENTS_SHOWN ? n - EVENTS_SHOWN : 0; i < n; i++) {
        const json_t *event = json_array_get(events, i);
        bool warning = str_equal(field_text(event, "type"), "Warning");
        char text[DURATION_SIZE];
        const char *last = field_text(event, "lastTimestamp");
        table_row(table);
        table_cell(table, age_of_text(last, s->now, text));
        table_cell_styled(table, field_text(event, "reason"), warning ? TERM_YELLOW : TERM_PLAIN);
        table_cell(table, field_text(event, "involvedObject.name"));
        table_cell(table, field_text(event, "message"));
    }
    heading(s, "Events");
    table_render(table, false, s->color, s->out);
}

void status_render(const struct status_view *view, walltime now, bool color, int columns,
                   struct buffer *out)
{
    const struct screen s = {view, now, color, columns, out};
    render_agent(&s);
    render_watchers(&s);
    render_directories(&s);
    render_pods(&s);
    render_refused(&s);
    render_limitations(&s);
    render_advice(&s);
    render_events(&s);
}

// The length of the escape sequence at `at`, 0 where there is none.
static size_t escape_length(const char *at)
{
    if (at[0] != '\033' || at[1] != '[')
        return 0;
    size_t n = 2 + strspn(at + 2, "0123456789;");
    return at[n] ? n + 1 : n;
}

// Copies one line, at most `columns` wide, and returns where it ended in the text.
static const char *fit_line(const char *at, int columns, struct buffer *out)
{
    int width = 0;
    while (*at && *at != '\n') {
        size_t escape = escape_length(at);
        if (escape > 0) {
            buffer_add(out, at, escape);
            at += escape;
            continue;
        }
        bool begins_character = ((unsigned char)*at & 0xc0) != 0x80;
        width += begins_character;
        if (width <= columns)
            buffer_add_char(out, *at);
        at++;
    }
    return at;
}

void status_fit(const char *text, int rows, int columns, struct buffer *out)
{
    for (int row = 0; *text && row < rows; row++) {
        if (row > 0)
            buffer_add_str(out, "\r\n");
        text = fit_line(text, columns, out);
        buffer_add_str(out, "\033[K");
        text += *text == '\n';
    }
}
