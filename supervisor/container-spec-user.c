// Users and groups by number, from the files passwd(5) and group(5) of the container's root. Read
// directly: a name service may block, and it is the container's files that count.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/container-spec-internal.h"

enum { FILE_MAX = 1 << 20, GROUPS_MAX = 1024 };

static char *read_file(const char *root, const char *name)
{
    struct buffer text = BUFFER_EMPTY;
    // A symlink in the image must not lead to a file of the host.
    _cleanup_close_ int dir = open(*root ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = dir < 0 ? -1 : fs_open_beneath(dir, name, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0 || fs_read_fd(fd, FILE_MAX, &text) < 0) {
        buffer_free(&text);
        return NULL;
    }
    return buffer_take(&text);
}

// The n-th field of a line "a:b:c", which is cut up. Short lines have empty fields.
static size_t split(char *line, char **fields, size_t most)
{
    size_t n = 0;
    while (n < most && line)
        fields[n++] = strsep(&line, ":");
    return n;
}

static void find_user(const char *root, int64_t uid, struct container_user *ret)
{
    _cleanup_free_ char *text = read_file(root, "etc/passwd");
    char *rest = text;
    for (char *line; rest && (line = strsep(&rest, "\n"));) {
        char *fields[7];
        long long id, gid;
        if (split(line, fields, ARRAY_SIZE(fields)) < 6 ||
            str_to_int(fields[2], 0, UINT32_MAX, &id) < 0 || id != uid ||
            str_to_int(fields[3], 0, UINT32_MAX, &gid) < 0)
            continue;
        ret->name = xstrdup(fields[0]);
        ret->gid = gid;
        free(ret->home);
        ret->home = xstrdup(*fields[5] ? fields[5] : "/");
        return;
    }
}

static bool is_member(char *members, const char *name)
{
    for (char *member; (member = strsep(&members, ","));)
        if (strcmp(member, name) == 0)
            return true;
    return false;
}

static void find_groups(const char *root, struct container_user *ret)
{
    _cleanup_free_ char *text = read_file(root, "etc/group");
    char *rest = text;
    for (char *line; rest && (line = strsep(&rest, "\n"));) {
        char *fields[4];
        long long gid;
        if (split(line, fields, ARRAY_SIZE(fields)) < 4 ||
            str_to_int(fields[2], 0, UINT32_MAX, &gid) < 0 || ret->groups.n >= GROUPS_MAX ||
            !is_member(fields[3], ret->name))
            continue;
        *LIST_APPEND(&ret->groups) = gid;
    }
}

void container_user_find(const char *root, int64_t uid, struct container_user *ret)
{
    *ret = (struct container_user){.home = xstrdup("/")};
    find_user(root, uid, ret);
    if (ret->name)
        find_groups(root, ret);
}

void container_user_clear(struct container_user *user)
{
    free(user->name);
    free(user->home);
    free(user->groups.items);
    *user = (struct container_user){0};
}
