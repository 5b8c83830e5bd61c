// A snapshot of etcd as a file: etcd's database and behind it the 32 bytes of its SHA-256, as
// etcdctl writes it and expects it for a restore. It appears under its name only when it is whole,
// synced and read back.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/macro.h"

enum { SNAPSHOT_SUM_SIZE = 32 };

struct snapshot_file {
    char *path, *temporary; // temporary NULL: it has no name yet (O_TMPFILE)
    int directory_fd, fd;
    struct digest *digest;                 // of what came before the tail
    unsigned char tail[SNAPSHOT_SUM_SIZE]; // the last bytes that have come
    size_t tail_len;
    int64_t size; // with the sum
};
#define SNAPSHOT_FILE_EMPTY                                                                        \
    {                                                                                              \
        .directory_fd = -1, .fd = -1                                                               \
    }

// Whoever ends here leaves nothing behind, killed or not: only where a file system knows no files
// without a name (O_TMPFILE) and the process is killed, ".NAME.part-PID" stays.
int snapshot_file_begin(const char *path, struct snapshot_file *ret, struct error *err);
// An etcd_snapshot_fn.
int snapshot_file_add(void *userdata, const void *data, size_t len, struct error *err);
// -EBADMSG where the sum is not the one that etcd has sent, -EIO where the disk gives back
// something else than was written, -EEXIST where the name is taken and `replace` is not set.
int snapshot_file_publish(struct snapshot_file *file, bool replace, struct error *err);
void snapshot_file_abandon(struct snapshot_file *file); // also after it was published
#define _cleanup_snapshot_file_ _cleanup_(snapshot_file_abandon)

struct snapshot_sum {
    int64_t size; // of the file
    char sha256[DIGEST_HEX_SIZE];
};
// Reads all of it: 0, -EBADMSG where it is no snapshot or not whole, or open's and read's errno.
int snapshot_verify(const char *path, struct snapshot_sum *ret, struct error *err);
