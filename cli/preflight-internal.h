// What the files of preflight share: a check adds its findings to the run.
#pragma once

#include "cli/preflight.h"

struct preflight {
    const struct preflight_machine *machine;
    const struct preflight_subject *subject;
    const struct string_list *ignored;
    struct preflight_report *report;
    const char *check; // its name
};

// A finding under the check's name, or with `what` under "NAME-WHAT".
void preflight_find(struct preflight *p, enum preflight_verdict verdict, const char *what,
                    const char *format, ...) _printf_(4, 5);

// True where the container's manifest is in force already: written there before, by this command.
bool preflight_is_there(const struct preflight *p, const struct pod *pod);
// The container of this component among those to run here; NULL where it is not to run here.
const struct container *preflight_container(const struct preflight *p, const char *program,
                                            const struct pod **ret_pod);
// The nearest directory on the way to `path` that is there. The caller frees.
char *preflight_nearest(const char *path);

// ---- preflight-host.c ----
void preflight_swap(struct preflight *p);
void preflight_memory(struct preflight *p);
void preflight_disk_space(struct preflight *p);
void preflight_cgroups(struct preflight *p);
void preflight_clock(struct preflight *p);
// ---- preflight-ports.c ----
void preflight_ports(struct preflight *p);
// ---- preflight-names.c ----
void preflight_address(struct preflight *p);
void preflight_hostname(struct preflight *p);
void preflight_names(struct preflight *p);
// ---- preflight-files.c ----
void preflight_manifests(struct preflight *p);
void preflight_etcd_data(struct preflight *p);
void preflight_etcd_disk(struct preflight *p);
// ---- preflight-versions.c ----
void preflight_versions(struct preflight *p);
// ---- preflight-cluster.c ----
void preflight_clock_skew(struct preflight *p);
void preflight_cluster_versions(struct preflight *p);
