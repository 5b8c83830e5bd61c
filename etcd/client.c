// See client.h.
#include "etcd/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/alloc.h"
#include "base/monotime.h"
#include "etcd/call.h"

enum {
    TIMEOUT_MSEC = 5000,
    REPLY_MAX = 16 << 20,
    HTTP_OK = 200,
    HTTP_NOT_FOUND = 404,
    HTTP_SERVER_ERROR = 500
};

// Where the gateway is: etcd 3.4 and later; 3.3.
static const char *const gateways[] = {"/v3", "/v3beta"};

struct etcd_client {
    struct string_list endpoints;
    size_t preferred; // the endpoint that answered last
    size_t gateway;   // of gateways[]: the one that was there last
    char *cacert, *cert, *key;
    int timeout_msec;
    int interrupt_fd;
    CURL *easy;
    CURLM *multi;
    struct curl_slist *headers;
    char curl_message[CURL_ERROR_SIZE];
};

// One exchange with one endpoint.
struct exchange {
    struct etcd_client *client;
    struct buffer body;
    bool too_large;
    // Streams: called with each whole line; what is not 0 ends the stream and is its result.
    etcd_line_fn line;
    void *userdata;
    bool endless; // the time budget is for each silence, not for the whole
    bool any_line;
    int line_result;
    struct error *err;
};

static int take_lines(struct exchange *exchange)
{
    char *newline;
    while (exchange->body.len > 0 &&
           (newline = memchr(exchange->body.data, '\n', exchange->body.len))) {
        size_t len = (size_t)(newline - exchange->body.data);
        exchange->any_line = true;
        int result = exchange->line(exchange->userdata, exchange->body.data, len, exchange->err);
        buffer_consume(&exchange->body, len + 1);
        if (result != 0)
            return result;
    }
    return 0;
}

// curl's write callback; a short count ends the transfer.
static size_t take_body(char *data, size_t size, size_t n, void *userdata)
{
    struct exchange *exchange = userdata;
    if (n > REPLY_MAX || exchange->body.len + n > REPLY_MAX) {
        exchange->too_large = true;
        return 0;
    }
    buffer_add(&exchange->body, data, n);
    long status = 0;
    curl_easy_getinfo(exchange->client->easy, CURLINFO_RESPONSE_CODE, &status);
    if (exchange->line && status == HTTP_OK)
        exchange->line_result = take_lines(exchange);
    return exchange->line_result == 0 ? n : 0;
}

static int check_endpoints(const struct string_list *endpoints, struct error *err)
{
    if (!endpoints || endpoints->n == 0)
        return error_set(err, EINVAL, "no etcd endpoint is given");
    for (size_t i = 0; i < endpoints->n; i++) {
        if (!str_starts_with(endpoints->items[i], "https://") &&
            !str_starts_with(endpoints->items[i], "http://"))
            return error_set(err, EINVAL, "etcd endpoint \"%s\": not http://… or https://…",
                             endpoints->items[i]);
    }
    return 0;
}

static bool has_tls(const struct string_list *endpoints)
{
    for (size_t i = 0; i < endpoints->n; i++)
        if (str_starts_with(endpoints->items[i], "https:"))
            return true;
    return false;
}

static int check_files(const struct etcd_config *config, struct error *err)
{
    const char *const files[] = {config->cacert, config->cert, config->key};
    if (!has_tls(config->endpoints))
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (files[i] && access(files[i], R_OK) < 0)
            return error_errno(err, errno, "%s", files[i]);
    }
    if (!config->cert != !config->key)
        return error_set(err, EINVAL, "a client certificate and its key go together");
    return 0;
}

static bool set_options(struct etcd_client *client, const struct etcd_config *config)
{
    CURL *easy = client->easy;
    bool ok =
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, client->headers) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client->curl_message) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK;
    if (!has_tls(config->endpoints))
        return ok;
    if (ok && config->cacert)
        ok = curl_easy_setopt(easy, CURLOPT_CAINFO, config->cacert) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
    if (ok && config->cert)
        ok = curl_easy_setopt(easy, CURLOPT_SSLCERT, config->cert) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_SSLKEY, config->key) == CURLE_OK;
    return ok;
}

