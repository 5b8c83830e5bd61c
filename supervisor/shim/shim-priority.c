// See shim-priority.h. Every line passes here, so each format is known by the line's first byte,
// and what is looked at is bounded.
#include "supervisor/shim/shim-priority.h"

#include <string.h>

#include "base/macro.h"

enum {
    LOOK_MAX = 1024, // bytes of a line
    WORD_MAX = 16,
    KEY_MAX = 32, // of a first key of logfmt, and of a date or time
    ALERT = 1,
    CRITICAL = 2,
    ERROR = 3,
    WARNING = 4,
    NOTICE = 5,
    INFO = 6,
    DEBUG = 7,
};

struct text { // what is left of a line
    const char *p, *end;
};

// ASCII only, and without libc's tables, which would be pages of the shim's memory.
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static size_t left(const struct text *t)
{
    return (size_t)(t->end - t->p);
}

static char at(const struct text *t, size_t i)
{
    if (i >= left(t))
        return '\0';
    return t->p[i];
}

static bool begins_with(const struct text *t, const char *literal)
{
    size_t n = strlen(literal);
    return left(t) >= n && memcmp(t->p, literal, n) == 0;
}

static size_t letters(const struct text *t)
{
    size_t n = 0;
    while (n < WORD_MAX && is_letter(at(t, n)))
        n++;
    return n;
}

static void skip_blanks(struct text *t)
{
    while (is_blank(at(t, 0)))
        t->p++;
}

// ---- words ----

struct word {
    const char *text;
    size_t len;
    int priority;
};
#define WORD(literal, priority)                                                                    \
    {                                                                                              \
        literal, sizeof(literal) - 1, priority                                                     \
    }

static bool same_letters(const char *a, const char *b, size_t len)
{
    size_t i = 0;
    while (i < len && (a[i] | 0x20) == (b[i] | 0x20))
        i++;
    return i == len;
}

static int find_word(const struct word *words, size_t n, const char *text, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (words[i].len == len && same_letters(words[i].text, text, len))
            return words[i].priority;
    return -1;
}

// An emergency is journald's own word for "onto every terminal": no container has that say.
static int level_of(const char *text, size_t len)
{
    static const struct word levels[] = {
        WORD("info", INFO),          WORD("error", ERROR),      WORD("warn", WARNING),
        WORD("warning", WARNING),    WORD("debug", DEBUG),      WORD("fatal", CRITICAL),
        WORD("notice", NOTICE),      WORD("trace", DEBUG),      WORD("err", ERROR),
        WORD("eror", ERROR),         WORD("crit", CRITICAL),    WORD("critical", CRITICAL),
        WORD("panic", CRITICAL),     WORD("dpanic", CRITICAL),  WORD("alert", ALERT),
        WORD("emerg", ALERT),        WORD("emergency", ALERT),  WORD("dbug", DEBUG),
        WORD("information", INFO),   WORD("verbose", DEBUG),    WORD("severe", ERROR),
        WORD("informational", INFO), WORD("diagnostic", DEBUG),
    };
    return len < 3 ? -1 : find_word(levels, ARRAY_SIZE(levels), text, len);
}

static int letter_level(char c)
{
    static const char known[] = "CFEWNIDT";
    static const int priorities[] = {CRITICAL, CRITICAL, ERROR, WARNING,
                                     NOTICE,   INFO,     DEBUG, DEBUG};
    const char *found = c ? strchr(known, c) : NULL;
    return found ? priorities[found - known] : -1;
}

// ---- the value of a key ----

enum key { KEY_NONE = -1, KEY_LEVEL, KEY_PRIORITY, KEY_KLOG_VERBOSITY, KEY_KLOG_ERROR };

static enum key key_of(const char *text, size_t len)
{
    static const struct word keys[] = {
        WORD("level", KEY_LEVEL),       WORD("lvl", KEY_LEVEL),
        WORD("severity", KEY_LEVEL),    WORD("loglevel", KEY_LEVEL),
        WORD("log_level", KEY_LEVEL),   WORD("log.level", KEY_LEVEL),
        WORD("levelname", KEY_LEVEL),   WORD("severityText", KEY_LEVEL),
        WORD("priority", KEY_PRIORITY), WORD("v", KEY_KLOG_VERBOSITY),
        WORD("err", KEY_KLOG_ERROR),
    };
    return (enum key)find_word(keys, ARRAY_SIZE(keys), text, len);
}

// Numbers are syslog's where the key says "priority"; as a "level", only those of bunyan and pino
// mean the same everywhere (30 is info, 60 fatal).
static int number_level(enum key key, const char *text, size_t len)
{
    static const int tens[] = {DEBUG, DEBUG, INFO, WARNING, ERROR, CRITICAL};
    if (key == KEY_PRIORITY && len == 1 && text[0] <= '7')
        return text[0] == '0' ? ALERT : text[0] - '0';
    if (key == KEY_LEVEL && len == 2 && text[0] >= '1' && text[0] <= '6' && text[1] == '0')
        return tens[text[0] - '1'];
    return -1;
}

