// See preflight-facts.h.
#include "cli/preflight-facts.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/monotime.h"
#include "base/string-list.h"

enum { PORT_MAX = 65535, TCP_LISTEN = 10 };

// An address of /proc/net/tcp or tcp6: words of 32 bits in this machine's order, in hexadecimal.
// Its bytes into `ret`; how many there are, or 0.
static size_t read_address(const char *hex, size_t len, unsigned char *ret)
{
    if (len != 8 && len != 32)
        return 0;
    for (size_t i = 0; i < len / 8; i++) {
        char word[9] = "";
        memcpy(word, hex + i * 8, 8);
        uint32_t value = (uint32_t)strtoul(word, NULL, 16);
        memcpy(ret + i * 4, &value, 4);
    }
    return len / 2;
}

static bool is_all(const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static bool is_in_the_way(const unsigned char *theirs, size_t their_len, const char *host)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    unsigned char ours[16];
    size_t our_len = inet_pton(AF_INET, host, ours) == 1    ? 4
                     : inet_pton(AF_INET6, host, ours) == 1 ? 16
                                                            : 0;
    if (their_len == 0 || our_len == 0 || is_all(theirs, their_len) || is_all(ours, our_len))
        return true;
    if (their_len == 16 && our_len == 4 && memcmp(theirs, mapped, sizeof(mapped)) == 0)
        return memcmp(theirs + sizeof(mapped), ours, 4) == 0;
    return their_len == our_len && memcmp(theirs, ours, our_len) == 0;
}

// "  0: 0100007F:0CEA 00000000:0000 0A … … … uid timeout inode …" (proc(5), net/tcp)
static void read_socket(const char *line, const char *host, int port, struct listeners *ret)
{
    unsigned local = 0, state = 0;
    uint64_t inode = 0;
    char address[33] = "";
    unsigned char bytes[16] = {0};
    int n = sscanf(line,
                   " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u "
                   "%" SCNu64,
                   address, &local, &state, &inode);
    if (n == 4 && state == TCP_LISTEN && local == (unsigned)port &&
        is_in_the_way(bytes, read_address(address, strlen(address), bytes), host))
        LIST_APPEND(&ret->list)->inode = inode;
}

void facts_listeners(const char *text, const char *host, int port, struct listeners *ret)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        _cleanup_free_ char *line = xstrndup(text, len);
        read_socket(line, host, port, ret);
        text += len + (text[len] == '\n');
    }
}

void listeners_free(struct listeners *listeners)
{
    free(listeners->list.items);
    *listeners = (struct listeners){0};
}

uint64_t facts_swap(const char *text)
{
    uint64_t sum = 0, kib = 0;
    for (const char *line = strchr(text, '\n'); line && line[1]; line = strchr(line + 1, '\n'))
        if (sscanf(line + 1, "%*s %*s %" SCNu64, &kib) == 1)
            sum += kib * 1024;
    return sum;
}

uint64_t facts_meminfo(const char *text, const char *field)
{
    size_t len = strlen(field);
    uint64_t kib = 0;
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, field, len) == 0 && line[len] == ':' &&
            sscanf(line + len + 1, " %" SCNu64, &kib) == 1)
            return kib * 1024;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int64_t facts_percentile(int64_t *values, size_t n, unsigned percent)
{
    qsort(values, n, sizeof(*values), compare);
    size_t rank = (n * percent + 99) / 100;
    return values[rank > 0 ? rank - 1 : 0];
}

bool facts_version(const char *text, struct facts_version *ret)
{
    for (const char *p = text; *p; p++) {
        struct facts_version v;
        bool begins = isdigit((unsigned char)*p) &&
                      (p == text || !(isalnum((unsigned char)p[-1]) || p[-1] == '.') ||
                       (p[-1] == 'v' && (p == text + 1 || !isalnum((unsigned char)p[-2]))));
        if (begins && sscanf(p, "%9lld.%9lld.%9lld", &v.major, &v.minor, &v.patch) == 3) {
            *ret = v;
            return true;
        }
    }
    return false;
}

int64_t facts_skew(int64_t date_sec, int64_t asked_usec, int64_t answered_usec, int64_t *ret_doubt)
{
    // The date was taken at some time between, and has lost up to a second.
    int64_t theirs = date_sec * USEC_PER_SEC + USEC_PER_SEC / 2;
    int64_t ours = asked_usec + (answered_usec - asked_usec) / 2;
    *ret_doubt = USEC_PER_SEC / 2 + (answered_usec - asked_usec) / 2;
    return ours - theirs;
}

bool facts_url(const char *url, char **ret_host, int *ret_port)
{
    const char *host = strstr(url, "://");
    long long port = 0;
    if (!host)
        return false;
    host += strlen("://");
    bool brackets = *host == '[';
    host += brackets;
    size_t len = strcspn(host, brackets ? "]" : ":/");
    const char *rest = host + len + (brackets && host[len] == ']');
    if (len == 0 || *rest != ':')
        return false;
    _cleanup_free_ char *digits = xstrndup(rest + 1, strcspn(rest + 1, "/"));
    if (str_to_int(digits, 1, PORT_MAX, &port) < 0)
        return false;
    *ret_host = xstrndup(host, len);
    *ret_port = (int)port;
    return true;
}

bool facts_is_named(const char *names, const char *finding)
{
    size_t base = strcspn(finding, "-"), whole = strlen(finding);
    for (const char *p = names; *p; p += *p == ',') {
        size_t len = strcspn(p, ",");
        if ((len == whole && strncasecmp(p, finding, len) == 0) ||
            (len == base && strncasecmp(p, finding, len) == 0) ||
            (len == strlen("all") && strncasecmp(p, "all", len) == 0))
            return true;
        p += len;
    }
    return false;
}
