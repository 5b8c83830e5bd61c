// Questions by a TCP connection that is opened and closed; see probe-question.h. libcurl connects:
// it looks up names without blocking, and tries all their addresses.
#include <errno.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "supervisor/probe-question.h"

struct probe_tcp {
    struct probe_question question;
    struct probe_transfer *transfer;
};

static void tcp_free(struct probe_question *question)
{
    struct probe_tcp *tcp = (struct probe_tcp *)question;
    probe_transfer_free(tcp->transfer);
    free(tcp);
}

static void on_done(void *userdata, CURLcode code)
{
    const struct probe_tcp *tcp = userdata;
    const struct probe_question *question = &tcp->question;
    if (code == CURLE_OK) {
        question->answered(question->userdata, PROBE_PASSED, NULL);
        return;
    }
    _cleanup_free_ char *why = probe_transfer_why(tcp->transfer, code, question->limit_usec);
    question->answered(question->userdata, PROBE_FAILED, why);
}

int probe_tcp_ask(const struct probe_target *target, const struct tcp_socket_action *action,
                  const struct probe_question *question, monotime now, struct probe_question **ret,
                  struct error *err)
{
    int port, r = probe_port(target->container, &action->port, &port, err);
    if (r < 0)
        return r;
    const char *host = str_empty(action->host) ? target->address : action->host;
    _cleanup_free_ char *url = probe_url("http", host, port, "/"); // nothing is sent to it
    struct probe_tcp *tcp = xcalloc(1, sizeof(*tcp));
    tcp->question = *question;
    tcp->question.free = tcp_free;
    tcp->transfer = probe_transfer_new(target->transfers,
                                       monotime_add_usec(now, question->limit_usec), on_done, tcp);
    CURL *easy = probe_transfer_easy(tcp->transfer);
    if (easy)
        curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    r = probe_transfer_start(tcp->transfer, url, now);
    if (r < 0) {
        tcp_free(&tcp->question);
        return error_set(err, EINVAL, "cannot connect to %s:%d", host, port);
    }
    *ret = &tcp->question;
    return 0;
}
