// What cgroups this host has, and where in them this agent may have its own. See cgroup.h.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/fs.h"
#include "base/lock.h"
#include "supervisor/cgroup-internal.h"

enum { PROC_FILE_MAX = 4 << 20 };

static const char *const controller_names[] = {
    [CGROUP_CPU] = "cpu",         [CGROUP_MEMORY] = "memory", [CGROUP_PIDS] = "pids",
    [CGROUP_IO] = "io", // no v1 hierarchy has a controller of this name
    [CGROUP_FREEZER] = "freezer",
};

const char *cgroup_controller_name(enum cgroup_controller controller)
{
    return controller_names[controller];
}

struct mount { // one line of mountinfo; borrowed from it
    const char *root, *point, *type, *options;
};

// "36 35 98:0 /root /point rw,noatime shared:1 - type source options"
static bool parse_mount(char *line, struct mount *ret)
{
    char *rest = line, *fields[5], *dash = strstr(line, " - ");
    if (!dash)
        return false;
    *dash = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (!(fields[i] = strsep(&rest, " ")))
            return false;
    rest = dash + 3;
    ret->root = fields[3];
    ret->point = fields[4];
    ret->type = strsep(&rest, " ");
    strsep(&rest, " ");
    ret->options = rest;
    return ret->type && ret->options;
}

static bool list_has(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, name, length) == 0 && (p[length] == ',' || p[length] == '\0'))
            return true;
    return false;
}

// Our own path in the hierarchy of a v1 controller (NULL: the v2 hierarchy), or NULL.
static char *own_path(const char *membership, const char *controller)
{
    _cleanup_free_ char *copy = xstrdup(membership);
    char *rest = copy;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *path = line;
        const char *number = strsep(&path, ":");
        const char *controllers = path ? strsep(&path, ":") : NULL;
        if (!path || !controllers)
            continue;
        if (controller ? list_has(controllers, controller)
                       : strcmp(number, "0") == 0 && !*controllers)
            return xstrdup(path);
    }
    return NULL;
}

static bool is_unit(const char *name)
{
    return str_ends_with(name, ".service") || str_ends_with(name, ".scope") ||
           str_ends_with(name, ".slice");
}

char *cgroup_above_units(const char *path)
{
    char *above = xstrdup(path);
    for (char *slash; (slash = strrchr(above, '/')) && is_unit(slash + 1);)
        *slash = '\0';
    if (!*above) {
        free(above);
        above = xstrdup("/");
    }
    return above;
}

static char *try_base(const char *mount, const char *below, const char *name)
{
    _cleanup_free_ char *parent = path_join(mount, below + strspn(below, "/"));
    _cleanup_free_ char *base = path_join(parent, name);
    if (fs_mkdir_parents(AT_FDCWD, base, 0755) < 0)
        return NULL;
    _cleanup_free_ char *procs = path_join(base, "cgroup.procs");
    return access(base, W_OK | X_OK) == 0 && access(procs, W_OK) == 0 ? TAKE_PTR(base) : NULL;
}

// The first directory from above the units down to our own in which we may make one.
static char *make_base(const struct mount *mount, const char *own, const char *name)
{
    size_t root_length = strcmp(mount->root, "/") == 0 ? 0 : strlen(mount->root);
    // A mount that shows only a part of the hierarchy: the path is relative to that part.
    bool inside = strncmp(own, mount->root, root_length) == 0;
    const char *relative = inside && own[root_length] ? own + root_length : "/";
    _cleanup_free_ char *from = cgroup_above_units(relative);
    for (size_t length = strlen(from);;) {
        _cleanup_free_ char *below = xstrndup(relative, length);
        char *base = try_base(mount->point, below, name);
        if (base || !relative[length])
            return base;
        length += 1 + strcspn(relative + length + 1, "/");
    }
}

static void enable(const char *dir, const char *controller)
{
    char value[32];
    snprintf(value, sizeof(value), "+%s", controller);
    (void)cgroup_write(dir, "cgroup.subtree_control", value); // what came of it is read afterwards
}

// From the directory in which ours was made down to ours, whose name may have several parts.
static void enable_down_to(const char *base, const char *name)
{
    _cleanup_free_ char *dir = xstrdup(base);
    for (char *end = dir + strlen(base) - strlen(name) - 1; end; end = strchr(end + 1, '/')) {
        char saved = *end;
        *end = '\0';
        for (int i = 0; i < CGROUP_FREEZER; i++)
            enable(dir, controller_names[i]);
        *end = saved;
    }
    for (int i = 0; i < CGROUP_FREEZER; i++)
        enable(base, controller_names[i]);
}

static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *p = words; p && (p = strstr(p, word)); p += length)
        if ((p == words || p[-1] == ' ') && strchr(" \n", p[length]))
            return true;
    return false;
}

static void open_v2(struct cgroup_tree *tree, const struct mount *mount, const char *membership,
                    const char *name)
{
    _cleanup_free_ char *own = own_path(membership, NULL);
    tree->mount_v2 = xstrdup(mount->point);
    tree->v2 = own ? make_base(mount, own, name) : NULL;
    if (!tree->v2)
        return;
    _cleanup_free_ char *kill_file = path_join(tree->v2, "cgroup.kill");
    _cleanup_free_ char *freeze_file = path_join(tree->v2, "cgroup.freeze");
    tree->v2_kill = access(kill_file, W_OK) == 0;
    tree->v2_freeze = access(freeze_file, W_OK) == 0;
    enable_down_to(tree->v2, name);
    _cleanup_free_ char *enabled = cgroup_read(tree->v2, "cgroup.subtree_control");
    for (int i = 0; i < CGROUP_FREEZER; i++)
        tree->v2_controls[i] = has_word(enabled, controller_names[i]);
}

