// etcd's own programs, etcdutl and etcdctl, for what only they can do: make a data directory of a
// snapshot, look into one.
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "cli/etcd-access.h"

// The program's path: in the image of this node's etcd (its version then fits), else in PATH.
// -ENOENT, with what to install. The caller frees.
int etcd_tool_find(const struct etcd_access *access, char **ret, struct error *err);

// Runs it (argv[0] is the path) and collects what it says on both channels, up to 1 MiB. 0, or
// -EREMOTEIO where it failed, with its last line.
int etcd_tool_run(char *const *argv, struct buffer *out, struct error *err);