static int value_level(enum key key, const char *text, size_t len)
{
    struct text t = {text, text + len};
    size_t n = letters(&t);
    if (n == 0)
        return len > 0 && is_digit(text[0]) ? number_level(key, text, len) : -1;
    if (len == 1)
        return letter_level((char)(text[0] & 0x5f));
    if (begins_with(&t, "Level(-")) // zap's, for what is finer than debug
        return DEBUG;
    // "ERROR+2" and "INFO-1" are Go's slog.
    return n == len || text[n] == '+' || text[n] == '-' ? level_of(text, n) : -1;
}

// ---- JSON ----

// At its opening quote. False where it does not end within what is looked at.
static bool json_string(struct text *t, const char **ret, size_t *ret_len)
{
    const char *start = ++t->p;
    while (t->p < t->end) {
        const char *quote = memchr(t->p, '"', left(t));
        if (!quote)
            return false;
        const char *escape = quote;
        while (escape > start && escape[-1] == '\\')
            escape--;
        t->p = quote + 1;
        if ((quote - escape) % 2 == 0) {
            *ret = start;
            *ret_len = (size_t)(quote - start);
            return true;
        }
    }
    return false;
}

// A number, a word, an array or an object, up to the comma behind it or the end of the object that
// it is in.
static bool json_other(struct text *t)
{
    const char *string;
    size_t len, depth = 0;
    while (t->p < t->end) {
        char c = *t->p;
        if (depth == 0 && (c == ',' || c == '}'))
            return true;
        if (c == '"') {
            if (!json_string(t, &string, &len))
                return false;
            continue;
        }
        depth += c == '{' || c == '[';
        depth -= depth > 0 && (c == '}' || c == ']');
        t->p++;
    }
    return false;
}

// The text of a value, a string's without its quotes.
static bool json_value(struct text *t, const char **ret, size_t *ret_len)
{
    skip_blanks(t);
    if (at(t, 0) == '"')
        return json_string(t, ret, ret_len);
    *ret = t->p;
    bool whole = json_other(t);
    *ret_len = (size_t)(t->p - *ret);
    return whole;
}

static bool json_key(struct text *t, enum key *ret)
{
    const char *name;
    size_t len;
    skip_blanks(t);
    if (at(t, 0) != '"' || !json_string(t, &name, &len))
        return false;
    skip_blanks(t);
    if (at(t, 0) != ':')
        return false;
    t->p++;
    *ret = key_of(name, len);
    return true;
}

// The first member of the object that is a level. Kubernetes' own JSON (component-base/logs/json)
// has a verbosity "v" in every line, and the error as "err" behind it.
static int json_level(struct text t)
{
    enum key key;
    const char *value;
    size_t len;
    int otherwise = -1;
    do {
        t.p++; // the brace or the comma
        if (!json_key(&t, &key) || !json_value(&t, &value, &len))
            break;
        if (key == KEY_KLOG_ERROR && otherwise >= 0)
            return ERROR;
        if (key == KEY_KLOG_VERBOSITY && len > 0 && is_digit(value[0]))
            otherwise = INFO;
        int level = key == KEY_LEVEL || key == KEY_PRIORITY ? value_level(key, value, len) : -1;
        if (level >= 0)
            return level;
        skip_blanks(&t);
    } while (at(&t, 0) == ',');
    return otherwise;
}

// ---- logfmt ----

static bool is_key_byte(char c)
{
    return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-';
}

static int logfmt_level(struct text t)
{
    for (;;) {
        const char *name = t.p, *value;
        size_t len;
        while (t.p < t.end && is_key_byte(*t.p))
            t.p++;
        if (t.p == name || at(&t, 0) != '=')
            return -1;
        enum key key = key_of(name, (size_t)(t.p - name));
        t.p++;
        if (at(&t, 0) != '"') {
            value = t.p;
            while (t.p < t.end && !is_blank(*t.p))
                t.p++;
            len = (size_t)(t.p - value);
        } else if (!json_string(&t, &value, &len)) {
            return -1;
        }
        int level = key == KEY_LEVEL || key == KEY_PRIORITY ? value_level(key, value, len) : -1;
        if (level >= 0 || !is_blank(at(&t, 0)))
            return level;
        skip_blanks(&t);
    }
}

// ---- other beginnings ----

// "E1121 07:00:00.…"
static int klog_level(const struct text *t)
{
    if (!is_upper(at(t, 0)))
        return -1;
    for (size_t i = 1; i < 8; i++)
        if (i == 5 ? at(t, i) != ' ' : !is_digit(at(t, i)))
            return -1;
    return letter_level(t->p[0]);
}

// "WARN[0012] …": logrus on a terminal, which cuts its levels to four letters.
static int logrus_level(const struct text *t)
{
    static const struct word levels[] = {
        WORD("INFO", INFO),     WORD("WARN", WARNING),  WORD("ERRO", ERROR), WORD("DEBU", DEBUG),
        WORD("FATA", CRITICAL), WORD("PANI", CRITICAL), WORD("TRAC", DEBUG),
    };
    bool fits = is_upper(at(t, 0)) && is_upper(at(t, 3)) && is_digit(at(t, 5));
    return fits ? find_word(levels, ARRAY_SIZE(levels), t->p, 4) : -1;
}

