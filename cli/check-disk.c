// See check.h: room on the file systems that a node lives on.
#include "cli/check.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"

// etcd's directory may be made by its first start: what counts is where it will be.
static int stat_nearest(const char *path, struct statvfs *ret)
{
    _cleanup_free_ char *at = xstrdup(path);
    while (statvfs(at, ret) < 0) {
        char *slash = strrchr(at, '/');
        if (errno != ENOENT || !slash || slash[1] == '\0')
            return -errno;
        slash[slash == at] = '\0'; // "/a" becomes "/"
    }
    return 0;
}

static void format_bytes(unsigned long long bytes, char *buf, size_t size)
{
    static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    size_t unit = 0;
    while (bytes >= 10240 && unit + 1 < ARRAY_SIZE(units)) {
        bytes /= 1024;
        unit++;
    }
    snprintf(buf, size, "%llu%s", bytes, units[unit]);
}

// Whole percents, downwards: 9.9 is less than 10.
static int percent(unsigned long long part, unsigned long long whole)
{
    return whole > 0 ? (int)((long double)part * 100 / (long double)whole) : 100;
}

static bool judge(const struct check_options *options, const char *path, struct buffer *good,
                  struct buffer *bad)
{
    struct statvfs vfs;
    char room[40];
    int r = stat_nearest(path, &vfs);
    if (r < 0) {
        check_add(bad, "%s: %s", path, strerror(-r));
        return false;
    }
    int free = percent(vfs.f_bavail, vfs.f_blocks - (vfs.f_bfree - vfs.f_bavail));
    int inodes = percent(vfs.f_favail, vfs.f_files);
    format_bytes((unsigned long long)vfs.f_bavail * vfs.f_frsize, room, sizeof(room));
    bool well = free >= options->min_free && inodes >= options->min_inodes;
    if (free < options->min_free)
        check_add(bad, "%s has %d%% of its room free (%s), less than %lld%%", path, free, room,
                  (long long)options->min_free);
    if (inodes < options->min_inodes)
        check_add(bad, "%s has %d%% of its inodes free (%llu), less than %lld%%", path, inodes,
                  (unsigned long long)vfs.f_favail, (long long)options->min_inodes);
    if (vfs.f_flag & ST_RDONLY) {
        check_add(bad, "%s is mounted read-only", path);
        well = false;
    }
    if (well)
        check_add(good, "%s %d%% free (%s)", path, free, room);
    return well;
}

int check_disk(const struct check_options *options, const char *const *words, size_t n,
               struct buffer *out, struct error *err)
{
    _cleanup_buffer_ struct buffer good = BUFFER_EMPTY;
    bool well = true;
    for (size_t i = 0; i < n; i++)
        well = judge(options, words[i], &good, out) && well;
    if (well)
        buffer_add_str(out, buffer_str(&good));
    return well;
}
