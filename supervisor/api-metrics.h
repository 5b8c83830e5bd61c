// Prometheus' text format, version 0.0.4, as the files api-metrics*.c write it.
#pragma once

#include "supervisor/api-samples.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

// "# HELP" and "# TYPE"; every sample of a metric follows its heading.
void metric_heading(struct buffer *out, const char *name, const char *type, const char *help);

// `name{label="value",…} `: pairs of strings, then NULL. The value follows.
#define metric_begin(out, name, ...)                                                               \
    metric_begin_with(out, name, (const char *const[]){__VA_ARGS__})
void metric_begin_with(struct buffer *out, const char *name, const char *const *labels);

// " 12\n"; microseconds are written as seconds.
void metric_number(struct buffer *out, int64_t n);
void metric_seconds(struct buffer *out, int64_t usec);

// A heading and one sample without labels, where it is known.
void metric_single(struct buffer *out, const char *name, const char *type, const char *help,
                   int64_t n);
