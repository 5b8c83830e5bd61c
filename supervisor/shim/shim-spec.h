// Everything a shim must know to run one container, and its form on the wire. The agent writes it
// to a sealed memfd that the shim reads at start; no other input reaches the shim but its control
// socket. Stands on base only.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/string-list.h"

enum shim_root_kind {
    SHIM_ROOT_HOST,    // the host's root, in a mount namespace of its own
    SHIM_ROOT_OVERLAY, // root_lower read-only below, root_upper/root_work private above
};

#define SHIM_TERMINATION_DEFAULT "/dev/termination-log" // K/apis/core/v1/defaults.go
enum { // of the files that containers write their termination messages to
    SHIM_TERMINATION_MODE = 0666,     // whoever the container runs as may write it
    SHIM_TERMINATION_DIR_MODE = 0700, // but others on the node do not get there
};

enum shim_path_check { // hostPath types, pkg/volume/hostpath/host_path.go
    SHIM_PATH_ANY,
    SHIM_PATH_DIRECTORY_OR_CREATE, // mkdir -p 0755
    SHIM_PATH_DIRECTORY,
    SHIM_PATH_FILE_OR_CREATE, // 0644, parents are not made
    SHIM_PATH_FILE,
    SHIM_PATH_SOCKET,
    SHIM_PATH_CHAR_DEVICE,
    SHIM_PATH_BLOCK_DEVICE,
};

struct shim_mount {
    char *source;      // absolute path on the host
    char *destination; // absolute path in the container; mount points are made where missing
    char *volume;      // the volume's name, for messages
    char *sub_path;    // below source, resolved without leaving it; NULL for none
    bool read_only;
    bool recursive_read_only; // with read_only: what is mounted below it, too
    bool propagate_from_host; // HostToContainer (rslave); else private
    bool propagate_both;      // Bidirectional (rshared)
    enum shim_path_check check;
};

struct shim_limit { // a file of a cgroup and what is written into it, at start
    char *path;     // absolute
    char *value;
    bool required; // a failure is an error; else a warning in the start report
};

struct shim_bytes {
    void *data;
    size_t size;
};

// In the order in which a person thinks of it.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct shim_spec {
    // Who it is: for the log file, the journal and the process title.
    char *id; // "<pod uid>_<container>_<restart count>"
    char *pod_namespace, *pod_name, *pod_uid, *container, *node;
    uint64_t restart_count;

    // What runs.
    struct string_list argv; // argv[0] is looked up in PATH of `environment`, inside the root
    struct string_list environment; // "NAME=value"
    char *working_dir;              // NULL: "/"

    // Where it runs.
    enum shim_root_kind root_kind;
    char *root_lower, *root_upper, *root_work;
    bool root_read_only;
    struct string_list
        path_prepend; // directories bound or already on the host, first in PATH (image bin/)
    LIST_OF(struct shim_mount) mounts;
    bool new_pid_namespace, new_ipc_namespace, new_uts_namespace, new_net_namespace;
    bool new_user_namespace; // unprivileged agent: uid 0 inside is the caller outside
    char *hostname;          // with new_uts_namespace
    // Those of the pod, as files that are joined (new_… is false then); NULL: not joined.
    char *net_namespace, *ipc_namespace, *uts_namespace, *pid_namespace;
    char *shm_dir;                    // what is /dev/shm in the pod's IPC namespace
    struct string_list hidden_mounts; // of the agent, detached where the root is the host's

    // As whom. -1: as the agent itself.
    int64_t run_as_user, run_as_group;
    LIST_OF(int64_t) supplemental_groups;
    bool no_new_privileges, privileged;
    struct string_list capabilities_add, capabilities_drop; // "NET_ADMIN", "ALL"
    bool default_capabilities;        // drop to the runtimes' default set before add and drop
    int64_t oom_score_adj;            // INT64_MIN: leave
    int64_t stop_signal;              // 0: TERM
    struct shim_bytes seccomp_filter; // an array of struct sock_filter; empty: none
    int64_t seccomp_flags;            // SECCOMP_FILTER_FLAG_LOG, _SPEC_ALLOW
    char *apparmor_profile;           // NULL: as the agent
    char *selinux_label;              // "user:role:type:level"; NULL: as the policy has it
    bool proc_unmasked;               // procMount Unmasked: nothing of /proc is hidden

    // Its cgroups (v2 leaf first, then v1 leaves); made by the agent, empty where there are none.
    struct string_list cgroup_dirs;      // the container's
    struct string_list shim_cgroup_dirs; // the shim's own
    LIST_OF(struct shim_limit) limits;
    // The limits that this host cannot enforce, a sentence each: the agent's own note, kept here
    // for the agent after it.
    struct string_list unenforced;

    // Where podmaster tells until when this node may have the pod (base/fence-state.h); NULL: it
    // does not guard it.
    char *fence;

    // Its logs.
    char *log_path;         // ".../<container>/<restart>.log"
    int64_t log_max_bytes;  // rotate at this size (containerLogMaxSize); 0: never
    int64_t log_max_files;  // containerLogMaxFiles, the current one included
    char *journal_socket;   // NULL: do not write to the journal
    char *termination_path; // in the container, NULL for none
    // On the host, bound to it; made, or emptied, by the shim. NULL: it is a file directly in the
    // container's own /dev, and what it says in the end comes with the exit.
    char *termination_file;

    bool stdin_open, tty;
    int64_t exec_output_max; // bytes of output that an exec for a probe or hook may return
};

void shim_spec_free(struct shim_spec *spec); // what it owns, not the struct itself
// Lets go of the filter, which an agent needs no more once the shim has it.
void shim_spec_drop_filter(struct shim_spec *spec);

// The wire form: a magic, a version, then tagged records; unknown tags are passed over, so that an
// agent and a shim of neighbouring releases understand each other. Decoding bounds every length.
void shim_spec_encode(const struct shim_spec *spec, struct buffer *out);
int shim_spec_decode(const void *data, size_t size, struct shim_spec *ret, struct error *err);