int etcd_client_new(const struct etcd_config *config, struct etcd_client **ret, struct error *err)
{
    int code = check_endpoints(config->endpoints, err);
    if (code == 0)
        code = check_files(config, err);
    if (code < 0)
        return code;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, EIO, "cannot start libcurl");
    _cleanup_etcd_client_ struct etcd_client *client = xcalloc(1, sizeof(*client));
    string_list_copy(&client->endpoints, config->endpoints);
    client->timeout_msec = config->timeout_msec > 0 ? config->timeout_msec : TIMEOUT_MSEC;
    client->interrupt_fd = -1;
    client->cacert = xstrdup_or_null(config->cacert);
    client->cert = xstrdup_or_null(config->cert);
    client->key = xstrdup_or_null(config->key);
    client->easy = curl_easy_init();
    client->multi = curl_multi_init();
    // An empty "Expect:" saves a round trip that curl would make before larger values.
    client->headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct curl_slist *more =
        client->headers ? curl_slist_append(client->headers, "Expect:") : NULL;
    if (!client->easy || !client->multi || !more || !set_options(client, config))
        return error_set(err, EIO, "cannot set up libcurl");
    *ret = TAKE_PTR(client);
    return 0;
}

void etcd_client_free(struct etcd_client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->easy);
    curl_multi_cleanup(client->multi);
    curl_slist_free_all(client->headers);
    string_list_free(&client->endpoints);
    free(client->cacert);
    free(client->cert);
    free(client->key);
    free(client);
    curl_global_cleanup();
}

int etcd_client_beside(const struct etcd_client *client, const struct string_list *endpoints,
                       struct etcd_client **ret, struct error *err)
{
    const struct etcd_config config = {
        .endpoints = endpoints,
        .cacert = client->cacert,
        .cert = client->cert,
        .key = client->key,
        .timeout_msec = client->timeout_msec,
    };
    int code = etcd_client_new(&config, ret, err);
    if (code == 0)
        etcd_client_set_interrupt(*ret, client->interrupt_fd);
    return code;
}

void etcd_client_set_timeout(struct etcd_client *client, int timeout_msec)
{
    client->timeout_msec = MAX(timeout_msec, 1);
}

void etcd_client_set_interrupt(struct etcd_client *client, int fd)
{
    client->interrupt_fd = fd;
}

static bool interrupted(const struct etcd_client *client)
{
    struct pollfd fd = {.fd = client->interrupt_fd, .events = POLLIN};
    return fd.fd >= 0 && poll(&fd, 1, 0) > 0;
}

// Runs the prepared transfer to its end: 0 and curl's result, or -ECANCELED.
static int run(struct etcd_client *client, CURLcode *ret, struct error *err)
{
    struct curl_waitfd extra = {.fd = client->interrupt_fd, .events = CURL_WAIT_POLLIN};
    int running = 1, left = 0;
    for (;;) {
        if (interrupted(client))
            return error_set(err, ECANCELED, "interrupted");
        if (curl_multi_perform(client->multi, &running) != CURLM_OK)
            return error_set(err, EIO, "libcurl failed");
        CURLMsg *message = curl_multi_info_read(client->multi, &left);
        if (message && message->msg == CURLMSG_DONE) {
            *ret = message->data.result;
            return 0;
        }
        // curl's own timers are part of the wait; the second is a belt to its braces.
        if (curl_multi_poll(client->multi, &extra, client->interrupt_fd >= 0, 1000, NULL) !=
            CURLM_OK)
            return error_set(err, EIO, "libcurl failed");
    }
}

