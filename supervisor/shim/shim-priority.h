// How urgent a container's line is: what the formats that programs of a control plane write say
// themselves, and for the lines between, such as those of a stack trace, what came before them.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// What is remembered of one stream; all zero at its beginning.
struct shim_priority {
    int last;      // of the line before, where `known`
    bool known;    // there was a line before
    bool in_trace; // it belongs to a stack trace
    bool in_klog;  // it is klog's or belongs to such a one, which may have several lines
    bool mid_line; // it was a part, and its rest follows
};

// The syslog priority (0 to 7, never 0: journald writes that to every terminal of the machine) of
// the next line of a stream, or of its next part. Where nothing else tells, a line is 3 on stderr
// and 6 on stdout. Looks at a bounded beginning of the line only.
int shim_priority_next(struct shim_priority *stream, const char *line, size_t len, bool is_stderr,
                       bool partial);

// What the line says about itself, or -1. Understood are klog ("E1121 07:00:00.…"), JSON objects
// (zap, logrus, bunyan, pino, … and Kubernetes' own, which has "err" instead of a level), logfmt
// ("level=warn"), sd-daemon(3) ("<3>"), a level in brackets or before a colon ("[WARNING] ",
// "ERROR: "), logrus on a terminal ("WARN[0012]"), and after a date and a time a level in capitals,
// in brackets, or as etcd 3.4 writes it ("2020-01-01 00:00:00.0 W | etcdserver: …").
int shim_priority_told(const char *line, size_t len);
