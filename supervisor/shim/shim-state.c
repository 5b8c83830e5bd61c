// The text form of struct shim_state (shim-proto.h): lines of "key=value" from one table, in which
// strings have backslash and newline escaped.
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "supervisor/shim/shim-proto.h"

enum state_kind { STATE_INT, STATE_UINT64, STATE_TIME, STATE_BOOL, STATE_STRING, STATE_PHASE };

static const struct {
    const char *key;
    enum state_kind kind;
    size_t offset;
} state_fields[] = {
    {"phase", STATE_PHASE, offsetof(struct shim_state, phase)},
    {"shim_pid", STATE_INT, offsetof(struct shim_state, shim_pid)},
    {"pid", STATE_INT, offsetof(struct shim_state, pid)},
    {"shim_start_ticks", STATE_UINT64, offsetof(struct shim_state, shim_start_ticks)},
    {"start_ticks", STATE_UINT64, offsetof(struct shim_state, start_ticks)},
    {"started_at", STATE_TIME, offsetof(struct shim_state, started_at)},
    {"finished_at", STATE_TIME, offsetof(struct shim_state, finished_at)},
    {"signaled", STATE_BOOL, offsetof(struct shim_state, signaled)},
    {"exit_code", STATE_INT, offsetof(struct shim_state, exit_code)},
    {"oom_killed", STATE_BOOL, offsetof(struct shim_state, oom_killed)},
    {"error_code", STATE_INT, offsetof(struct shim_state, error_code)},
    {"error_reason", STATE_STRING, offsetof(struct shim_state, error_reason)},
    {"message", STATE_STRING, offsetof(struct shim_state, message)},
    {"command", STATE_STRING, offsetof(struct shim_state, command)},
    {"log_lines", STATE_UINT64, offsetof(struct shim_state, log_lines)},
    {"log_bytes", STATE_UINT64, offsetof(struct shim_state, log_bytes)},
    {"journal_dropped", STATE_UINT64, offsetof(struct shim_state, journal_dropped)},
    {"termination", STATE_STRING, offsetof(struct shim_state, termination)},
};

static const char *const phase_names[] = {
    [SHIM_PHASE_STARTING] = "starting",
    [SHIM_PHASE_RUNNING] = "running",
    [SHIM_PHASE_EXITED] = "exited",
    [SHIM_PHASE_FAILED] = "failed",
};

void shim_state_clear(struct shim_state *state)
{
    free(state->error_reason);
    free(state->message);
    free(state->command);
    free(state->termination);
    *state = (struct shim_state){0};
}

static void add_escaped(struct buffer *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '\\')
            buffer_add_str(out, "\\\\");
        else if (*s == '\n')
            buffer_add_str(out, "\\n");
        else
            buffer_add_char(out, *s);
    }
}

static void format_value(enum state_kind kind, const void *p, struct buffer *out)
{
    switch (kind) {
    case STATE_INT:
        buffer_printf(out, "%d", *(const int *)p);
        break;
    case STATE_UINT64:
        buffer_printf(out, "%" PRIu64, *(const uint64_t *)p);
        break;
    case STATE_TIME:
        buffer_printf(out, "%" PRId64, ((const walltime *)p)->nsec);
        break;
    case STATE_BOOL:
        buffer_add_char(out, *(const bool *)p ? '1' : '0');
        break;
    case STATE_STRING:
        add_escaped(out, *(char *const *)p);
        break;
    case STATE_PHASE:
        buffer_add_str(out, phase_names[*(const enum shim_phase *)p]);
        break;
    }
}

void shim_state_format(const struct shim_state *state, struct buffer *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(state_fields); i++) {
        const void *p = (const char *)state + state_fields[i].offset;
        if (state_fields[i].kind == STATE_STRING && !*(char *const *)p)
            continue;
        buffer_add_str(out, state_fields[i].key);
        buffer_add_char(out, '=');
        format_value(state_fields[i].kind, p, out);
        buffer_add_char(out, '\n');
    }
}

static char *unescape(const char *s)
{
    char *copy = xmalloc(strlen(s) + 1), *to = copy;
    for (; *s; s++) {
        bool escaped = *s == '\\' && s[1];
        s += escaped;
        if (escaped && *s == 'n')
            *to++ = '\n';
        else
            *to++ = *s;
    }
    *to = '\0';
    return copy;
}

static int parse_phase(const char *value, enum shim_phase *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(phase_names); i++)
        if (strcmp(value, phase_names[i]) == 0) {
            *ret = (enum shim_phase)i;
            return 0;
        }
    return -EINVAL;
}

static int parse_value(enum state_kind kind, const char *value, void *p)
{
    long long number;
    int code = 0;
    switch (kind) {
    case STATE_INT:
        code = str_to_int(value, INT32_MIN, INT32_MAX, &number);
        if (code == 0)
            *(int *)p = (int)number;
        return code;
    case STATE_UINT64:
        code = str_to_int(value, 0, INT64_MAX, &number);
        if (code == 0)
            *(uint64_t *)p = (uint64_t)number;
        return code;
    case STATE_TIME:
        code = str_to_int(value, INT64_MIN, INT64_MAX, &number);
        if (code == 0)
            ((walltime *)p)->nsec = number;
        return code;
    case STATE_BOOL:
        code = str_to_int(value, 0, 1, &number);
        if (code == 0)
            *(bool *)p = number != 0;
        return code;
    case STATE_STRING:
        free(*(char **)p);
        *(char **)p = unescape(value);
        return 0;
    case STATE_PHASE:
        return parse_phase(value, p);
    }
    return 0;
}

static int parse_line(char *line, struct shim_state *state, struct error *err)
{
    char *value = strchr(line, '=');
    if (!value)
        return error_set(err, EBADMSG, "a line of the shim's state has no '=': %.40s", line);
    *value++ = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(state_fields); i++) {
        if (strcmp(line, state_fields[i].key) != 0)
            continue;
        if (parse_value(state_fields[i].kind, value, (char *)state + state_fields[i].offset) < 0)
            return error_set(err, EBADMSG, "the shim's state has a bad %s: %.40s", line, value);
        return 0;
    }
    return 0;
}

int shim_state_parse(const char *text, struct shim_state *ret, struct error *err)
{
    struct shim_state state = {0};
    if (strlen(text) > SHIM_MESSAGE_MAX)
        return error_set(err, EFBIG, "the shim's state is too long");
    _cleanup_free_ char *copy = xstrdup(text);
    char *rest = copy, *line;
    while ((line = strsep(&rest, "\n"))) {
        int code = *line ? parse_line(line, &state, err) : 0;
        if (code < 0) {
            shim_state_clear(&state);
            return code;
        }
    }
    *ret = state;
    return 0;
}