// What the transfer came to: 0 with a good reply in exchange->body.
static int judge(const struct exchange *exchange, CURLcode result, const char *endpoint,
                 struct error *err)
{
    const struct etcd_client *client = exchange->client;
    long status = 0;
    if (exchange->too_large)
        return error_set(err, EMSGSIZE, "%s: the reply is larger than %d bytes", endpoint,
                         REPLY_MAX);
    if (result != CURLE_OK)
        return error_set(err, EAGAIN, "%s: %s", endpoint,
                         client->curl_message[0] ? client->curl_message
                                                 : curl_easy_strerror(result));
    curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == HTTP_OK)
        return 0;
    int code = etcd_error_reply(buffer_str(&exchange->body), exchange->body.len, err);
    if (code == -EBADMSG && status >= HTTP_SERVER_ERROR) // something else that stands in front
        code = error_set(err, EAGAIN, "HTTP status %ld", status);
    return error_prefix(err, code, "%s", endpoint);
}

static bool set_times(const struct exchange *exchange, int64_t msec)
{
    CURL *easy = exchange->client->easy;
    int64_t sec = MAX((msec + MSEC_PER_SEC - 1) / MSEC_PER_SEC, (int64_t)1);
    bool endless = exchange->endless;
    return curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, endless ? 0L : (long)msec) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)msec) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, endless ? 1L : 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, endless ? (long)sec : 0L) == CURLE_OK;
}

static int transfer(struct exchange *exchange, const char *url, const char *request, int64_t msec,
                    CURLcode *ret_result, struct error *err)
{
    struct etcd_client *client = exchange->client;
    client->curl_message[0] = '\0';
    buffer_truncate(&exchange->body, 0);
    if (curl_easy_setopt(client->easy, CURLOPT_URL, url) != CURLE_OK ||
        curl_easy_setopt(client->easy, CURLOPT_POSTFIELDS, request) != CURLE_OK ||
        curl_easy_setopt(client->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(request)) !=
            CURLE_OK ||
        !set_times(exchange, msec) ||
        curl_easy_setopt(client->easy, CURLOPT_WRITEDATA, exchange) != CURLE_OK ||
        curl_multi_add_handle(client->multi, client->easy) != CURLM_OK)
        return error_set(err, EIO, "cannot set up a request to %s", url);
    int code = run(client, ret_result, err);
    curl_multi_remove_handle(client->multi, client->easy);
    return code;
}

// Nothing of etcd's knows the path: a gateway of another age.
static bool is_other_gateway(const struct exchange *exchange, CURLcode result)
{
    long status = 0;
    curl_easy_getinfo(exchange->client->easy, CURLINFO_RESPONSE_CODE, &status);
    return result == CURLE_OK && status == HTTP_NOT_FOUND &&
           (exchange->body.len == 0 || exchange->body.data[0] != '{');
}

static int ask_endpoint(struct etcd_client *client, const char *endpoint, const char *path,
                        const char *request, int64_t timeout_msec, struct exchange *exchange,
                        struct error *err)
{
    size_t len = strlen(endpoint);
    while (len > 0 && endpoint[len - 1] == '/')
        len--;
    CURLcode result = CURLE_OK;
    int code = 0;
    for (size_t i = 0; i < ARRAY_SIZE(gateways); i++) {
        _cleanup_free_ char *url =
            xasprintf("%.*s%s%s", (int)len, endpoint, gateways[client->gateway], path);
        code = transfer(exchange, url, request, timeout_msec, &result, err);
        if (code < 0 || !is_other_gateway(exchange, result))
            break;
        client->gateway = (client->gateway + 1) % ARRAY_SIZE(gateways);
    }
    if (exchange->line_result != 0)
        return 0; // the stream was ended on purpose
    return code < 0 ? code : judge(exchange, result, endpoint, err);
}

static int64_t left_msec(monotime deadline)
{
    return monotime_since(deadline, monotime_now()) / USEC_PER_MSEC;
}