static void open_v1(struct cgroup_tree *tree, const struct mount *mount, const char *membership,
                    const char *name)
{
    for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
        if (tree->v1[i] || !list_has(mount->options, controller_names[i]))
            continue;
        _cleanup_free_ char *own = own_path(membership, controller_names[i]);
        tree->v1[i] = own ? make_base(mount, own, name) : NULL;
    }
}

static void describe(struct cgroup_tree *tree)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    if (tree->v2) {
        buffer_printf(&out, "v2 at %s (%s", tree->mount_v2, tree->v2_kill ? "kill, " : "");
        buffer_add_str(&out, tree->v2_freeze ? "freeze" : "no freeze");
        for (int i = 0; i < CGROUP_FREEZER; i++)
            if (tree->v2_controls[i])
                buffer_printf(&out, ", %s", controller_names[i]);
        buffer_add_str(&out, ")");
    }
    const char *separator = tree->v2 ? "; v1 " : "v1 ";
    for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
        if (!tree->v1[i])
            continue;
        buffer_printf(&out, "%s%s", separator, controller_names[i]);
        separator = ", ";
    }
    if (tree->v2_controls[CGROUP_CPU])
        buffer_printf(&out, "; cpu.weight by the %s formula",
                      cgroup_weight_formula_name(tree->policy.weight));
    if (out.len == 0)
        buffer_add_str(&out, "none: no writable cgroup (run as root, or delegate one)");
    free(tree->description);
    tree->description = buffer_take(&out);
}

int cgroup_tree_open_from(const char *mountinfo, const char *membership, const char *name,
                          struct cgroup_tree **ret, struct error *err)
{
    _cleanup_free_ char *guarded = xasprintf("/%s", name);
    if (!*name || *name == '/' || str_ends_with(name, "/") || !path_is_clean_absolute(guarded))
        return error_set(err, EINVAL, "\"%s\" cannot be the name of a cgroup", name);
    struct cgroup_tree *tree = xcalloc(1, sizeof(*tree));
    tree->lock_fd = -1;
    tree->policy = CGROUP_POLICY_DEFAULT;
    _cleanup_free_ char *copy = xstrdup(mountinfo);
    char *rest = copy;
    for (char *line; (line = strsep(&rest, "\n"));) {
        struct mount mount;
        if (!parse_mount(line, &mount))
            continue;
        if (strcmp(mount.type, "cgroup2") == 0 && !tree->v2 && !tree->mount_v2)
            open_v2(tree, &mount, membership, name);
        else if (strcmp(mount.type, "cgroup") == 0)
            open_v1(tree, &mount, membership, name);
    }
    if (tree->v2 && tree->v1[CGROUP_FREEZER]) { // v2 freezes and kills better
        rmdir(tree->v1[CGROUP_FREEZER]);
        free(TAKE_PTR(tree->v1[CGROUP_FREEZER]));
    }
    describe(tree);
    *ret = tree;
    return 0;
}

static int lock_base(struct cgroup_tree *tree, struct error *err)
{
    const char *base = tree->v2 ? tree->v2 : tree->v1[CGROUP_FREEZER];
    if (!base)
        return 0;
    tree->lock_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tree->lock_fd >= 0 && lock_take(tree->lock_fd) == -EWOULDBLOCK)
        return error_set(err, EBUSY,
                         "another agent keeps its pods in the cgroup %s: give this one its own "
                         "--cgroup-name",
                         base);
    return 0;
}

int cgroup_tree_open(const char *name, struct cgroup_tree **ret, struct error *err)
{
    _cleanup_buffer_ struct buffer mountinfo = BUFFER_EMPTY, membership = BUFFER_EMPTY;
    // Without these files there are no cgroups, which is no error.
    (void)fs_read_file(AT_FDCWD, "/proc/self/mountinfo", PROC_FILE_MAX, &mountinfo);
    (void)fs_read_file(AT_FDCWD, "/proc/self/cgroup", PROC_FILE_MAX, &membership);
    struct cgroup_tree *tree = NULL;
    int code =
        cgroup_tree_open_from(buffer_str(&mountinfo), buffer_str(&membership), name, &tree, err);
    if (code < 0 || !tree)
        return code;
    code = lock_base(tree, err);
    if (code < 0) {
        cgroup_tree_free(tree);
        return code;
    }
    *ret = tree;
    return 0;
}

void cgroup_tree_free(struct cgroup_tree *tree)
{
    if (!tree)
        return;
    for (int i = 0; i < CGROUP_CONTROLLERS; i++)
        free(tree->v1[i]);
    free(tree->v2);
    free(tree->mount_v2);
    free(tree->description);
    if (tree->lock_fd >= 0)
        close(tree->lock_fd);
    free(tree);
}

void cgroup_tree_set_policy(struct cgroup_tree *tree, const struct cgroup_policy *policy)
{
    tree->policy = *policy;
    describe(tree);
}

const struct cgroup_policy *cgroup_tree_policy(const struct cgroup_tree *tree)
{
    return &tree->policy;
}

const char *cgroup_tree_describe(const struct cgroup_tree *tree)
{
    return tree->description;
}

bool cgroup_tree_has_v2(const struct cgroup_tree *tree)
{
    return tree->v2 != NULL;
}

bool cgroup_tree_can_kill(const struct cgroup_tree *tree)
{
    return tree->v2 || tree->v1[CGROUP_FREEZER];
}
