// The transfers of the probes that ask over the network, on the agent's loop; looking up a host's
// name is part of a probe's time. What all of them have in common: no proxy, no signals, no
// connection used twice, certificates not verified, one time limit for the whole, and no more of an
// answer than PROBE_BODY_MAX.
#pragma once

#include "base/buffer.h"
#include "base/curl-loop.h"
#include "base/error.h"
#include "base/monotime.h"

enum { PROBE_BODY_MAX = 10 << 10 }; // pkg/probe/http: maxRespBodyLength

struct probe_transfer; // one transfer

// Called once from the loop, unless the transfer is freed first; may free it. An answer that was
// cut at PROBE_BODY_MAX is CURLE_OK.
typedef void (*probe_transfer_done)(void *userdata, CURLcode code);

// A transfer that is to be over by `deadline`; the caller sets up the rest by
// probe_transfer_easy().
struct probe_transfer *probe_transfer_new(struct curl_loop *loop, monotime deadline,
                                          probe_transfer_done done, void *userdata);
CURL *probe_transfer_easy(const struct probe_transfer *transfer);
void probe_transfer_clear_headers(struct probe_transfer *transfer);
void probe_transfer_add_header(struct probe_transfer *transfer, const char *line);
// Also for another time, once it is done: the next request of the same probe.
int probe_transfer_start(struct probe_transfer *transfer, const char *url, monotime now);
const struct buffer *probe_transfer_body(const struct probe_transfer *transfer);
// Why it did not succeed, in words that are the same every time. `limit_usec`: its time-out. The
// caller frees.
char *probe_transfer_why(const struct probe_transfer *transfer, CURLcode code, int64_t limit_usec);
void probe_transfer_free(struct probe_transfer *transfer); // ends it where it is not done
