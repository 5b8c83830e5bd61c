// One question of a probe, put in one of four ways: by HTTP, by a TCP connection, by a command in
// the container, by gRPC. Everything returns at once; the answer comes from the loop.
#pragma once

#include "base/error.h"
#include "podspec/pod-container.h"
#include "supervisor/probe-machine.h"
#include "supervisor/probe-transfer.h"
#include "supervisor/shim-link.h"

// Who is asked, and by what means; all borrowed for as long as the question is put.
struct probe_target {
    const struct container *container;
    const char *address;    // of the pod: the host that is asked where the probe names none
    struct shim_link *link; // of the container's run
    struct curl_loop *transfers;
};

// Called once, from the loop. `message`: why, where the probe has not simply passed; NULL also
// where the container has ended, which is nothing to tell about.
typedef void (*probe_answered)(void *userdata, enum probe_outcome outcome, const char *message);

// What every kind of question begins with.
struct probe_question {
    void (*free)(struct probe_question *question);
    probe_answered answered;
    void *userdata;
    int64_t limit_usec; // timeoutSeconds
    // A hook's request: any answer passes, with a warning from status 400 on (the kubelet looks at
    // no status either), and the agent string is that of a kubelet's hooks.
    bool hook;
};

// -errno with a sentence where the question cannot be put (PROBE_ERRORED). The caller frees *ret
// when it is answered, or before, which takes the question back.
int probe_question_ask(const struct probe_target *target, const struct probe *probe, monotime now,
                       probe_answered answered, void *userdata, struct probe_question **ret,
                       struct error *err);
void probe_question_free(struct probe_question *question);

// ---- the four ways; `question` has the common part to copy ----

// K/probe/http: status 200 to 399 passes; redirects are followed on the same host, nine at most,
// one to another host passes with a warning. A body that breaks off is a failure (in the kubelet
// an error that counts for nothing, so that such a server lives for ever).
int probe_http_ask(const struct probe_target *target, const struct http_get_action *action,
                   const struct probe_question *question, monotime now, struct probe_question **ret,
                   struct error *err);
int probe_tcp_ask(const struct probe_target *target, const struct tcp_socket_action *action,
                  const struct probe_question *question, monotime now, struct probe_question **ret,
                  struct error *err);
// Exit status 0 passes; the command is killed when its time is up, which is a failure.
int probe_exec_ask(const struct probe_target *target, const struct exec_action *action,
                   const struct probe_question *question, struct probe_question **ret,
                   struct error *err);
// grpc.health.v1.Health/Check without TLS; SERVING passes.
int probe_grpc_ask(const struct probe_target *target, const struct grpc_action *action,
                   const struct probe_question *question, monotime now, struct probe_question **ret,
                   struct error *err);

// The number of a port that is given by number or by the name of one of the container's ports.
int probe_port(const struct container *container, const struct int_or_string *port, int *ret,
               struct error *err);
// "http://[::1]:80/a%20b?c": what is no part of a URL is escaped, a fragment is cut off. The caller
// frees.
char *probe_url(const char *scheme, const char *host, int port, const char *path);

// The body of a HealthCheckRequest as gRPC sends it, appended to `out`.
void probe_grpc_encode(const char *service, struct buffer *out);
// The status in a HealthCheckResponse: 1 is SERVING. -EBADMSG where it is none.
int probe_grpc_decode(const void *data, size_t len, int64_t *ret_status);

// What a command or a server has said, for a message: without white space at its end, at most
// PROBE_TEXT_MAX bytes. The caller frees.
enum { PROBE_TEXT_MAX = 1024 };
char *probe_text(const char *text, size_t len);
