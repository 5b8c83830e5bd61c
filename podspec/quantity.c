// Resource quantities: a decimal number and a suffix, kept as whole nanos and printed the way
// Kubernetes prints them.
#include "podspec/quantity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/string-list.h"

#define NANOS       ((__int128)1000000000)
#define MILLI_NANOS ((__int128)1000000)

enum {
    NANO_DIGITS = 9,
    INT128_DIGITS = 39,       // a number of more digits does not fit __int128
    BINARY_FRACTION_MAX = 24, // digits behind the point with a binary suffix, see fraction_nanos()
    EXPONENT_MAX = 1000000,
    LARGEST_DECIMAL_SUFFIX = 18,
    LARGEST_BINARY_SUFFIX = 6,
};

enum format {
    FORMAT_DECIMAL,  // 5M
    FORMAT_BINARY,   // 5Mi
    FORMAT_EXPONENT, // 5e6
};

struct suffix {
    enum format format;
    int exponent; // of 10, or of 2 under FORMAT_BINARY
};

// The parts of the text, none of which is copied.
struct number {
    bool negative;
    const char *whole, *fraction;
    size_t n_whole, n_fraction; // without leading zeros before, trailing zeros behind the point
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t count_digits(const char *s, const char *end)
{
    size_t n = 0;

    while (s + n < end && is_digit(s[n]))
        n++;
    return n;
}

// Fills *ret from the start of the text and returns where the suffix starts, or NULL.
static const char *split_number(const char *s, const char *end, struct number *ret)
{
    *ret = (struct number){.negative = s < end && *s == '-'};
    if (s < end && (*s == '-' || *s == '+'))
        s++;
    ret->whole = s;
    ret->n_whole = count_digits(s, end);
    s += ret->n_whole;
    if (s < end && *s == '.') {
        ret->fraction = s + 1;
        ret->n_fraction = count_digits(s + 1, end);
        s += 1 + ret->n_fraction;
    }
    if (!ret->n_whole && !ret->n_fraction)
        return NULL;
    while (ret->n_whole && *ret->whole == '0') {
        ret->whole++;
        ret->n_whole--;
    }
    while (ret->n_fraction && ret->fraction[ret->n_fraction - 1] == '0')
        ret->n_fraction--;
    return s;
}

static int parse_exponent(const char *text, size_t n, struct suffix *ret)
{
    _cleanup_free_ char *digits = xstrndup(text, n);
    bool has_sign = n && (*digits == '+' || *digits == '-');
    long long exponent;

    if (!is_digit(digits[has_sign]))
        return -EINVAL;
    int r = str_to_int(digits + (*digits == '+'), -EXPONENT_MAX, EXPONENT_MAX, &exponent);
    if (r < 0)
        return r;
    *ret = (struct suffix){FORMAT_EXPONENT, (int)exponent};
    return 0;
}

static int parse_suffix(const char *text, size_t n, struct suffix *ret)
{
    static const struct {
        const char *text;
        struct suffix suffix;
    } known[] = {
        {"", {FORMAT_DECIMAL, 0}},   {"n", {FORMAT_DECIMAL, -9}}, {"u", {FORMAT_DECIMAL, -6}},
        {"m", {FORMAT_DECIMAL, -3}}, {"k", {FORMAT_DECIMAL, 3}},  {"M", {FORMAT_DECIMAL, 6}},
        {"G", {FORMAT_DECIMAL, 9}},  {"T", {FORMAT_DECIMAL, 12}}, {"P", {FORMAT_DECIMAL, 15}},
        {"E", {FORMAT_DECIMAL, 18}}, {"Ki", {FORMAT_BINARY, 10}}, {"Mi", {FORMAT_BINARY, 20}},
        {"Gi", {FORMAT_BINARY, 30}}, {"Ti", {FORMAT_BINARY, 40}}, {"Pi", {FORMAT_BINARY, 50}},
        {"Ei", {FORMAT_BINARY, 60}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strlen(known[i].text) == n && strncmp(known[i].text, text, n) == 0) {
            *ret = known[i].suffix;
            return 0;
        }
    if (*text != 'e' && *text != 'E')
        return -EINVAL;
    return parse_exponent(text + 1, n - 1, ret);
}

// value·10^exponent in place, or false where it does not fit.
static bool scale_up(__int128 *value, long exponent)
{
    for (; exponent > 0 && *value; exponent--)
        if (__builtin_mul_overflow(*value, 10, value))
            return false;
    return true;
}

// A digit of the number, the point left out.
static int digit_at(const struct number *number, size_t i)
{
    const char *digit =
        i < number->n_whole ? number->whole + i : number->fraction + (i - number->n_whole);

    return *digit - '0';
}

// The first n digits of the number, the point left out, as one integer.
static bool join_digits(const struct number *number, size_t n, __int128 *ret)
{
    *ret = 0;
    for (size_t i = 0; i < n; i++) {
        if (__builtin_mul_overflow(*ret, 10, ret) ||
            __builtin_add_overflow(*ret, digit_at(number, i), ret))
            return false;
    }
    return true;
}

// number·10^exponent in nanos, rounded up.
static int decimal_nanos(const struct number *number, int exponent, __int128 *ret)
{
    size_t digits = number->n_whole + number->n_fraction;
    // Where the digits end, relative to the nanos: positive leaves room, negative must be cut.
    long shift = (long)exponent + NANO_DIGITS - (long)number->n_fraction;
    long kept = (long)digits + (shift < 0 ? shift : 0);

    *ret = 0;
    if (digits == 0)
        return 0;
    if (!join_digits(number, kept > 0 ? (size_t)kept : 0, ret) || !scale_up(ret, shift))
        return -ERANGE;
    // What is cut off may be zeros of a whole number only ("1000e-12").
    for (size_t i = (size_t)MAX(kept, 0); i < digits; i++)
        if (digit_at(number, i))
            return __builtin_add_overflow(*ret, 1, ret) ? -ERANGE : 0;
    return 0;
}

// 0.fraction·2^exponent in nanos, rounded up: F·2^e·10^9/10^d with the powers of two and five taken
// apart, so that no step needs more than 127 bits for up to BINARY_FRACTION_MAX digits.
static int fraction_nanos(const struct number *number, int exponent, __int128 *ret)
{
    struct number fraction = {.fraction = number->fraction, .n_fraction = number->n_fraction};
    __int128 divisor = 1;

    if (number->n_fraction > BINARY_FRACTION_MAX)
        return -ERANGE;
    int digits = (int)number->n_fraction;
    if (!join_digits(&fraction, number->n_fraction, ret))
        return -ERANGE;
    for (int i = digits; i < NANO_DIGITS; i++)
        *ret *= 5;
    for (int i = NANO_DIGITS; i < digits; i++)
        divisor *= 5;
    int twos = exponent + NANO_DIGITS - digits;
    if (twos >= 0)
        *ret <<= twos;
    else
        divisor <<= -twos;
    *ret = *ret / divisor + (*ret % divisor != 0);
    return 0;
}

// number·2^exponent in nanos, rounded up and capped at 2^63-1.
static int binary_nanos(const struct number *number, int exponent, __int128 *ret)
{
    __int128 most = INT64_MAX, whole, fraction;

    if (fraction_nanos(number, exponent, &fraction) < 0)
        return -ERANGE;
    if (!join_digits(number, number->n_whole, &whole) || whole > most >> exponent)
        whole = most;
    else
        whole <<= exponent;
    *ret = MIN(whole * NANOS + fraction, most * NANOS);
    return 0;
}

static void print_integer(__int128 value, struct buffer *out)
{
    char digits[INT128_DIGITS + 1];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value);
    buffer_add(out, digits + at, sizeof(digits) - at);
}

static void print_binary(__int128 whole, struct buffer *out)
{
    static const char *const suffixes[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    int suffix = 0;

    while (whole % 1024 == 0 && suffix < LARGEST_BINARY_SUFFIX) {
        whole /= 1024;
        suffix++;
    }
    print_integer(whole, out);
    buffer_add_str(out, suffixes[suffix]);
}

// The exponent becomes a multiple of three, as large as it can be without a fraction.
static void print_decimal(__int128 nanos, bool with_exponent, struct buffer *out)
{
    static const char *const suffixes[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
    int exponent = -NANO_DIGITS;

    while (nanos % 1000 == 0 && (with_exponent || exponent < LARGEST_DECIMAL_SUFFIX)) {
        nanos /= 1000;
        exponent += 3;
    }
    print_integer(nanos, out);
    if (!with_exponent)
        buffer_add_str(out, suffixes[(exponent + NANO_DIGITS) / 3]);
    else if (exponent)
        buffer_printf(out, "e%d", exponent);
}

static char *print_quantity(__int128 nanos, enum format format)
{
    struct buffer out = BUFFER_EMPTY;
    __int128 size = nanos < 0 ? -nanos : nanos;

    if (nanos < 0)
        buffer_add_char(&out, '-');
    if (size == 0)
        buffer_add_char(&out, '0');
    else if (format == FORMAT_BINARY && size >= 1024 * NANOS && size % NANOS == 0)
        print_binary(size / NANOS, &out);
    else
        print_decimal(size, format == FORMAT_EXPONENT, &out);
    return buffer_take(&out);
}

static int parse_parts(const char *text, struct suffix *ret_suffix, __int128 *ret_nanos)
{
    // Blanks around a quantity are accepted (Quantity.UnmarshalJSON).
    const char *start = text + strspn(text, " "), *end = start + strlen(start);
    struct number number;

    while (end > start && end[-1] == ' ')
        end--;
    const char *suffix = split_number(start, end, &number);
    if (!suffix)
        return -EINVAL;
    int r = parse_suffix(suffix, (size_t)(end - suffix), ret_suffix);
    if (r < 0)
        return r;
    r = ret_suffix->format == FORMAT_BINARY
            ? binary_nanos(&number, ret_suffix->exponent, ret_nanos)
            : decimal_nanos(&number, ret_suffix->exponent, ret_nanos);
    if (r >= 0 && number.negative)
        *ret_nanos = -*ret_nanos;
    return r;
}

int quantity_parse(const char *text, struct quantity *ret)
{
    struct suffix suffix;
    __int128 nanos;
    int r = parse_parts(text, &suffix, &nanos);

    if (r < 0)
        return r;
    *ret = (struct quantity){.text = print_quantity(nanos, suffix.format), .nanos = nanos};
    return 0;
}

void quantity_clear(struct quantity *q)
{
    if (!q)
        return;
    free(q->text);
    *q = (struct quantity){0};
}

static __int128 divide_away_from_zero(__int128 value, __int128 divisor)
{
    __int128 rest = value % divisor;

    return value / divisor + (rest > 0) - (rest < 0);
}

// The canonical text tells the format, but for numbers that all formats print alike.
static enum format format_of(const char *text)
{
    if (str_ends_with(text, "i"))
        return FORMAT_BINARY;
    return strchr(text, 'e') ? FORMAT_EXPONENT : FORMAT_DECIMAL;
}

void quantity_round_to_milli(struct quantity *q)
{
    if (q->nanos % MILLI_NANOS == 0)
        return;
    q->nanos = divide_away_from_zero(q->nanos, MILLI_NANOS) * MILLI_NANOS;
    char *text = print_quantity(q->nanos, format_of(q->text));
    free(q->text);
    q->text = text;
}

static int64_t saturate(__int128 value)
{
    if (value > INT64_MAX)
        return INT64_MAX;
    return value < INT64_MIN ? INT64_MIN : (int64_t)value;
}

int64_t quantity_value(const struct quantity *q)
{
    return saturate(divide_away_from_zero(q->nanos, NANOS));
}

int64_t quantity_milli_value(const struct quantity *q)
{
    return saturate(divide_away_from_zero(q->nanos, MILLI_NANOS));
}

int quantity_compare(const struct quantity *a, const struct quantity *b)
{
    return a->nanos < b->nanos ? -1 : a->nanos > b->nanos;
}
