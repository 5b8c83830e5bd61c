// See curl-loop.h.
#include "base/curl-loop.h"

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/monotime.h"

enum { EVENTS_AT_ONCE = 64 };

// The sockets have an epoll descriptor of their own, so that one turn of the loop serves all that
// are ready, and not one each.
struct curl_loop {
    CURLM *multi;
    int epoll_fd;
    sd_event_source *io, *timer;
};

// A done() may free other jobs: their messages are gone then, so each is asked for anew.
static void drain(struct curl_loop *loop)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(loop->multi, &left))) {
        struct curl_job *job = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&job);
        curl_loop_remove(loop, job);
        job->done(job, code);
    }
}

static int what_of(uint32_t events)
{
    return (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
           (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
}

static int on_io(sd_event_source *source, int epoll_fd, uint32_t revents, void *userdata)
{
    struct curl_loop *loop = userdata;
    struct epoll_event events[EVENTS_AT_ONCE];
    int running, n = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, 0);
    for (int i = 0; i < n; i++)
        curl_multi_socket_action(loop->multi, events[i].data.fd, what_of(events[i].events),
                                 &running);
    drain(loop);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct curl_loop *loop = userdata;
    int running;
    curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    drain(loop);
    return 0;
}

// curl: watch this socket, for this. `watched`: it is watched already.
static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *userdata, void *watched)
{
    struct curl_loop *loop = userdata;
    struct epoll_event event = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0U) |
                                          (what & CURL_POLL_OUT ? EPOLLOUT : 0U),
                                .data.fd = fd};
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        curl_multi_assign(loop->multi, fd, NULL);
        return 0;
    }
    curl_multi_assign(loop->multi, fd, loop);
    return epoll_ctl(loop->epoll_fd, watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
}

// curl: wake me after so many milliseconds, or (-1) not at all.
static int on_timer_wanted(CURLM *multi, long timeout_msec, void *userdata)
{
    struct curl_loop *loop = userdata;
    if (timeout_msec < 0)
        return sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
    int r =
        sd_event_source_set_time_relative(loop->timer, (uint64_t)(timeout_msec * USEC_PER_MSEC));
    if (r >= 0)
        r = sd_event_source_set_enabled(loop->timer, SD_EVENT_ONESHOT);
    return r < 0 ? -1 : 0;
}

int curl_loop_new(sd_event *event, struct curl_loop **ret, struct error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, ENOSYS, "libcurl does not start");
    struct curl_loop *loop = xcalloc(1, sizeof(*loop));
    loop->multi = curl_multi_init();
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int r = loop->epoll_fd < 0 ? -errno : 0;
    if (r >= 0)
        r = sd_event_add_io(event, &loop->io, loop->epoll_fd, EPOLLIN, on_io, loop);
    if (r >= 0)
        r = sd_event_add_time(event, &loop->timer, CLOCK_BOOTTIME, 0, 1000, on_timer, loop);
    if (r >= 0)
        r = sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF);
    if (!loop->multi || r < 0) {
        curl_loop_free(loop);
        return error_set(err, ENOSYS, "libcurl cannot join the event loop");
    }
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
    *ret = loop;
    return 0;
}

void curl_loop_free(struct curl_loop *loop)
{
    if (!loop)
        return;
    curl_multi_cleanup(loop->multi);
    sd_event_source_disable_unref(loop->io);
    sd_event_source_disable_unref(loop->timer);
    cleanup_close(&loop->epoll_fd);
    free(loop);
    curl_global_cleanup();
}

int curl_loop_add(struct curl_loop *loop, struct curl_job *job)
{
    if (!job->easy || curl_easy_setopt(job->easy, CURLOPT_PRIVATE, job) != CURLE_OK ||
        curl_multi_add_handle(loop->multi, job->easy) != CURLM_OK)
        return -EIO;
    job->added = true;
    return 0;
}

void curl_loop_remove(struct curl_loop *loop, struct curl_job *job)
{
    if (job->added)
        curl_multi_remove_handle(loop->multi, job->easy);
    job->added = false;
}
