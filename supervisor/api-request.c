// A request's path and query, decoded strictly, and the table of routes. What is not understood is
// refused by name: an operator's typing error must not look like an answer.
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "base/work.h"
#include "supervisor/api-internal.h"

// ---- the URI ----

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Decodes len bytes; NULL where a % sequence is broken or a byte is zero.
static char *decode(const char *s, size_t len, bool plus_is_space)
{
    _cleanup_free_ char *out = xmalloc(len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (c == '+' && plus_is_space)
            c = ' ';
        if (c == '%') {
            int high = i + 2 < len ? hex_digit(s[i + 1]) : -1;
            int low = i + 2 < len ? hex_digit(s[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return NULL;
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return str_is_utf8(out, n, NULL) ? TAKE_PTR(out) : NULL;
}

static const char *parse_path(struct request *r, const char *s, size_t len)
{
    const char *end = s + len;
    while (s < end) {
        s++; // the slash
        size_t part = strcspn(s, "/?");
        if (s == end)
            break; // a slash at the end means nothing
        if (r->n_segments == API_SEGMENTS_MOST)
            return "the path has too many parts";
        r->segments[r->n_segments] = decode(s, part, false);
        if (!r->segments[r->n_segments++])
            return "the path is not properly %-encoded UTF-8";
        s += part;
    }
    return NULL;
}

static const char *parse_parameter(struct request *r, const char *s, size_t len)
{
    const char *equals = memchr(s, '=', len);
    size_t key_len = equals ? (size_t)(equals - s) : len;
    struct parameter *p = &r->parameters[r->n_parameters];
    if (r->n_parameters == API_PARAMETERS_MOST)
        return "there are too many query parameters";
    r->n_parameters++;
    p->key = decode(s, key_len, true);
    p->value = equals ? decode(equals + 1, len - key_len - 1, true) : xstrdup("");
    return p->key && p->value ? NULL : "the query is not properly %-encoded UTF-8";
}

static const char *parse_query(struct request *r, const char *s)
{
    while (*s) {
        size_t len = strcspn(s, "&");
        const char *wrong = len > 0 ? parse_parameter(r, s, len) : NULL;
        if (wrong)
            return wrong;
        s += len + (s[len] == '&');
    }
    return NULL;
}

void *api_request_new(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct request *r = xcalloc(1, sizeof(*r));
    size_t path = strcspn(uri, "?");
    const char *wrong = NULL;
    r->connection = connection;
    if (strlen(uri) > API_URI_MAX)
        wrong = "the address is too long";
    else if (uri[0] != '/')
        wrong = "the address does not begin with a slash";
    else
        wrong = parse_path(r, uri, path);
    if (!wrong && uri[path] == '?')
        wrong = parse_query(r, uri + path + 1);
    r->refusal = xstrdup_or_null(wrong);
    return r;
}

void api_request_done(void *cls, struct MHD_Connection *connection, void **con_cls,
                      enum MHD_RequestTerminationCode why)
{
    struct request *r = TAKE_PTR(*con_cls);
    if (!r)
        return;
    for (size_t i = 0; i < r->n_segments; i++)
        free(r->segments[i]);
    for (size_t i = 0; i < r->n_parameters; i++) {
        free(r->parameters[i].key);
        free(r->parameters[i].value);
    }
    free(r->refusal);
    free(r);
}

// ---- parameters ----

const char *request_parameter(const struct request *r, const char *key)
{
    for (size_t i = 0; i < r->n_parameters; i++)
        if (strcmp(r->parameters[i].key, key) == 0)
            return r->parameters[i].value;
    return NULL;
}

bool request_flag(struct request *r, const char *key, bool *ret, api_result *ret_result)
{
    const char *value = request_parameter(r, key);
    if (!value)
        return true;
    if (value[0] == '\0' || strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0) {
        *ret = true;
        return true;
    }
    if (strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0) {
        *ret = false;
        return true;
    }
    *ret_result = reply_status(r, MHD_HTTP_BAD_REQUEST, "%s=%s: must be true or false", key, value);
    return false;
}

bool request_number(struct request *r, const char *key, int64_t *ret, api_result *ret_result)
{
    const char *value = request_parameter(r, key);
    long long number;
    if (!value)
        return true;
    if (str_to_int(value, 0, INT64_MAX, &number) == 0) {
        *ret = number;
        return true;
    }
    *ret_result = reply_status(r, MHD_HTTP_BAD_REQUEST,
                               "%s=%s: must be a whole number that is not negative", key, value);
    return false;
}

// ---- routes ----

struct route {
    const char *method; // GET (and HEAD) or POST
    const char *path;   // "*" stands for one part
    const char *parameters;
    bool health; // also on the healthz port
    api_result (*handle)(struct api *api, struct request *r);
};

#define OWN "/mainstay/v1"

// clang-format off
static const struct route routes[] = {
    {"GET",  "/healthz",                  "verbose exclude", true, get_health},
    {"GET",  "/livez",                    "verbose exclude", true, get_health},
    {"GET",  "/readyz",                   "verbose exclude", true, get_health},
    {"GET",  "/healthz/*",                "verbose",      true,  get_health_part},
    {"GET",  "/livez/*",                  "verbose",      true,  get_health_part},
    {"GET",  "/readyz/*",                 "verbose",      true,  get_health_part},
    {"GET",  "/pods",                     "",             false, list_pods},
    {"GET",  "/configz",                  "",             false, get_configz},
    {"GET",  "/containerLogs/*/*/*",
     "follow previous tailLines sinceSeconds sinceTime timestamps limitBytes", false,
     get_container_logs},
    {"GET",  "/stats/summary",            "only_cpu_and_memory pod namespace", false,
     get_stats_summary},
    {"GET",  "/metrics",                  "",             false, get_metrics},
    {"GET",  "/metrics/resource",         "",             false, get_metrics_resource},
    {"GET",  "/metrics/cadvisor",         "",             false, get_metrics_cadvisor},
    {"GET",  "/metrics/probes",           "",             false, get_metrics_probes},
    {"GET",  OWN "/status",               "",             false, get_status},
    {"GET",  OWN "/pods",                 "watch",        false, get_own_pods},
    {"GET",  OWN "/pods/*/*",             "",             false, get_own_pod},
    {"GET",  OWN "/events",               "watch after pod namespace", false, get_events},
    {"GET",  OWN "/manifests",            "watch",        false, get_manifests},
    {"GET",  OWN "/history/*/*",          "",             false, get_history},
    {"POST", OWN "/pods/*/*/restart",     "container force", false, post_restart},
    {"POST", OWN "/pods/*/*/stop",        "force",        false, post_stop},
    {"POST", OWN "/pods/*/*/start",       "",             false, post_start},
    {"POST", OWN "/pods/*/*/retry",       "",             false, post_retry},
    {"POST", OWN "/pods/*/*/force",       "coming",       false, post_force},
    {"POST", OWN "/stop-all",             "exit",         false, post_stop_all},
    {"POST", OWN "/rescan",               "",             false, post_rescan},
    {"POST", OWN "/reload",               "",             false, post_reload},
};
// clang-format on

static bool path_matches(const struct request *r, const char *pattern)
{
    size_t i = 0;
    for (; *pattern == '/'; i++) {
        size_t len = strcspn(++pattern, "/");
        if (i == r->n_segments)
            return false;
        bool any = len == 1 && pattern[0] == '*';
        if (!any && (strlen(r->segments[i]) != len || strncmp(r->segments[i], pattern, len) != 0))
            return false;
        pattern += len;
    }
    return i == r->n_segments;
}

static bool is_among(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *w = words; len > 0 && *w;) {
        size_t n = strcspn(w, " ");
        if (n == len && strncmp(w, word, n) == 0)
            return true;
        w += n + (w[n] == ' ');
    }
    return false;
}

// The name of the first parameter that the route does not know, or that is there twice.
static api_result refuse_parameters(const struct route *route, struct request *r, bool *ret_refused)
{
    *ret_refused = true;
    for (size_t i = 0; i < r->n_parameters; i++) {
        const char *key = r->parameters[i].key;
        if (!is_among(route->parameters, key))
            return reply_status(r, MHD_HTTP_BAD_REQUEST, "unknown query parameter \"%s\" (%s%s)",
                                key, route->parameters[0] ? "known: " : "there are none here",
                                route->parameters);
        if (request_parameter(r, key) != r->parameters[i].value && strcmp(key, "exclude") != 0)
            return reply_status(r, MHD_HTTP_BAD_REQUEST, "query parameter \"%s\" is given twice",
                                key);
    }
    *ret_refused = false;
    return MHD_YES;
}

static const struct route *find_route(const struct request *r, const char *method,
                                      const char **ret_allowed)
{
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if ((r->health_only && !routes[i].health) || !path_matches(r, routes[i].path))
            continue;
        bool head = strcmp(method, "HEAD") == 0 && strcmp(routes[i].method, "GET") == 0;
        if (head || strcmp(method, routes[i].method) == 0)
            return &routes[i];
        *ret_allowed = strcmp(routes[i].method, "GET") == 0 ? "GET, HEAD" : routes[i].method;
    }
    return NULL;
}

static api_result answer(struct api *api, struct request *r, const char *method)
{
    const char *allowed = NULL;
    bool refused;
    if (r->refusal)
        return reply_status(r, MHD_HTTP_BAD_REQUEST, "%s", r->refusal);
    const struct route *route = find_route(r, method, &allowed);
    if (!route && allowed)
        return reply_method_not_allowed(r, allowed);
    if (!route)
        return reply_status(r, MHD_HTTP_NOT_FOUND, "there is nothing at this address%s",
                            r->health_only ? " (this port answers /healthz, /livez and /readyz; "
                                             "the rest is on the agent's socket)"
                                           : "");
    WORK_SCOPE("api", method, NULL, route->path);
    api_result result = refuse_parameters(route, r, &refused);
    return refused ? result : route->handle(api, r);
}

static bool body_is_too_long(struct MHD_Connection *connection)
{
    const char *text =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    long long length;
    return text && (str_to_int(text, 0, API_BODY_MAX, &length) < 0);
}

static bool is_on_health_port(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const struct api_listener *listener = info ? info->socket_context : NULL;
    return !listener || listener->health_only;
}

// libmicrohttpd calls this when the header is there, for every piece of a body, and at the end.
api_result api_request_handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload_data,
                              size_t *upload_data_size, void **con_cls)
{
    struct request *r = *con_cls;
    if (!r->begun) {
        r->begun = true;
        r->health_only = is_on_health_port(connection);
        return body_is_too_long(connection)
                   ? reply_status(r, MHD_HTTP_CONTENT_TOO_LARGE, "the request's body is too long")
                   : MHD_YES;
    }
    if (*upload_data_size > 0) {
        r->body += *upload_data_size;
        *upload_data_size = 0;
        return r->body > API_BODY_MAX ? MHD_NO : MHD_YES;
    }
    return answer(cls, r, method);
}
