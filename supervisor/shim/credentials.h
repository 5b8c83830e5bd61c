// As whom a container runs: ids, groups, capabilities, no_new_privs, OOM score. Used by the
// container's first process between its mounts and execve(). System calls instead of libcap: the
// shim is linked statically and must stay small.
#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "supervisor/shim/shim-spec.h"

// The number of a capability by its Kubernetes name ("NET_ADMIN", also "CAP_NET_ADMIN", in any
// case), or -EINVAL.
int credentials_capability(const char *name);

// The set that the spec asks for, as bits, out of `have` (what this process may hand on): the
// runtimes' default set or all of `have`, then add and drop ("ALL" means every one; an explicit
// name wins over "ALL" of the other list). A capability that is asked for and not in `have`, or
// unknown, is said in `warnings`.
uint64_t credentials_capabilities(const struct shim_spec *spec, uint64_t have,
                                  struct buffer *warnings);

// The bounding set of this process.
uint64_t credentials_bounding_set(void);

// In a new user namespace: maps the ids that the spec asks for (0 unless it names others) to the
// caller's ids outside, which `uid` and `gid` are.
int credentials_map_ids(const struct shim_spec *spec, uint32_t uid, uint32_t gid,
                        struct error *err);

// Writes /proc/self/oom_score_adj. That it cannot be lowered here is a warning.
void credentials_set_oom_score(const struct shim_spec *spec, struct buffer *warnings);

// Says with which AppArmor profile and SELinux label the next execve() comes: in the files of
// `attr`, which is /proc/self/attr. 0, or an error where the spec asks for one that is refused.
int credentials_set_labels(const struct shim_spec *spec, int attr, struct error *err);

// Takes on everything else, for good. Where the spec has a system call filter and no
// no_new_privileges, CAP_SYS_ADMIN is kept for credentials_install_filter(); execve() takes it
// away.
int credentials_apply(const struct shim_spec *spec, struct buffer *warnings, struct error *err);

// Installs the system call filter, if there is one: the last thing before execve(), so that a
// profile need not allow what a shim does, but what its program does.
int credentials_install_filter(const struct shim_spec *spec, struct error *err);
