// See probe-transfer.h.
#include "supervisor/probe-transfer.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time-format.h"

struct probe_transfer {
    struct curl_loop *loop;
    struct curl_job job;
    struct curl_slist *headers;
    struct buffer body;
    monotime deadline;
    probe_transfer_done done;
    void *userdata;
};

// curl's write callback: a short count ends the transfer.
static size_t take_body(char *data, size_t size, size_t n, void *userdata)
{
    struct probe_transfer *transfer = userdata;
    size_t room = PROBE_BODY_MAX - transfer->body.len, len = size * n;
    buffer_add(&transfer->body, data, MIN(len, room));
    return len > room ? 0 : len;
}

static void on_done(struct curl_job *job, CURLcode code)
{
    struct probe_transfer *transfer =
        (struct probe_transfer *)((char *)job - offsetof(struct probe_transfer, job));
    if (code == CURLE_WRITE_ERROR && transfer->body.len == PROBE_BODY_MAX)
        code = CURLE_OK;
    transfer->done(transfer->userdata, code);
}

struct probe_transfer *probe_transfer_new(struct curl_loop *loop, monotime deadline,
                                          probe_transfer_done done, void *userdata)
{
    struct probe_transfer *transfer = xcalloc(1, sizeof(*transfer));
    CURL *easy = curl_easy_init();
    *transfer = (struct probe_transfer){.loop = loop,
                                        .job = {.easy = easy, .done = on_done},
                                        .deadline = deadline,
                                        .done = done,
                                        .userdata = userdata};
    if (!easy)
        return transfer; // its start fails
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    // Else a transfer that ends during a look-up (by its time-out, say) waits for the thread.
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL); // not verified: no need to read 200 KB of them
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    return transfer;
}

CURL *probe_transfer_easy(const struct probe_transfer *transfer)
{
    return transfer->job.easy;
}

void probe_transfer_clear_headers(struct probe_transfer *transfer)
{
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
}

void probe_transfer_add_header(struct probe_transfer *transfer, const char *line)
{
    struct curl_slist *more = curl_slist_append(transfer->headers, line);
    if (more)
        transfer->headers = more;
}

int probe_transfer_start(struct probe_transfer *transfer, const char *url, monotime now)
{
    CURL *easy = transfer->job.easy;
    long left_msec = (long)MAX(monotime_since(transfer->deadline, now) / USEC_PER_MSEC, (int64_t)1);
    buffer_truncate(&transfer->body, 0);
    if (!easy || curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, left_msec) != CURLE_OK)
        return -EIO;
    return curl_loop_add(transfer->loop, &transfer->job);
}

const struct buffer *probe_transfer_body(const struct probe_transfer *transfer)
{
    return &transfer->body;
}

char *probe_transfer_why(const struct probe_transfer *transfer, CURLcode code, int64_t limit_usec)
{
    char text[DURATION_SIZE];
    long number = 0;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return xasprintf("no answer within %s",
                         duration_format_go(limit_usec * NSEC_PER_USEC, text));
    if (code == CURLE_COULDNT_CONNECT &&
        curl_easy_getinfo(transfer->job.easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK && number > 0)
        return xasprintf("cannot connect: %s", strerror((int)number));
    return xstrdup(curl_easy_strerror(code));
}

void probe_transfer_free(struct probe_transfer *transfer)
{
    if (!transfer)
        return;
    curl_loop_remove(transfer->loop, &transfer->job);
    curl_easy_cleanup(transfer->job.easy);
    curl_slist_free_all(transfer->headers);
    buffer_free(&transfer->body);
    free(transfer);
}
