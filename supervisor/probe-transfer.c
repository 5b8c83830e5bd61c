// See probe-transfer.h.
#include "supervisor/probe-transfer.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/time-format.h"

enum { EVENTS_AT_ONCE = 64 };

// The sockets have an epoll descriptor of their own, so that one turn of the loop serves all that
// are ready, and not one each.
struct probe_transfers {
    CURLM *multi;
    int epoll_fd;
    sd_event_source *io, *timer;
};

struct probe_transfer {
    struct probe_transfers *transfers;
    CURL *easy;
    bool added;
    struct curl_slist *headers;
    struct buffer body;
    monotime deadline;
    probe_transfer_done done;
    void *userdata;
};

// ---- the loop ----

static void finish(struct probe_transfer *transfer, CURLcode code)
{
    curl_multi_remove_handle(transfer->transfers->multi, transfer->easy);
    transfer->added = false;
    if (code == CURLE_WRITE_ERROR && transfer->body.len == PROBE_BODY_MAX)
        code = CURLE_OK;
    transfer->done(transfer->userdata, code);
}

// A done() may free other transfers: their messages are gone then, so each is asked for anew.
static void drain(struct probe_transfers *transfers)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(transfers->multi, &left))) {
        struct probe_transfer *transfer = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        finish(transfer, code);
    }
}

static int what_of(uint32_t events)
{
    return (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
           (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
}

static int on_io(sd_event_source *source, int epoll_fd, uint32_t revents, void *userdata)
{
    struct probe_transfers *transfers = userdata;
    struct epoll_event events[EVENTS_AT_ONCE];
    int running, n = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, 0);
    for (int i = 0; i < n; i++)
        curl_multi_socket_action(transfers->multi, events[i].data.fd, what_of(events[i].events),
                                 &running);
    drain(transfers);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct probe_transfers *transfers = userdata;
    int running;
    curl_multi_socket_action(transfers->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    drain(transfers);
    return 0;
}

// curl: watch this socket, for this. `watched`: it is watched already.
static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *userdata, void *watched)
{
    struct probe_transfers *transfers = userdata;
    struct epoll_event event = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0U) |
                                          (what & CURL_POLL_OUT ? EPOLLOUT : 0U),
                                .data.fd = fd};
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(transfers->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        curl_multi_assign(transfers->multi, fd, NULL);
        return 0;
    }
    curl_multi_assign(transfers->multi, fd, transfers);
    return epoll_ctl(transfers->epoll_fd, watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
}

// curl: wake me after so many milliseconds, or (-1) not at all.
static int on_timer_wanted(CURLM *multi, long timeout_msec, void *userdata)
{
    struct probe_transfers *transfers = userdata;
    if (timeout_msec < 0)
        return sd_event_source_set_enabled(transfers->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
    int r = sd_event_source_set_time_relative(transfers->timer,
                                              (uint64_t)(timeout_msec * USEC_PER_MSEC));
    if (r >= 0)
        r = sd_event_source_set_enabled(transfers->timer, SD_EVENT_ONESHOT);
    return r < 0 ? -1 : 0;
}

int probe_transfers_new(sd_event *event, struct probe_transfers **ret, struct error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, ENOSYS, "libcurl does not start");
    struct probe_transfers *transfers = xcalloc(1, sizeof(*transfers));
    transfers->multi = curl_multi_init();
    transfers->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int r = transfers->epoll_fd < 0 ? -errno : 0;
    if (r >= 0)
        r = sd_event_add_io(event, &transfers->io, transfers->epoll_fd, EPOLLIN, on_io, transfers);
    if (r >= 0)
        r = sd_event_add_time(event, &transfers->timer, CLOCK_BOOTTIME, 0, 1000, on_timer,
                              transfers);
    if (r >= 0)
        r = sd_event_source_set_enabled(transfers->timer, SD_EVENT_OFF);
    if (!transfers->multi || r < 0) {
        probe_transfers_free(transfers);
        return error_set(err, ENOSYS, "libcurl cannot join the event loop");
    }
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers);
    *ret = transfers;
    return 0;
}

void probe_transfers_free(struct probe_transfers *transfers)
{
    if (!transfers)
        return;
    curl_multi_cleanup(transfers->multi);
    sd_event_source_disable_unref(transfers->io);
    sd_event_source_disable_unref(transfers->timer);
    cleanup_close(&transfers->epoll_fd);
    free(transfers);
    curl_global_cleanup();
}

// ---- one transfer ----

// curl's write callback: a short count ends the transfer.
static size_t take_body(char *data, size_t size, size_t n, void *userdata)
{
    struct probe_transfer *transfer = userdata;
    size_t room = PROBE_BODY_MAX - transfer->body.len, len = size * n;
    buffer_add(&transfer->body, data, MIN(len, room));
    return len > room ? 0 : len;
}

struct probe_transfer *probe_transfer_new(struct probe_transfers *transfers, monotime deadline,
                                          probe_transfer_done done, void *userdata)
{
    struct probe_transfer *transfer = xcalloc(1, sizeof(*transfer));
    CURL *easy = curl_easy_init();
    *transfer = (struct probe_transfer){.transfers = transfers,
                                        .easy = easy,
                                        .deadline = deadline,
                                        .done = done,
                                        .userdata = userdata};
    if (!easy)
        return transfer; // its start fails
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
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
    return transfer->easy;
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
    CURL *easy = transfer->easy;
    long left_msec = (long)MAX(monotime_since(transfer->deadline, now) / USEC_PER_MSEC, (int64_t)1);
    buffer_truncate(&transfer->body, 0);
    if (!easy || curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, left_msec) != CURLE_OK ||
        curl_multi_add_handle(transfer->transfers->multi, easy) != CURLM_OK)
        return -EIO;
    transfer->added = true;
    return 0;
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
        curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK && number > 0)
        return xasprintf("cannot connect: %s", strerror((int)number));
    return xstrdup(curl_easy_strerror(code));
}

void probe_transfer_free(struct probe_transfer *transfer)
{
    if (!transfer)
        return;
    if (transfer->added)
        curl_multi_remove_handle(transfer->transfers->multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    buffer_free(&transfer->body);
    free(transfer);
}
