// Which devices a container may open: those of its /dev, whatever nodes it makes (CAP_MKNOD is
// among the usual capabilities) or finds in a volume. A BPF program on its cgroup of v2, as
// runtimes have it; a privileged container has none.
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/macro.h"

struct device_filter;

// Loads the program. Fails where the kernel or the lack of CAP_SYS_ADMIN forbids.
int device_filter_new(struct device_filter **ret, struct error *err);
void device_filter_free(struct device_filter *filter); // cgroups keep theirs
DEFINE_CLEANUP(struct device_filter *, device_filter_free)

// Whether a container under the filter can open this device.
bool device_filter_allows(const struct stat *device);

// Attaches it to a cgroup of v2, for the processes that will be in it. -EBADF: it is one of v1.
int device_filter_attach(const struct device_filter *filter, const char *cgroup_dir,
                         struct error *err);
