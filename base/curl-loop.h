// libcurl's multi interface on an sd-event loop. Nothing blocks: a host's name is looked up by a
// thread of libcurl's own, which exists only while it does (an address needs none).
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "base/macro.h"

struct curl_loop;

// One transfer, to be part of what it is for.
struct curl_job {
    CURL *easy; // the owner's; its CURLOPT_PRIVATE belongs to the loop
    // Called from the loop, once for each curl_loop_add(); the job is out of the loop then, and may
    // be freed.
    void (*done)(struct curl_job *job, CURLcode code);
    bool added; // the loop's own
};

// -ENOSYS where libcurl does not start.
int curl_loop_new(sd_event *event, struct curl_loop **ret, struct error *err);
void curl_loop_free(struct curl_loop *loop); // after all its jobs
DEFINE_CLEANUP(struct curl_loop *, curl_loop_free)

int curl_loop_add(struct curl_loop *loop, struct curl_job *job);     // 0, or -EIO
void curl_loop_remove(struct curl_loop *loop, struct curl_job *job); // where it is not done
