// See scalar.h. Source of the rules: vendor/gopkg.in/yaml.v2/{resolve,decode}.go and, for how
// numbers leave it, Go's strconv and encoding/json.
#include "podspec/scalar.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"

#define TAG_PREFIX "tag:yaml.org,2002:"

static const struct {
    const char *text;
    struct scalar scalar;
} words[] = {
    {"", {SCALAR_NULL}},
    {"~", {SCALAR_NULL}},
    {"null", {SCALAR_NULL}},
    {"Null", {SCALAR_NULL}},
    {"NULL", {SCALAR_NULL}},
    {"y", {SCALAR_BOOL, .boolean = true}},
    {"Y", {SCALAR_BOOL, .boolean = true}},
    {"yes", {SCALAR_BOOL, .boolean = true}},
    {"Yes", {SCALAR_BOOL, .boolean = true}},
    {"YES", {SCALAR_BOOL, .boolean = true}},
    {"true", {SCALAR_BOOL, .boolean = true}},
    {"True", {SCALAR_BOOL, .boolean = true}},
    {"TRUE", {SCALAR_BOOL, .boolean = true}},
    {"on", {SCALAR_BOOL, .boolean = true}},
    {"On", {SCALAR_BOOL, .boolean = true}},
    {"ON", {SCALAR_BOOL, .boolean = true}},
    {"n", {SCALAR_BOOL, .boolean = false}},
    {"N", {SCALAR_BOOL, .boolean = false}},
    {"no", {SCALAR_BOOL, .boolean = false}},
    {"No", {SCALAR_BOOL, .boolean = false}},
    {"NO", {SCALAR_BOOL, .boolean = false}},
    {"false", {SCALAR_BOOL, .boolean = false}},
    {"False", {SCALAR_BOOL, .boolean = false}},
    {"FALSE", {SCALAR_BOOL, .boolean = false}},
    {"off", {SCALAR_BOOL, .boolean = false}},
    {"Off", {SCALAR_BOOL, .boolean = false}},
    {"OFF", {SCALAR_BOOL, .boolean = false}},
    {".nan", {SCALAR_FLOAT, .number = NAN}},
    {".NaN", {SCALAR_FLOAT, .number = NAN}},
    {".NAN", {SCALAR_FLOAT, .number = NAN}},
    {".inf", {SCALAR_FLOAT, .number = INFINITY}},
    {".Inf", {SCALAR_FLOAT, .number = INFINITY}},
    {".INF", {SCALAR_FLOAT, .number = INFINITY}},
    {"+.inf", {SCALAR_FLOAT, .number = INFINITY}},
    {"+.Inf", {SCALAR_FLOAT, .number = INFINITY}},
    {"+.INF", {SCALAR_FLOAT, .number = INFINITY}},
    {"-.inf", {SCALAR_FLOAT, .number = -INFINITY}},
    {"-.Inf", {SCALAR_FLOAT, .number = -INFINITY}},
    {"-.INF", {SCALAR_FLOAT, .number = -INFINITY}},
};
enum { WORD_LENGTH_MAX = 5 };

static bool resolve_word(const char *text, struct scalar *ret)
{
    if (strnlen(text, WORD_LENGTH_MAX + 1) > WORD_LENGTH_MAX)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcmp(text, words[i].text) != 0)
            continue;
        *ret = words[i].scalar;
        return true;
    }
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *s)
{
    while (is_digit(*s))
        s++;
    return s;
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
static bool looks_like_float(const char *s)
{
    if (*s == '-' || *s == '+')
        s++;
    const char *whole = s;
    s = skip_digits(s);
    bool has_whole = s > whole;
    if (*s == '.') {
        const char *fraction = ++s;
        s = skip_digits(s);
        if (!has_whole && s == fraction)
            return false;
    } else if (!has_whole) {
        return false;
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '-' || *s == '+')
            s++;
        const char *exponent = s;
        s = skip_digits(s);
        if (s == exponent)
            return false;
    }
    return *s == '\0';
}

static bool resolve_float(const char *text, struct scalar *ret)
{
    if (!looks_like_float(text))
        return false;
    double number = strtod(text, NULL);
    if (isinf(number)) // out of range: stays a string
        return false;
    *ret = (struct scalar){SCALAR_FLOAT, .number = number};
    return true;
}

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return INT32_MAX;
}

// What follows 0x, 0o, 0b, 0 or nothing; the prefix is skipped (strconv.ParseInt, base 0).
static unsigned number_base(const char **s)
{
    const char *p = *s;
    if (p[0] != '0' || p[1] == '\0')
        return 10;
    static const struct {
        char letter;
        unsigned base;
    } prefixes[] = {{'x', 16}, {'o', 8}, {'b', 2}};
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        if ((p[1] | 0x20) != prefixes[i].letter || p[2] == '\0')
            continue;
        *s += 2;
        return prefixes[i].base;
    }
    *s += 1;
    return 8;
}

