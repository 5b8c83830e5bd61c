// A manifest as the operator hands it to validate, diff, apply and delete -f: read from a file (or
// standard input), decoded, and made the static pods that the agent would make of it.
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "podspec/podspec.h"

struct draft {
    char *file; // as given; "<stdin>" for "-"
    struct buffer content;
    struct pod_list pods;   // empty where it is not valid
    struct diag_list diags; // everything that was found
    bool valid;
};

// Reads and judges it for a node of this name. 0 also where it is not valid (then draft->valid is
// false); a negative errno where it cannot be read. draft_free() it in either case.
int draft_load(const char *file, const char *node, struct draft *draft, struct error *err);
// The same for content that is there already.
void draft_judge(struct draft *draft, const char *node);
void draft_free(struct draft *draft);
#define _cleanup_draft_ _cleanup_(draft_free)

// This host's name as the agent would use it (lower case). The caller frees.
char *draft_host_name(void);

// True where a file of this name in the manifest directory is read: *.yaml, *.yml, *.json, no
// leading dot.
bool draft_is_manifest_name(const char *name);

// Prints every finding on a line of its own, errors in red on a terminal.
void draft_print_findings(const struct draft *draft, FILE *out);