// Asks one member after the other, beginning with the one that answered last. Each gets its share
// of what is left of the budget, so one that is silent does not use it up.
static int ask(struct etcd_client *client, const char *path, const char *request,
               struct exchange *exchange, struct error *err)
{
    monotime deadline = monotime_add_ms(monotime_now(), client->timeout_msec);
    size_t n = client->endpoints.n;
    _cleanup_buffer_ struct buffer reasons = BUFFER_EMPTY;
    int code = -EAGAIN;
    for (size_t i = 0; i < n && code == -EAGAIN; i++) {
        _cleanup_error_ struct error why = ERROR_NONE;
        size_t which = (client->preferred + i) % n;
        int64_t share = left_msec(deadline) / (int64_t)(n - i);
        if ((i > 0 && share <= 0) || exchange->any_line)
            break;
        code = ask_endpoint(client, client->endpoints.items[which], path, request, MAX(share, 1),
                            exchange, &why);
        if (code != -EAGAIN)
            client->preferred = which;
        if (code < 0)
            buffer_printf(&reasons, "%s%s", reasons.len > 0 ? "; " : "", error_message(&why));
    }
    return code < 0 ? error_set(err, code, "%s", buffer_str(&reasons)) : 0;
}

int etcd_call(struct etcd_client *client, const char *path, char *request, struct buffer *ret_body,
              struct error *err)
{
    struct exchange exchange = {.client = client};
    int code = ask(client, path, request, &exchange, err);
    free(request);
    if (code < 0)
        buffer_free(&exchange.body);
    else
        *ret_body = exchange.body;
    return code;
}

int etcd_stream(struct etcd_client *client, const char *path, char *request, etcd_line_fn fn,
                void *userdata, struct error *err)
{
    struct exchange exchange = {
        .client = client, .line = fn, .userdata = userdata, .endless = true, .err = err};
    int code = ask(client, path, request, &exchange, err);
    free(request);
    buffer_free(&exchange.body);
    return code < 0 ? code : exchange.line_result;
}

int etcd_get(struct etcd_client *client, const char *key, struct etcd_kv *ret,
             int64_t *ret_revision, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    _cleanup_etcd_range_ struct etcd_range range = {0};
    int code = etcd_call(client, "/kv/range", etcd_range_request(key, NULL, 1), &body, err);
    if (code == 0)
        code = etcd_range_reply(buffer_str(&body), body.len, &range, err);
    if (code < 0)
        return code;
    if (ret_revision)
        *ret_revision = range.revision;
    if (range.kvs.n == 0)
        return error_set(err, ENOENT, "etcd has no key %s", key);
    *ret = range.kvs.items[0];
    range.kvs.items[0] = (struct etcd_kv){0};
    return 0;
}

int etcd_range(struct etcd_client *client, const char *prefix, int64_t limit,
               struct etcd_range *ret, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY, end = BUFFER_EMPTY;
    etcd_prefix_end(prefix, &end);
    int code = etcd_call(client, "/kv/range", etcd_range_request(prefix, &end, limit), &body, err);
    return code < 0 ? code : etcd_range_reply(buffer_str(&body), body.len, ret, err);
}

int etcd_put(struct etcd_client *client, const char *key, const void *value, size_t len,
             int64_t lease, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    int64_t revision = 0;
    int code = etcd_call(client, "/kv/put", etcd_put_request(key, value, len, lease), &body, err);
    return code < 0 ? code : etcd_put_reply(buffer_str(&body), body.len, &revision, err);
}

int etcd_create(struct etcd_client *client, const char *key, const void *value, size_t len,
                int64_t lease, struct etcd_create *ret, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    int code =
        etcd_call(client, "/kv/txn", etcd_create_request(key, value, len, lease), &body, err);
    return code < 0 ? code : etcd_create_reply(buffer_str(&body), body.len, ret, err);
}

int etcd_swap(struct etcd_client *client, const char *key, int64_t mod_revision, const void *value,
              size_t len, int64_t lease, struct etcd_create *ret, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    int code = etcd_call(client, "/kv/txn", etcd_swap_request(key, mod_revision, value, len, lease),
                         &body, err);
    return code < 0 ? code : etcd_swap_reply(buffer_str(&body), body.len, ret, err);
}

