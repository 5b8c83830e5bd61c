// How init and join look first: the flags of preflight, the agent that answers here, and what
// becomes of the findings.
#pragma once

#include "cli/commands.h"
#include "cli/preflight.h"

struct preflight_options {
    struct string_list ignored;
    const char *output;
};

extern const char *const preflight_formats[];

// Rows for a struct `tag` with a member `struct preflight_options preflight`.
#define PREFLIGHT_OPTIONS(tag)                                                                     \
    OPT_LIST(tag, preflight.ignored, .name = "ignore-preflight-errors", .argument = "NAME,...",    \
             .help = "Go on in spite of these findings (Port-2380, Swap, ...; or all)"),           \
        OPT_STRING(tag, preflight.output, .letter = 'o', .name = "output", .argument = "FORMAT",   \
                   .values = preflight_formats, .help = "With --check: text (default) or json")

// -EINVAL where the flags do not fit together. Says on stderr what is no check's name.
int preflight_options_check(const struct preflight_options *options, bool only, struct error *err);

// The agent of this node, if it answers.
struct agent_seen {
    bool answers;
    bool is_ours; // it reads the directory that the manifests go to
    char *root;   // its root directory, or the usual one
};
void agent_see(const char *socket, const char *manifests, struct agent_seen *ret);
void agent_seen_free(struct agent_seen *seen);
#define _cleanup_agent_seen_ _cleanup_(agent_seen_free)

// Runs the checks. With `only` shows all of them on stdout, else what speaks against it on stderr.
// `harmless`: errors count as warnings. CLI_DONE: go on; CLI_NO: it has said why not.
int preflight_first(const struct preflight_subject *subject, unsigned stages,
                    const struct preflight_options *options, bool only, bool harmless);
