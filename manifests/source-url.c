// The manifest that is fetched from a URL, as the kubelet does (K/config/http.go): a Pod or a
// PodList, asked for in a period. What cannot be fetched, or is wrong, changes nothing of what
// runs: the last good answer stays in force, over the agent's restart, too. Only an empty answer
// (or an empty list) takes its pods away.
#include <curl/curl.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/curl-loop.h"
#include "base/work.h"
#include "manifests/source-internal.h"

enum {
    TIMEOUT_MSEC = 10000, // of the kubelet's client
    REDIRECTS_MOST = 10,  // of Go's
    ACCURACY_USEC = 1000 * 1000,
};

struct source_url {
    struct manifest_source *source;
    struct manifest_file *file; // in source->files, as long as the source lives
    struct curl_loop *loop;
    struct curl_job job;
    struct curl_slist *headers;
    struct buffer body;
    bool too_large;
    int64_t poll_usec;
    sd_event_source *timer;
    char detail[CURL_ERROR_SIZE];
};

// ---- an answer ----

// Words that are the same for the same cause, so that it is told once. The caller frees.
static char *why_not(const struct source_url *url, CURLcode code)
{
    long status = 0, number = 0;
    if (url->too_large)
        return xasprintf("is larger than %d MiB, which no manifest may be", PODSPEC_SIZE_MAX >> 20);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return xasprintf("cannot be fetched: no answer within %d s", TIMEOUT_MSEC / 1000);
    if (code == CURLE_COULDNT_CONNECT &&
        curl_easy_getinfo(url->job.easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK && number > 0)
        return xasprintf("cannot be fetched: cannot connect: %s", strerror((int)number));
    if (code != CURLE_OK)
        return xasprintf("cannot be fetched: %s",
                         *url->detail ? url->detail : curl_easy_strerror(code));
    curl_easy_getinfo(url->job.easy, CURLINFO_RESPONSE_CODE, &status);
    return status == 200 ? NULL : xasprintf("cannot be fetched: the answer is HTTP %ld", status);
}

static void refuse(struct source_url *url, char *why)
{
    const struct manifest_file *file = url->file;
    bool told = file->judged && file->refused && !*file->hash && file->diags.n == 1 &&
                str_equal(file->diags.items[0].message, why);
    if (told)
        free(why);
    else
        source_refuse(url->source, url->file, why);
}

static void on_done(struct curl_job *job, CURLcode code)
{
    struct source_url *url = (struct source_url *)((char *)job - offsetof(struct source_url, job));
    WORK_SCOPE("source", "url", NULL, url->file->path);
    char *why = why_not(url, code);
    if (why)
        refuse(url, why);
    else
        source_judge_remote(url->source, url->file, &url->body);
    curl_easy_cleanup(TAKE_PTR(url->job.easy));
    buffer_free(&url->body);
    url->body = (struct buffer)BUFFER_EMPTY;
    // The source's next turn tells what has changed.
    sd_event_source_set_enabled(url->source->scan_request, SD_EVENT_ONESHOT);
    sd_event_source_set_time_relative(url->timer, (uint64_t)url->poll_usec);
    sd_event_source_set_enabled(url->timer, SD_EVENT_ONESHOT);
}

// ---- a question ----

// curl's write callback: a short count ends the transfer.
static size_t take_body(char *data, size_t size, size_t n, void *userdata)
{
    struct source_url *url = userdata;
    size_t len = size * n;
    url->too_large = url->body.len + len > PODSPEC_SIZE_MAX;
    if (url->too_large)
        return 0;
    buffer_add(&url->body, data, len);
    return len;
}

static bool set_up(struct source_url *url, CURL *easy)
{
    const char *protocols = "http,https";
    return curl_easy_setopt(easy, CURLOPT_URL, url->file->path) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocols) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, protocols) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, url->headers) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "mainstayd") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MOST) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MSEC) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           // Else a time-out during a look-up waits for its thread.
           curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, url->detail) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, url) == CURLE_OK;
}

// The handle lives for one question: between two of them, nothing is kept in memory.
static int ask(struct source_url *url)
{
    *url->detail = '\0';
    url->too_large = false;
    url->job.easy = curl_easy_init();
    if (!url->job.easy || !set_up(url, url->job.easy))
        return -EIO;
    return curl_loop_add(url->loop, &url->job);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
    struct source_url *url = userdata;
    if (work_is_silenced("source"))
        return -ENODATA; // as a callback that fails: its source is off from here on
    if (ask(url) < 0)
        on_done(&url->job, CURLE_FAILED_INIT);
    return 0;
}

void source_url_ask(struct source_url *url)
{
    if (url->job.easy)
        return;
    sd_event_source_set_time(url->timer, 0);
    sd_event_source_set_enabled(url->timer, SD_EVENT_ONESHOT);
}

// ---- start and end ----

static void add_headers(struct source_url *url, const char *lines)
{
    for (const char *line = lines ? lines : ""; *line;) {
        size_t n = strcspn(line, "\n");
        _cleanup_free_ char *header = xstrndup(line, n);
        struct curl_slist *more = curl_slist_append(url->headers, header);
        if (more)
            url->headers = more;
        line += n + (line[n] == '\n');
    }
}

int source_url_new(struct manifest_source *source, const struct manifest_source_options *options,
                   struct source_url **ret, struct error *err)
{
    struct source_url *url = xcalloc(1, sizeof(*url));
    url->source = source;
    url->poll_usec = options->url_poll_usec;
    url->job.done = on_done;
    url->file = source_file(source, options->url);
    source_add_remote(source, url->file);
    add_headers(url, options->url_headers);
    int code = curl_loop_new(source->event, &url->loop, err);
    if (code == 0) {
        code = sd_event_add_time(source->event, &url->timer, CLOCK_BOOTTIME, 0, ACCURACY_USEC,
                                 on_timer, url);
        if (code < 0)
            error_errno(err, code, "event loop");
    }
    if (code < 0) {
        source_url_free(url);
        return code;
    }
    *ret = url;
    return 0;
}

void source_url_free(struct source_url *url)
{
    if (!url)
        return;
    sd_event_source_disable_unref(url->timer);
    if (url->loop)
        curl_loop_remove(url->loop, &url->job);
    curl_easy_cleanup(url->job.easy);
    curl_loop_free(url->loop);
    curl_slist_free_all(url->headers);
    buffer_free(&url->body);
    free(url);
}
