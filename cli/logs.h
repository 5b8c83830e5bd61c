// What the files logs*.c share: the command's options, and the two places besides the agent where
// lines can be had. Nobody else includes it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macro.h"
#include "base/monotime.h"
#include "base/string-list.h"
#include "cli/options.h"

struct logs_options {
    struct common_options common;
    struct pod_scope scope;
    const char *container, *since_time, *source, *pod_log_dir;
    bool follow, previous, timestamps, all_containers, prefix;
    int64_t since_nsec, tail, limit_bytes; // tail: -1 all; limit_bytes: 0 none
};

// Whose lines, when the agent is not asked.
struct logs_whose {
    const char *namespace_; // NULL: any
    const char *pod;        // with or without the node's suffix
    const char *uid;        // NULL: the newest
    const char *note; // why it is not the agent who tells: said on stderr with the place; or NULL
};

// From the log files below `dir`, respectively from the journal. 0; -ENOENT where they have nothing
// (then nothing was written yet); -EINVAL where it must be said which pod is meant.
int logs_from_files(const struct logs_options *options, const char *dir,
                    const struct logs_whose *whose, struct error *err);
int logs_from_journal(const struct logs_options *options, const struct logs_whose *whose,
                      struct error *err);

// ---- helpers of both ----

// The one of `names` that is meant by `wanted`: that name, else wanted-HOSTNAME, else the only one
// that begins with "wanted-". *ret is borrowed from `names`. 0, -ENOENT, or -EINVAL where several
// begin so. `where` is for the message ("in /var/log/pods").
int logs_choose_pod(const struct string_list *names, const char *wanted, const char *where,
                    const char **ret, struct error *err);

// Into *ret those of `names` whose lines are asked for: all, or -c's, or the first one (which is
// said on stderr where there are several). 0, or -ENOENT with the names that there are.
int logs_choose_containers(const struct logs_options *options, const char *pod,
                           const struct string_list *names, struct string_list *ret,
                           struct error *err);

// Since when; not set: everything.
walltime logs_since(const struct logs_options *options);

// "mainstay: NOTE: these lines are from PLACE" on stderr.
void logs_say_place(const struct logs_whose *whose, const char *place);

// Text of a container on its way to stdout. Where `whole_lines`, a line is written when its end has
// come, behind the prefix.
struct logs_sink {
    char *prefix; // owned; "" for none
    bool whole_lines;
    struct buffer line;
};
void logs_sink_init(struct logs_sink *sink, const struct logs_options *options, const char *pod,
                    const char *container, size_t n_containers);
// 0, or -EIO where stdout takes no more.
int logs_sink_write(struct logs_sink *sink, const char *text, size_t len);
// The last line may have no end.
int logs_sink_end(struct logs_sink *sink);
void logs_sink_free(struct logs_sink *sink);
