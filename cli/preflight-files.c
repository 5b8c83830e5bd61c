// See preflight-internal.h: the directories that a control plane will live in, and how fast the
// disk under etcd's is.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/monotime.h"
#include "cli/preflight-facts.h"
#include "cli/preflight-internal.h"

// etcd's own recommendation: writes of about 2300 bytes with fdatasync, 99 of 100 within 10 ms.
enum { SYNCS = 64, SYNC_BYTES = 2300, SYNC_LIMIT_USEC = 10000, SYNC_TIME_SEC = 3 };

// ---- manifests ----

static bool is_ours(const struct preflight *p, const char *file)
{
    LIST_EACH (draft, &p->subject->pods->drafts)
        for (size_t i = 0; i < draft->pods.n; i++) {
            _cleanup_free_ char *name = pod_short_name(draft->pods.items[i]);
            _cleanup_free_ char *own = xasprintf("%s.yaml", name);
            if (str_equal(file, own))
                return true;
        }
    return false;
}

void preflight_manifests(struct preflight *p)
{
    const char *path = p->subject->manifests;
    _cleanup_buffer_ struct buffer names = BUFFER_EMPTY;
    DIR *dir = opendir(path);
    if (!dir && errno != ENOENT) {
        preflight_find(p, PREFLIGHT_ERROR, NULL, "%s cannot be read: %s", path, strerror(errno));
        return;
    }
    for (const struct dirent *entry; dir && (entry = readdir(dir));)
        if (draft_is_manifest_name(entry->d_name) && !is_ours(p, entry->d_name))
            buffer_printf(&names, "%s%s", names.len > 0 ? ", " : "", entry->d_name);
    if (dir)
        closedir(dir);
    if (names.len > 0)
        preflight_find(
            p, PREFLIGHT_WARNING, NULL,
            "%s is not empty: %s will run beside the control plane. Take away what should "
            "not",
            path, buffer_str(&names));
    else
        preflight_find(p, PREFLIGHT_GOOD, NULL, "%s holds nothing else", path);
}

// ---- etcd's data ----

static size_t count_entries(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    for (const struct dirent *entry; dir && (entry = readdir(dir));)
        n += !str_equal(entry->d_name, ".") && !str_equal(entry->d_name, "..") &&
             !str_equal(entry->d_name, "lost+found");
    if (dir)
        closedir(dir);
    return n;
}

void preflight_etcd_data(struct preflight *p)
{
    const struct pod *pod = NULL;
    const char *dir = p->subject->plane->etcd_data_dir;
    if (!preflight_container(p, "etcd", &pod))
        return;
    if (count_entries(dir) == 0)
        preflight_find(p, PREFLIGHT_GOOD, NULL, "%s is empty", dir);
    else if (preflight_is_there(p, pod))
        preflight_find(p, PREFLIGHT_GOOD, NULL, "%s is that of this node's etcd", dir);
    else
        preflight_find(p, PREFLIGHT_ERROR, NULL,
                       "%s is not empty, and there is no manifest of an etcd that it could belong "
                       "to: it would go on as the member that it was, whatever the flags say. Move "
                       "it away (or `mainstay reset`); to go on with it, "
                       "--ignore-preflight-errors=EtcdData",
                       dir);
}

// ---- etcd's disk ----

static int open_scratch(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    _cleanup_free_ char *path = xasprintf("%s/.mainstay-preflight-XXXXXX", dir);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static size_t measure(const struct preflight *p, int fd, int64_t *usec, size_t most)
{
    char block[SYNC_BYTES];
    memset(block, 'm', sizeof(block));
    monotime end = monotime_add_ms(monotime_now(), SYNC_TIME_SEC * MSEC_PER_SEC);
    size_t n = 0;
    while (n < most && !monotime_reached(end, monotime_now())) {
        int64_t taken = p->machine->write_synced(fd, block, sizeof(block));
        if (taken < 0) {
            errno = (int)-taken;
            return 0;
        }
        usec[n++] = taken;
    }
    return n;
}

void preflight_etcd_disk(struct preflight *p)
{
    int64_t usec[SYNCS];
    if (!preflight_container(p, "etcd", NULL))
        return;
    _cleanup_free_ char *dir = preflight_nearest(p->subject->plane->etcd_data_dir);
    _cleanup_close_ int fd = open_scratch(dir);
    size_t n = fd >= 0 ? measure(p, fd, usec, SYNCS) : 0;
    if (n == 0) {
        preflight_find(p, PREFLIGHT_NOT_CHECKED, NULL, "%s cannot be written: %s", dir,
                       strerror(errno));
        return;
    }
    int64_t p99 = facts_percentile(usec, n, 99);
    if (p99 > SYNC_LIMIT_USEC)
        preflight_find(
            p, PREFLIGHT_WARNING, NULL,
            "99 of 100 small writes are on the disk of %s within %.1f ms; etcd recommends "
            "10 ms at most, or leaders change for want of heartbeats. Give it an SSD of "
            "its own (--etcd-data-dir)",
            dir, (double)p99 / (double)USEC_PER_MSEC);
    else
        preflight_find(p, PREFLIGHT_GOOD, NULL,
                       "99 of 100 small writes are on the disk of %s within %.1f ms", dir,
                       (double)p99 / (double)USEC_PER_MSEC);
}
