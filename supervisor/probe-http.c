// Questions by HTTP and HTTPS; see probe-question.h. HTTP/1.1 only, one connection each.
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "supervisor/probe-question.h"

#define USER_AGENT      "kube-probe/1.20" // what servers know as a kubelet's probe
#define HOOK_USER_AGENT "kube-lifecycle/1.20"

enum { REQUESTS_MAX = 10 }; // Go's net/http: the tenth redirect is an error

struct probe_http {
    struct probe_question question;
    const struct http_get_action *action;
    struct probe_transfer *transfer;
    char *host; // of the first URL
    int requests;
};

static void http_free(struct probe_question *question)
{
    struct probe_http *http = (struct probe_http *)question;
    probe_transfer_free(http->transfer);
    free(http->host);
    free(http);
}

static void answer(struct probe_http *http, enum probe_outcome outcome, const char *message)
{
    http->question.answered(http->question.userdata, outcome, message);
}

// ---- headers ----

static bool has_header(const struct http_get_action *action, const char *name)
{
    LIST_EACH (header, &action->httpHeaders)
        if (header->name && strcasecmp(header->name, name) == 0)
            return true;
    return false;
}

// Those that Go's client does not take from its caller: they belong to the connection.
static bool is_left_out(const char *name, bool with_host)
{
    return strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0 ||
           strcasecmp(name, "Trailer") == 0 || (strcasecmp(name, "Host") == 0 && !with_host);
}

// libcurl's notation: "Name;" sends an empty header, "Name:" leaves out one of its own.
static void add_header(struct probe_http *http, const struct http_header *header)
{
    bool own =
        strcasecmp(header->name, "Accept") == 0 || strcasecmp(header->name, "User-Agent") == 0;
    _cleanup_free_ char *line = str_empty(header->value)
                                    ? xasprintf("%s%s", header->name, own ? ":" : ";")
                                    : xasprintf("%s: %s", header->name, header->value);
    probe_transfer_add_header(http->transfer, line);
}

static void set_headers(struct probe_http *http, bool with_host)
{
    const struct http_get_action *action = http->action;
    probe_transfer_clear_headers(http->transfer);
    LIST_EACH (header, &action->httpHeaders)
        if (header->name && !is_left_out(header->name, with_host))
            add_header(http, header);
    if (!has_header(action, "User-Agent"))
        probe_transfer_add_header(http->transfer, http->question.hook
                                                      ? "User-Agent: " HOOK_USER_AGENT
                                                      : "User-Agent: " USER_AGENT);
    if (!has_header(action, "Connection"))
        probe_transfer_add_header(http->transfer, "Connection: close");
}

// A line break in a value would begin another header.
static const char *unusable_header(const struct http_get_action *action)
{
    LIST_EACH (header, &action->httpHeaders)
        for (const char *p = header->value; p && *p; p++)
            if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
                return header->name;
    return NULL;
}

// ---- redirects ----

static char *url_part(const char *url, CURLUPart part)
{
    CURLU *parsed = curl_url();
    char *text = NULL, *copy = NULL;
    if (parsed && curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
        curl_url_get(parsed, part, &text, 0) == CURLUE_OK)
        copy = xstrdup(text);
    curl_free(text);
    curl_url_cleanup(parsed);
    return copy;
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// A Host header of the probe's own is kept where the redirect names no host at all.
static bool names_no_host(CURL *easy)
{
    struct curl_header *location;
    return curl_easy_header(easy, "Location", 0, CURLH_HEADER, -1, &location) == CURLHE_OK &&
           !strstr(location->value, "://") && !str_starts_with(location->value, "//");
}

// 1: the answer is final; 0: another request is on its way; or the probe has failed, -errno.
static int follow(struct probe_http *http, const char *url, struct error *err)
{
    _cleanup_free_ char *copy = xstrdup(url); // libcurl's own goes with the next request
    _cleanup_free_ char *host = url_part(copy, CURLUPART_HOST);
    _cleanup_free_ char *scheme = url_part(copy, CURLUPART_SCHEME);
    if (!host || !str_equal(host, http->host))
        return 1;
    if (!str_equal(scheme, "http") && !str_equal(scheme, "https"))
        return error_set(err, EPROTONOSUPPORT, "redirected to %s, which is not HTTP", copy);
    if (http->requests >= REQUESTS_MAX)
        return error_set(err, ELOOP, "stopped after %d redirects", REQUESTS_MAX);
    set_headers(http, names_no_host(probe_transfer_easy(http->transfer)));
    http->requests++;
    int r = probe_transfer_start(http->transfer, copy, monotime_now());
    return r < 0 ? error_errno(err, r, "redirected to %s", copy) : 0;
}

static void judge(struct probe_http *http, long status, const char *redirect)
{
    _cleanup_free_ char *message = NULL;
    if (status >= 200 && status < 300) {
        answer(http, PROBE_PASSED, NULL);
        return;
    }
    if (status >= 300 && status < 400) {
        message = redirect ? xasprintf("status %ld redirects to another host, %s: not followed, "
                                       "and counted as success",
                                       status, redirect)
                           : xasprintf("status %ld is counted as success", status);
        answer(http, PROBE_WARNED, message);
        return;
    }
    if (http->question.hook) {
        message = xasprintf("the server answered with status %ld, which counts as success", status);
        answer(http, PROBE_WARNED, message);
        return;
    }
    message = xasprintf("HTTP probe failed with statuscode: %ld", status);
    answer(http, PROBE_FAILED, message);
}

static void on_done(void *userdata, CURLcode code)
{
    struct probe_http *http = userdata;
    _cleanup_error_ struct error err = ERROR_NONE;
    CURL *easy = probe_transfer_easy(http->transfer);
    char *redirect = NULL;
    long status = 0;
    if (code != CURLE_OK) {
        _cleanup_free_ char *why =
            probe_transfer_why(http->transfer, code, http->question.limit_usec);
        answer(http, PROBE_FAILED, why);
        return;
    }
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &redirect);
    if (!is_redirect(status))
        redirect = NULL;
    int r = redirect ? follow(http, redirect, &err) : 1;
    if (r < 0)
        answer(http, PROBE_FAILED, error_message(&err));
    else if (r > 0)
        judge(http, status, redirect);
}

int probe_http_ask(const struct probe_target *target, const struct http_get_action *action,
                   const struct probe_question *question, monotime now, struct probe_question **ret,
                   struct error *err)
{
    int port, r = probe_port(target->container, &action->port, &port, err);
    if (r < 0)
        return r;
    if (unusable_header(action))
        return error_set(err, EINVAL, "the header \"%s\" has a control character in its value",
                         unusable_header(action));
    const char *host = str_empty(action->host) ? target->address : action->host;
    const char *scheme = str_equal(action->scheme, "HTTPS") ? "https" : "http";
    _cleanup_free_ char *url =
        probe_url(scheme, host, port, str_empty(action->path) ? "/" : action->path);
    struct probe_http *http = xcalloc(1, sizeof(*http));
    http->question = *question;
    http->question.free = http_free;
    http->action = action;
    http->host = url_part(url, CURLUPART_HOST);
    http->requests = 1;
    http->transfer = probe_transfer_new(
        target->transfers, monotime_add_usec(now, question->limit_usec), on_done, http);
    CURL *easy = probe_transfer_easy(http->transfer);
    if (easy) {
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
        set_headers(http, true);
    }
    r = probe_transfer_start(http->transfer, url, now);
    if (r < 0) {
        http_free(&http->question);
        return error_set(err, EINVAL, "cannot ask %s", url);
    }
    *ret = &http->question;
    return 0;
}
