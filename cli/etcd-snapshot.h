// `mainstay etcd snapshot`: what its files share.
#pragma once

#include <stdbool.h>

#include "cli/etcd.h"

// True for what `snapshot save --dir` calls its files: "etcd-20261121T174500Z.db".
bool etcd_snapshot_is_name(const char *name);

// `mainstay etcd snapshot restore FILE`.
int etcd_snapshot_restore(const struct etcd_options *options, const char *const *words, size_t n);