int etcd_delete_if(struct etcd_client *client, const char *key, int64_t mod_revision,
                   struct etcd_create *ret, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    int code = etcd_call(client, "/kv/txn", etcd_delete_if_request(key, mod_revision), &body, err);
    return code < 0 ? code : etcd_swap_reply(buffer_str(&body), body.len, ret, err);
}

int etcd_get_twins(struct etcd_client *client, const char *key, const char *twin,
                   struct etcd_twins *ret, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    int code = etcd_call(client, "/kv/txn", etcd_twins_request(key, twin), &body, err);
    return code < 0 ? code : etcd_twins_reply(buffer_str(&body), body.len, false, ret, err);
}

int etcd_create_twins(struct etcd_client *client, const char *key, const char *twin,
                      const void *value, size_t len, int64_t lease, struct etcd_twins *ret,
                      struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    int code = etcd_call(client, "/kv/txn", etcd_create_twins_request(key, twin, value, len, lease),
                         &body, err);
    return code < 0 ? code : etcd_twins_reply(buffer_str(&body), body.len, true, ret, err);
}

int etcd_delete(struct etcd_client *client, const char *key, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    int64_t deleted = 0;
    int code = etcd_call(client, "/kv/deleterange", etcd_delete_request(key, NULL), &body, err);
    if (code == 0)
        code = etcd_delete_reply(buffer_str(&body), body.len, &deleted, err);
    if (code == 0 && deleted == 0)
        code = error_set(err, ENOENT, "etcd has no key %s", key);
    return code;
}

int etcd_lease_grant(struct etcd_client *client, int64_t ttl_sec, struct etcd_lease *ret,
                     struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    int code = etcd_call(client, "/lease/grant", etcd_lease_grant_request(ttl_sec), &body, err);
    return code < 0 ? code : etcd_lease_grant_reply(buffer_str(&body), body.len, ret, err);
}

int etcd_lease_keepalive(struct etcd_client *client, int64_t id, struct etcd_lease *ret,
                         struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    int code = etcd_call(client, "/lease/keepalive", etcd_lease_request(id), &body, err);
    return code < 0 ? code : etcd_lease_keepalive_reply(buffer_str(&body), body.len, ret, err);
}

int etcd_lease_revoke(struct etcd_client *client, int64_t id, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    return etcd_call(client, "/lease/revoke", etcd_lease_request(id), &body, err);
}

static int take_watch_line(void *userdata, const char *text, size_t len, struct error *err)
{
    return etcd_watch_reply(text, len, err);
}

static int wait_change(struct etcd_client *client, const char *key, char *request, int timeout_msec,
                       struct error *err)
{
    struct error why = ERROR_NONE;
    struct exchange exchange = {.client = client, .line = take_watch_line, .err = &why};
    const char *endpoint = client->endpoints.items[client->preferred];
    monotime deadline = monotime_add_ms(monotime_now(), timeout_msec);
    int code =
        ask_endpoint(client, endpoint, "/watch", request, MAX(timeout_msec, 1), &exchange, &why);
    free(request);
    buffer_free(&exchange.body);
    if (code == 0)
        code = exchange.line_result;
    if (code == -EAGAIN && left_msec(deadline) <= 0)
        code = 0; // curl's word for "nothing until the time was up"
    if (code < 0)
        error_prefix(err, error_set(err, code, "%s", error_message(&why)), "watching %s", key);
    error_clear(&why);
    return code;
}

int etcd_wait_change(struct etcd_client *client, const char *key, int64_t revision,
                     int timeout_msec, struct error *err)
{
    return wait_change(client, key, etcd_watch_request(key, NULL, revision + 1), timeout_msec, err);
}

int etcd_wait_prefix(struct etcd_client *client, const char *prefix, int64_t revision,
                     int timeout_msec, struct error *err)
{
    _cleanup_buffer_ struct buffer end = BUFFER_EMPTY;
    etcd_prefix_end(prefix, &end);
    return wait_change(client, prefix, etcd_watch_request(prefix, &end, revision + 1), timeout_msec,
                       err);
}
