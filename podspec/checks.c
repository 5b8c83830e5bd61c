// Syntax checks of single values: names, keys, paths, addresses.
#include "podspec/checks.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/alloc.h"
#include "base/macro.h"
#include "base/string-list.h"

enum {
    DNS_LABEL_MAX = 63,
    DNS_SUBDOMAIN_MAX = 253,
    QUALIFIED_NAME_MAX = 63,
    PORT_NAME_MAX = 15,
    UID_MAX = 128,
};

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool is_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

static bool has_only(const char *s, size_t n, const char *set)
{
    return strspn(s, set) >= n;
}

// n characters that start and end with one of `edge` and hold only `edge` and `inner`.
static bool is_word(const char *s, size_t n, const char *edge, const char *all)
{
    return n && is_one_of(s[0], edge) && is_one_of(s[n - 1], edge) && has_only(s, n, all);
}

static bool is_dns_label(const char *s, size_t n)
{
    return is_word(s, n, LOWER DIGITS, LOWER DIGITS "-");
}

static bool is_dns_subdomain(const char *s, size_t n)
{
    for (;;) {
        size_t label = 0;
        while (label < n && s[label] != '.')
            label++;
        if (!is_dns_label(s, label))
            return false;
        if (label == n)
            return true;
        s += label + 1;
        n -= label + 1;
    }
}

const char *check_dns_label(const char *s)
{
    if (strlen(s) > DNS_LABEL_MAX)
        return "must have at most 63 characters";
    return is_dns_label(s, strlen(s))
               ? NULL
               : "must consist of lower-case letters, digits and '-', and start and end with a "
                 "letter or digit (\"etcd-0\")";
}

const char *check_dns_1035_label(const char *s)
{
    if (is_one_of(s[0], DIGITS))
        return "must start with a lower-case letter";
    return check_dns_label(s);
}

const char *check_dns_subdomain(const char *s)
{
    if (strlen(s) > DNS_SUBDOMAIN_MAX)
        return "must have at most 253 characters";
    return is_dns_subdomain(s, strlen(s))
               ? NULL
               : "must consist of lower-case letters, digits, '-' and '.', and start and end with "
                 "a letter or digit (\"node-1.example.com\")";
}

const char *check_name_prefix(const char *s)
{
    _cleanup_free_ char *name = xstrdup(s);
    size_t n = strlen(name);

    if (n > 1 && name[n - 1] == '-')
        name[n - 1] = 'a'; // whatever is put behind the prefix starts with a letter or digit
    return check_dns_subdomain(name);
}

const char *check_dns_search(const char *s)
{
    size_t n = strlen(s);

    if (n && s[n - 1] == '.')
        n--;
    if (n > DNS_SUBDOMAIN_MAX)
        return "must have at most 253 characters";
    return is_dns_subdomain(s, n) ? NULL : "must be a domain name (\"svc.cluster.local\")";
}

// The part of a qualified name behind the slash.
static const char *check_name_part(const char *s)
{
    size_t n = strlen(s);

    if (!n)
        return "must have a name (behind the '/', where there is one)";
    if (n > QUALIFIED_NAME_MAX)
        return "its name part must have at most 63 characters";
    if (!is_word(s, n, LOWER UPPER DIGITS, LOWER UPPER DIGITS "-_."))
        return "its name part must consist of letters, digits, '-', '_' and '.', and start and end "
               "with a letter or digit";
    return NULL;
}

static const char *check_prefix_part(const char *s, size_t n)
{
    if (n > DNS_SUBDOMAIN_MAX)
        return "its prefix must have at most 253 characters";
    return is_dns_subdomain(s, n)
               ? NULL
               : "its prefix (before the '/') must be a lower-case DNS name (\"example.com/name\")";
}

const char *check_qualified_name(const char *s)
{
    const char *slash = strchr(s, '/');

    if (!slash)
        return check_name_part(s);
    if (strchr(slash + 1, '/'))
        return "must have at most one '/' (\"example.com/name\")";
    const char *wrong = check_prefix_part(s, (size_t)(slash - s));
    return wrong ? wrong : check_name_part(slash + 1);
}

const char *check_annotation_key(const char *s)
{
    _cleanup_free_ char *lower = xstrdup(s);

    for (char *c = lower; *c; c++)
        if (is_one_of(*c, UPPER))
            *c = (char)(*c - 'A' + 'a');
    return check_qualified_name(lower);
}

const char *check_label_value(const char *s)
{
    size_t n = strlen(s);

    if (n > QUALIFIED_NAME_MAX)
        return "must have at most 63 characters";
    return !n || is_word(s, n, LOWER UPPER DIGITS, LOWER UPPER DIGITS "-_.")
               ? NULL
               : "must be empty, or consist of letters, digits, '-', '_' and '.', and start and "
                 "end with a letter or digit";
}

const char *check_finalizer(const char *s)
{
    if (!strchr(s, '/') && !str_equal(s, "kubernetes") && !str_equal(s, "orphan") &&
        !str_equal(s, "foregroundDeletion"))
        return "must be a name with a domain before it (\"example.com/name\")";
    return check_qualified_name(s);
}

const char *check_env_name(const char *s)
{
    if (str_equal(s, ".") || str_starts_with(s, ".."))
        return "must not be \".\" and not start with \"..\"";
    if (!*s || is_one_of(*s, DIGITS) || !has_only(s, strlen(s), LOWER UPPER DIGITS "-._"))
        return "must consist of letters, digits, '_', '-' and '.', and not start with a digit";
    return NULL;
}