static bool parse_natural(const char *s, uint64_t *ret)
{
    unsigned base = number_base(&s);
    if (*s == '\0')
        return false;
    uint64_t value = 0;
    for (; *s; s++) {
        unsigned digit = (unsigned)digit_value(*s);
        if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret = value;
    return true;
}

static bool resolve_integer(const char *text, struct scalar *ret)
{
    bool has_sign = *text == '-' || *text == '+';
    bool negative = *text == '-';
    uint64_t value = 0;
    if (!parse_natural(text + has_sign, &value))
        return false;
    if (value <= INT64_MAX) {
        *ret = (struct scalar){SCALAR_INT, .integer = negative ? -(int64_t)value : (int64_t)value};
        return true;
    }
    if (negative && value == (uint64_t)INT64_MAX + 1) {
        *ret = (struct scalar){SCALAR_INT, .integer = INT64_MIN};
        return true;
    }
    if (has_sign)
        return false;
    *ret = (struct scalar){SCALAR_UINT, .natural = value};
    return true;
}

// A scalar that starts with a digit or a sign: underscores are separators.
static bool resolve_number(const char *text, struct scalar *ret)
{
    _cleanup_free_ char *plain = xmalloc(strlen(text) + 1);
    char *end = plain;
    for (const char *p = text; *p; p++)
        if (*p != '_')
            *end++ = *p;
    *end = '\0';
    return resolve_integer(plain, ret) || resolve_float(plain, ret);
}

// strconv.ParseFloat takes underscores, but only between two digits.
static bool resolve_fraction(const char *text, struct scalar *ret)
{
    _cleanup_free_ char *plain = xmalloc(strlen(text) + 1);
    char *end = plain;
    for (const char *p = text; *p; p++) {
        if (*p != '_')
            *end++ = *p;
        else if (p == text || !is_digit(p[-1]) || !is_digit(p[1]))
            return false;
    }
    *end = '\0';
    return resolve_float(plain, ret);
}

static void resolve_plain(const char *text, struct scalar *ret)
{
    *ret = (struct scalar){SCALAR_STRING};
    if (resolve_word(text, ret))
        return;
    if (is_digit(*text) || *text == '-' || *text == '+')
        resolve_number(text, ret);
    else if (*text == '.')
        resolve_fraction(text, ret);
}

static double scalar_number(const struct scalar *scalar)
{
    return scalar->kind == SCALAR_INT    ? (double)scalar->integer
           : scalar->kind == SCALAR_UINT ? (double)scalar->natural
                                         : scalar->number;
}

// An explicit tag restricts what the text may be; only !!float changes it.
static int apply_tag(const char *tag, struct scalar *scalar)
{
    bool is_int = scalar->kind == SCALAR_INT || scalar->kind == SCALAR_UINT;
    if (str_equal(tag, "null"))
        return scalar->kind == SCALAR_NULL ? 0 : -EINVAL;
    if (str_equal(tag, "bool"))
        return scalar->kind == SCALAR_BOOL ? 0 : -EINVAL;
    if (str_equal(tag, "int"))
        return is_int ? 0 : -EINVAL;
    if (str_equal(tag,
                  "timestamp")) // any other string fails in the API, where it is a string again
        return scalar->kind == SCALAR_STRING ? 0 : -EINVAL;
    if (!is_int && scalar->kind != SCALAR_FLOAT)
        return -EINVAL;
    *scalar = (struct scalar){SCALAR_FLOAT, .number = scalar_number(scalar)};
    return 0;
}

int scalar_resolve(const char *text, enum scalar_style style, const char *tag, struct scalar *ret)
{
    static const char *const resolvable[] = {"bool", "int", "float", "null", "timestamp"};

    if (!tag) {
        *ret = (struct scalar){SCALAR_STRING};
        if (style == SCALAR_PLAIN)
            resolve_plain(text, ret);
        return 0;
    }
    const char *name = str_starts_with(tag, TAG_PREFIX) ? tag + strlen(TAG_PREFIX) : "";
    for (size_t i = 0; i < ARRAY_SIZE(resolvable); i++) {
        if (strcmp(name, resolvable[i]) != 0)
            continue;
        struct scalar scalar;
        resolve_plain(text, &scalar);
        int r = apply_tag(name, &scalar);
        if (r == 0)
            *ret = scalar;
        return r;
    }
    *ret = (struct scalar){SCALAR_STRING}; // !!str, !!binary, and every tag that is not known
    return 0;
}

bool scalar_tag_is_binary(const char *tag)
{
    return str_equal(tag, TAG_PREFIX "binary");
}

static size_t digits_at(const char *text)
{
    return strspn(text, "0123456789");
}

// "2021-01-13", with or without a time behind it: http://yaml.org/type/timestamp.html
static bool looks_like_a_date(const char *text)
{
    size_t year = digits_at(text), month, day;
    if (year != 4 || text[year] != '-')
        return false;
    text += year + 1;
    month = digits_at(text);
    if (month < 1 || month > 2 || text[month] != '-')
        return false;
    text += month + 1;
    day = digits_at(text);
    return day >= 1 && day <= 2 && (!text[day] || strchr("Tt \t", text[day]));
}

// "1:30" and "-1:30:59.5", which YAML 1.1 takes for numbers: http://yaml.org/type/float.html
static bool looks_like_base_60(const char *text)
{
    text += *text == '-' || *text == '+';
    size_t n = digits_at(text), parts = 0;
    if (n == 0)
        return false;
    text += n + strspn(text + n, "0123456789_");
    for (; *text == ':'; text += n, parts++) {
        n = digits_at(++text);
        if (n < 1 || n > 2 || (n == 2 && *text > '5'))
            return false;
    }
    return parts > 0 && (!*text || (*text == '.' && !text[1 + strspn(text + 1, "0123456789_")]));
}

// Also what only other readers of YAML take for something else, as kubectl does.
bool scalar_needs_quotes(const char *text)
{
    struct scalar scalar;
    resolve_plain(text, &scalar);
    return scalar.kind != SCALAR_STRING || looks_like_a_date(text) || looks_like_base_60(text);
}

// The fewest digits that read back as the same number: "d.ddde±xx".
static void shortest_digits(double number, char *text, size_t size)
{
    for (int precision = 0; precision < DBL_DECIMAL_DIG; precision++) {
        snprintf(text, size, "%.*e", precision, number);
        if (strtod(text, NULL) == number)
            return;
    }
}

// encoding/json: 'f' without a useless exponent, 'e' below 1e-6 and from 1e21.
static void float_to_json(double number, struct buffer *out)
{
    char text[64], digits[32];
    shortest_digits(number, text, sizeof(text));
    const char *p = text;
    if (*p == '-') {
        buffer_add_char(out, '-');
        p++;
    }
    size_t n = 0;
    for (; *p && *p != 'e'; p++)
        if (is_digit(*p))
            digits[n++] = *p;
    int exponent = *p ? (int)strtol(p + 1, NULL, 10) : 0;
    double magnitude = fabs(number);
    if (magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21)) {
        buffer_add(out, digits, 1);
        if (n > 1)
            buffer_printf(out, ".%.*s", (int)n - 1, digits + 1);
        buffer_printf(out, "e%s%d", exponent < 0 ? "" : "+", exponent);
        return;
    }
    if (exponent < 0) {
        buffer_add_str(out, "0.");
        for (int i = -1; i > exponent; i--)
            buffer_add_char(out, '0');
        buffer_add(out, digits, n);
        return;
    }
    for (int i = 0; i <= exponent; i++)
        buffer_add(out, (size_t)i < n ? &digits[i] : "0", 1);
    if (n > (size_t)exponent + 1)
        buffer_printf(out, ".%.*s", (int)n - exponent - 1, digits + exponent + 1);
}

