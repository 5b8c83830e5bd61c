// What the files container-spec*.c share; nobody else includes it.
#pragma once

#include "supervisor/container-spec.h"
#include "supervisor/image.h"

// What the files passwd and group of a root say about a user.
struct container_user {
    int64_t gid;            // primary group; 0 where the user is unknown
    char *name;             // NULL where it is unknown
    char *home;             // "/" where it is unknown
    struct int_list groups; // in which the user is a member
};

void container_user_find(const char *root, int64_t uid, struct container_user *ret);
void container_user_clear(struct container_user *user);

// Credentials and what else a security context decides. `root`: where passwd and group are looked
// up ("" for the host).
int container_spec_security(const struct container_spec_options *options, const struct pod *pod,
                            const struct container *container, const char *root,
                            struct shim_spec *spec, struct error *err);

// The system call filter, once the capabilities of *spec are set. What is wrong is with the
// profile's file (the reason CreateContainerError).
int container_spec_seccomp(const struct container_spec_options *options, const struct pod *pod,
                           const struct container *container, struct shim_spec *spec,
                           struct error *err);

// AppArmor profile and SELinux label; a note says what of them is not enforced here.
int container_spec_lsm(const struct container_spec_options *options, const struct pod *pod,
                       const struct container *container, struct shim_spec *spec,
                       struct string_list *notes, struct error *err);

// "<root>/pods/<uid>/containers/<container>/<restart>": its overlay layers. The caller
// frees.
char *container_spec_instance_dir(const struct container_spec_options *options,
                                  const struct pod *pod, const char *container,
                                  uint64_t restart_count);

// Makes the overlay layers. The log, its directory and the termination file are made by the shim.
int container_spec_make_files(const struct container_spec_options *options, const struct pod *pod,
                              const struct container *container, uint64_t restart_count,
                              struct shim_spec *spec, struct error *err);
