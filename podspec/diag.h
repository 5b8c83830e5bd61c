// What is wrong with a manifest: a list of findings, each with its place. All findings of a file
// are gathered, not the first only.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum diag_severity {
    DIAG_ERROR,   // the manifest is refused
    DIAG_WARNING, // accepted, but something in it is not honoured by this release, or looks wrong
};

struct diag {
    enum diag_severity severity;
    char *file;            // as given to podspec_parse()
    unsigned line, column; // from 1; 0 where there is no place
    char *path; // "spec.containers[0].livenessProbe.httpGet.port", NULL for the file itself
    char *message;
};

// At most DIAG_MOST findings are kept; `dropped` counts the rest, so that a hostile file cannot
// fill the memory and nothing is dropped unseen.
enum { DIAG_MOST = 100 };

struct diag_list {
    struct diag *items;
    size_t n;
    size_t errors, warnings, dropped;
};

struct diag_place {
    const char *file;
    unsigned line, column;
    const char *path;
};

void diag_add(struct diag_list *list, enum diag_severity severity, struct diag_place place,
              const char *format, ...) _printf_(4, 5);

// "etcd.yaml:31:17: spec.containers[0].livenessProbe.httpGet.port: must be between 1 and 65535"
// (warnings get "warning: " before the message).
void diag_format(const struct diag *d, struct buffer *out);

// Text of the input within quotes, cut where it is long, without control characters.
void diag_quote(const char *text, struct buffer *out);

// Brings the findings from index `from` on into the order of the file; those of one place keep
// their order.
void diag_list_sort(struct diag_list *list, size_t from);

void diag_list_free(struct diag_list *list);

#define _cleanup_diag_list_ _cleanup_(diag_list_free)