const char *check_port_name(const char *s)
{
    size_t n = strlen(s);

    if (n > PORT_NAME_MAX)
        return "must have at most 15 characters";
    if (!n || !has_only(s, n, LOWER DIGITS "-") || !strpbrk(s, LOWER))
        return "must consist of lower-case letters, digits and '-', with at least one letter";
    if (s[0] == '-' || s[n - 1] == '-' || strstr(s, "--"))
        return "must not start or end with '-', nor have two of them in a row";
    return NULL;
}

const char *check_http_header_name(const char *s)
{
    return *s && has_only(s, strlen(s), LOWER UPPER DIGITS "-")
               ? NULL
               : "must be a header name of letters, digits and '-' (\"X-Header\")";
}

const char *check_config_key(const char *s)
{
    if (strlen(s) > DNS_SUBDOMAIN_MAX)
        return "must have at most 253 characters";
    if (str_equal(s, ".") || str_starts_with(s, ".."))
        return "must not be \".\" and not start with \"..\"";
    return *s && has_only(s, strlen(s), LOWER UPPER DIGITS "-_.")
               ? NULL
               : "must consist of letters, digits, '-', '_' and '.'";
}

const char *check_sysctl_name(const char *s)
{
    if (strlen(s) > DNS_SUBDOMAIN_MAX)
        return "must have at most 253 characters";
    for (;;) {
        size_t n = strcspn(s, ".");
        if (!is_word(s, n, LOWER DIGITS, LOWER DIGITS "-_"))
            return "must be segments of lower-case letters, digits, '-' and '_', joined by dots "
                   "(\"net.core.somaxconn\")";
        if (!s[n])
            return NULL;
        s += n + 1;
    }
}

const char *check_ip(const char *s)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, s, address) == 1 || inet_pton(AF_INET6, s, address) == 1
               ? NULL
               : "must be an IP address (\"10.9.8.7\", \"2001:db8::1\")";
}

const char *check_uid(const char *s)
{
    size_t n = strlen(s);

    return n <= UID_MAX && is_word(s, n, LOWER UPPER DIGITS, LOWER UPPER DIGITS "-_.")
               ? NULL
               : "must be letters, digits, '-', '_' and '.' (at most 128): it becomes part of file "
                 "names; leave it out to have one made";
}

const char *check_api_version(const char *s)
{
    const char *slash = strchr(s, '/');
    const char *version = slash ? slash + 1 : s;

    return *version && !strchr(version, '/') ? NULL
                                             : "must be VERSION or GROUP/VERSION (\"apps/v1\")";
}

static bool matches_pattern(const char *s, const char *pattern)
{
    for (; *pattern; s++, pattern++)
        if (*pattern == '0' ? !is_one_of(*s, DIGITS) : *s != *pattern)
            return false;
    return true;
}

const char *check_timestamp(const char *s)
{
    static const char wrong[] = "must be a time as RFC 3339 has it (\"2021-01-13T13:08:40Z\")";

    if (!matches_pattern(s, "0000-00-00T00:00:00"))
        return wrong;
    s += strlen("0000-00-00T00:00:00");
    if (*s == '.') {
        size_t digits = strspn(s + 1, DIGITS);
        if (!digits)
            return wrong;
        s += 1 + digits;
    }
    if (str_equal(s, "Z"))
        return NULL;
    bool offset = (*s == '+' || *s == '-') && matches_pattern(s + 1, "00:00") && !s[6];
    return offset ? NULL : wrong;
}

const char *check_image(const char *s)
{
    // What Unicode calls white space, as strings.TrimSpace() takes it off.
    static const char *const blanks[] = {
        " ",
        "\t",
        "\n",
        "\v",
        "\f",
        "\r",
        "\xc2\x85",
        "\xc2\xa0",
        "\xe1\x9a\x80",
        "\xe2\x80\x80",
        "\xe2\x80\x81",
        "\xe2\x80\x82",
        "\xe2\x80\x83",
        "\xe2\x80\x84",
        "\xe2\x80\x85",
        "\xe2\x80\x86",
        "\xe2\x80\x87",
        "\xe2\x80\x88",
        "\xe2\x80\x89",
        "\xe2\x80\x8a",
        "\xe2\x80\xa8",
        "\xe2\x80\xa9",
        "\xe2\x80\xaf",
        "\xe2\x81\x9f",
        "\xe3\x80\x80",
    };

    for (size_t i = 0; i < ARRAY_SIZE(blanks); i++)
        if (str_starts_with(s, blanks[i]) || str_ends_with(s, blanks[i]))
            return "must not have blanks before or behind it";
    return NULL;
}

const char *check_absolute_path(const char *s)
{
    return s[0] == '/' ? NULL : "must be an absolute path (start with '/')";
}

static bool has_backstep(const char *s)
{
    while (*s) {
        size_t n = strcspn(s, "/");
        if (n == 2 && !strncmp(s, "..", 2))
            return true;
        s += n + (s[n] == '/');
    }
    return false;
}

const char *check_host_path(const char *s)
{
    if (has_backstep(s))
        return "must not contain '..'";
    return check_absolute_path(s);
}

const char *check_relative_path(const char *s)
{
    if (s[0] == '/')
        return "must be a relative path (not start with '/')";
    return has_backstep(s) ? "must not contain '..'" : NULL;
}

const char *check_projected_path(const char *s)
{
    const char *wrong = check_relative_path(s);

    if (wrong)
        return wrong;
    return str_starts_with(s, "..") ? "must not start with '..'" : NULL;
}