// "ERROR: …", "level=info …", and so on
static int word_level(struct text t)
{
    size_t n = letters(&t);
    switch (at(&t, n)) {
    case ':':
        return level_of(t.p, n);
    case '[':
        return n == 4 ? logrus_level(&t) : -1;
    case ' ':
        if (begins_with(&t, "fatal error: ")) // Go's run time
            return CRITICAL;
        // pflag's, on the standard error of every Kubernetes component
        return begins_with(&t, "Flag --") ? WARNING : -1;
    default:
        return memchr(t.p, '=', MIN(left(&t), (size_t)KEY_MAX)) ? logfmt_level(t) : -1;
    }
}

// "[WARNING] …", "[error]", "[ALERT]    (1) : …"
static int bracket_level(struct text t)
{
    t.p++;
    size_t n = letters(&t);
    return at(&t, n) == ']' ? level_of(t.p, n) : -1;
}

// "<3>…", a facility with it or not
static int sd_daemon_level(const struct text *t)
{
    int number = 0;
    size_t i = 1;
    for (; i < 4 && is_digit(at(t, i)); i++)
        number = number * 10 + (t->p[i] - '0');
    if (i == 1 || at(t, i) != '>' || number > 191)
        return -1;
    return MAX(number % 8, (int)ALERT);
}

static size_t moment_length(const struct text *t)
{
    size_t n = 0;
    while (n < KEY_MAX && at(t, n) && (is_digit(at(t, n)) || strchr("-/:.,+TZ", at(t, n))))
        n++;
    return n;
}

// "2020-01-01 00:00:00.0 W | …", "2020/01/01 00:00:00 [error] …", "2020-01-01T00:00:00Z\tWARN\t…",
// "2020/01/01 00:00:00 INFO: …"
static int dated_level(struct text t)
{
    for (size_t i = 0; i < 4; i++)
        if (!is_digit(at(&t, i)))
            return -1;
    if (at(&t, 4) != '-' && at(&t, 4) != '/')
        return -1;
    t.p += moment_length(&t);
    if (at(&t, 0) == ' ' && is_digit(at(&t, 1))) { // the time, behind the date
        t.p++;
        t.p += moment_length(&t);
    }
    if (!is_blank(at(&t, 0)))
        return -1;
    skip_blanks(&t);
    if (at(&t, 0) == '[')
        return bracket_level(t);
    size_t n = letters(&t);
    if (n == 1 && begins_with(&(struct text){t.p + 1, t.end}, " | "))
        return letter_level(t.p[0]);
    for (size_t i = 0; i < n; i++)
        if (!is_upper(t.p[i]))
            return -1;
    return level_of(t.p, n);
}

int shim_priority_told(const char *line, size_t len)
{
    size_t look = MIN(len, (size_t)LOOK_MAX);
    struct text t = {line, line + look};
    char first = at(&t, 0);
    if (is_letter(first)) {
        int level = klog_level(&t);
        if (level >= 0)
            return level;
        // etcd's raft puts its name right before the date.
        bool is_raft = begins_with(&t, "raft") && is_digit(at(&t, 4));
        return is_raft ? dated_level((struct text){t.p + 4, t.end}) : word_level(t);
    }
    if (is_digit(first))
        return dated_level(t);
    switch (first) {
    case '{':
        return json_level(t);
    case '[':
        return bracket_level(t);
    case '<':
        return sd_daemon_level(&t);
    default:
        return -1;
    }
}

// ---- lines that belong to the one before ----

// Go's stack traces: what begins one, and what goes on with it at the beginning of a line.
static bool begins_trace(const struct text *t)
{
    return begins_with(t, "panic: ") || begins_with(t, "fatal error: ") ||
           begins_with(t, "goroutine ");
}

// Programs that log by klog write little else, and the further lines of its messages may begin with
// anything: "Trace[42]: …", "goroutine 1 [running]:".
static bool goes_on(const struct shim_priority *stream, const struct text *t)
{
    if (stream->in_klog || left(t) == 0 || is_blank(t->p[0]))
        return true;
    return stream->in_trace &&
           (t->end[-1] == ')' || begins_with(t, "goroutine ") || begins_with(t, "created by ") ||
            begins_with(t, "[signal ") || begins_with(t, "exit status "));
}

int shim_priority_next(struct shim_priority *stream, const char *line, size_t len, bool is_stderr,
                       bool partial)
{
    struct text t = {line, line + len};
    bool rest = stream->mid_line;
    stream->mid_line = partial;
    if (rest)
        return stream->last;
    int told = shim_priority_told(line, len);
    bool known = stream->known;
    stream->known = true;
    if (told < 0 && known && (goes_on(stream, &t) || begins_with(&t, "goroutine "))) {
        stream->in_trace |= begins_with(&t, "goroutine ");
        return stream->last;
    }
    stream->in_klog = klog_level(&t) >= 0;
    stream->in_trace = begins_trace(&t);
    stream->last = told >= 0 ? told : is_stderr ? ERROR : INFO;
    return stream->last;
}