void scalar_to_json(const struct scalar *scalar, struct buffer *out)
{
    switch (scalar->kind) {
    case SCALAR_NULL:
        buffer_add_str(out, "null");
        break;
    case SCALAR_BOOL:
        buffer_add_str(out, scalar->boolean ? "true" : "false");
        break;
    case SCALAR_INT:
        buffer_printf(out, "%lld", (long long)scalar->integer);
        break;
    case SCALAR_UINT:
        buffer_printf(out, "%llu", (unsigned long long)scalar->natural);
        break;
    case SCALAR_FLOAT:
        float_to_json(scalar->number, out);
        break;
    case SCALAR_STRING:
        break;
    }
}

bool scalar_to_int(const struct scalar *scalar, int64_t *ret)
{
    if (scalar->kind == SCALAR_INT) {
        *ret = scalar->integer;
        return true;
    }
    if (scalar->kind != SCALAR_FLOAT || !isfinite(scalar->number))
        return false;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    float_to_json(scalar->number, &text); // the kubelet reads the digits that are written here
    long long value = 0;
    if (str_to_int(buffer_str(&text), INT64_MIN, INT64_MAX, &value) < 0)
        return false;
    *ret = value;
    return true;
}

// strconv.FormatFloat(number, 'g', -1, 32): the fewest digits that are the same float.
static void float_to_key(float number, struct buffer *out)
{
    if (isnan(number) || isinf(number)) {
        buffer_add_str(out, isnan(number) ? ".nan" : number > 0 ? ".inf" : "-.inf");
        return;
    }
    char text[64];
    int precision = 0;
    for (; precision < FLT_DECIMAL_DIG; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, (double)number);
        if (strtof(text, NULL) == number)
            break;
    }
    int exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    if (exponent < -4 || exponent >= 6)
        buffer_add_str(out, text);
    else
        buffer_printf(out, "%.*f", MAX(precision - exponent, 0), (double)number);
}

bool scalar_to_key(const struct scalar *scalar, const char *text, struct buffer *out)
{
    switch (scalar->kind) {
    case SCALAR_NULL:
    case SCALAR_UINT:
        return false;
    case SCALAR_BOOL:
    case SCALAR_INT:
        scalar_to_json(scalar, out);
        return true;
    case SCALAR_FLOAT:
        float_to_key((float)scalar->number, out);
        return true;
    case SCALAR_STRING:
        buffer_add_str(out, text);
        return true;
    }
    return false;
}
