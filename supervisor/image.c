// See image.h.
#include "supervisor/image.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"

enum {
    NAME_MAX_LENGTH = 255, // distribution/reference: NameTotalLengthMax
    TAG_MAX_LENGTH = 128,
    DEPTH_MAX = 16,
};

void image_clear(struct image *image)
{
    free(image->name);
    free(image->tag);
    free(image->dir);
    free(image->path);
    *image = (struct image){0};
}

// ---- references ----

static bool all_of(const char *s, size_t length, const char *more)
{
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr(more, s[i]))
            return false;
    return true;
}

// One part of the name. The first may be a registry's host and port.
static bool is_name_part(const char *part, size_t length, bool host)
{
    if (length == 0 || !isalnum((unsigned char)part[0]) ||
        !isalnum((unsigned char)part[length - 1]))
        return false;
    if (!all_of(part, length, host ? "._-:" : "._-"))
        return false;
    const char *colon = memchr(part, ':', length);
    if (colon && strspn(colon + 1, "0123456789") != (size_t)(part + length - colon - 1))
        return false;
    for (size_t i = 0; i < length; i++)
        if ((part[i] == '.' && part[i + 1] == '.') || (!host && isupper((unsigned char)part[i])))
            return false;
    return true;
}

static bool is_name(const char *name)
{
    bool first = true;
    for (const char *p = name;; first = false) {
        size_t length = strcspn(p, "/");
        bool host = first && p[length] == '/';
        if (!is_name_part(p, length, host))
            return false;
        if (!p[length])
            return strlen(name) <= NAME_MAX_LENGTH;
        p += length + 1;
    }
}

static bool is_tag(const char *tag)
{
    size_t length = strlen(tag);
    return length > 0 && length <= TAG_MAX_LENGTH &&
           (isalnum((unsigned char)*tag) || *tag == '_') && all_of(tag, length, "._-");
}

static bool is_digest(const char *digest)
{
    const char *colon = strchr(digest, ':');
    size_t length = strlen(digest);
    return colon && colon > digest && all_of(digest, (size_t)(colon - digest), "+._-") &&
           length - (size_t)(colon + 1 - digest) >= 32 && length <= TAG_MAX_LENGTH &&
           isalnum((unsigned char)*digest) && all_of(colon + 1, strlen(colon + 1), "");
}

int image_parse(const char *reference, char **ret_name, char **ret_tag, struct error *err)
{
    _cleanup_free_ char *name = xstrdup(reference ? reference : "");
    _cleanup_free_ char *tag = NULL;
    char *at = strchr(name, '@');
    bool valid = true;
    if (at) {
        *at = '\0';
        tag = xstrdup(at + 1);
        valid = is_digest(tag);
    }
    char *slash = strrchr(name, '/'), *colon = strrchr(name, ':');
    if (colon && (!slash || colon > slash)) {
        *colon = '\0';
        valid = valid && is_tag(colon + 1);
        if (!tag)
            tag = xstrdup(colon + 1);
    }
    if (!valid || !is_name(name))
        return error_set(err, EINVAL, "\"%s\" is no image reference (NAME[:TAG][@DIGEST])",
                         reference ? reference : "");
    *ret_name = TAKE_PTR(name);
    *ret_tag = tag ? TAKE_PTR(tag) : xstrdup("latest");
    return 0;
}

// ---- directories ----

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static char *image_dir(const char *root_dir, const char *prefix, const struct image *image)
{
    return xasprintf("%s/images/%s%s/%s", root_dir, prefix, image->name, image->tag);
}

// "etcd" is also looked for as "docker.io/library/etcd", which is what it is short for.
static char *find_dir(const char *root_dir, const struct image *image)
{
    static const char *const prefixes[] = {"", "docker.io/library/", "docker.io/"};
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        char *dir = image_dir(root_dir, prefixes[i], image);
        if (is_directory(dir))
            return dir;
        free(dir);
    }
    return NULL;
}

int image_find(const char *root_dir, const char *reference, struct image *ret,
               const char **ret_reason, struct error *err)
{
    struct image image = {.kind = IMAGE_HOST};
    int code = image_parse(reference, &image.name, &image.tag, err);
    if (code < 0) {
        *ret_reason = "InvalidImageName";
        return code;
    }
    image.dir = find_dir(root_dir, &image);
    if (!image.dir) {
        image.dir = image_dir(root_dir, "", &image);
        *ret = image;
        return 0;
    }
    static const char *const inside[] = {[IMAGE_ROOTFS] = "rootfs", [IMAGE_BIN] = "bin"};
    for (size_t i = 0; i < ARRAY_SIZE(inside); i++) {
        _cleanup_free_ char *path = path_join(image.dir, inside[i]);
        if (!is_directory(path))
            continue;
        image.kind = (enum image_kind)i;
        image.path = TAKE_PTR(path);
        *ret = image;
        return 0;
    }
    *ret_reason = "ErrImagePull";
    code =
        error_set(err, EUCLEAN, "the image directory %s has neither rootfs/ nor bin/", image.dir);
    image_clear(&image);
    return code;
}

// ---- commands ----

static int check_command(const char *file)
{
    struct stat st;
    if (stat(file, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EACCES;
    return access(file, X_OK) < 0 ? -errno : 0;
}

int image_find_command(const char *command, const char *path, char **ret)
{
    int result = -ENOENT;
    if (strchr(command, '/')) {
        int code = check_command(command);
        if (code == 0)
            *ret = xstrdup(command);
        return code;
    }
    for (const char *p = path; *p;) {
        size_t length = strcspn(p, ":");
        _cleanup_free_ char *file = xasprintf("%.*s/%s", (int)length, p, command);
        int code = length ? check_command(file) : -ENOENT;
        if (code == 0) {
            *ret = TAKE_PTR(file);
            return 0;
        }
        if (code == -EACCES)
            result = code;
        p += length + (p[length] == ':');
    }
    return result;
}

// ---- the list ----

// Goes down until a directory holds a rootfs/ or bin/: that one is an image's.
static void list_below(const char *dir, const char *name, int depth, struct string_list *ret)
{
    DIR *stream = depth < DEPTH_MAX ? opendir(dir) : NULL;
    if (!stream)
        return;
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (entry->d_name[0] == '.')
            continue;
        _cleanup_free_ char *child = path_join(dir, entry->d_name);
        _cleanup_free_ char *rootfs = path_join(child, "rootfs"), *bin = path_join(child, "bin");
        if (*name && (is_directory(rootfs) || is_directory(bin))) {
            bool digest = strchr(entry->d_name, ':') != NULL;
            string_list_add_owned(ret,
                                  xasprintf("%s%c%s", name, digest ? '@' : ':', entry->d_name));
        } else if (is_directory(child)) {
            _cleanup_free_ char *longer =
                *name ? path_join(name, entry->d_name) : xstrdup(entry->d_name);
            list_below(child, longer, depth + 1, ret);
        }
    }
    closedir(stream);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int image_list(const char *root_dir, struct string_list *ret, struct error *err)
{
    _cleanup_free_ char *images = path_join(root_dir, "images");
    if (!is_directory(images))
        return 0;
    list_below(images, "", 0, ret);
    if (ret->n > 1)
        qsort(ret->items, ret->n, sizeof(*ret->items), compare_names);
    return 0;
}
