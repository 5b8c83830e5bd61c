// Image references, and the directories that stand for images: <root>/images/NAME/TAG with a
// rootfs/ or a bin/ in it. Nothing is pulled.
#pragma once

#include "base/error.h"
#include "base/string-list.h"

enum image_kind {
    IMAGE_ROOTFS, // the container runs inside `path`
    IMAGE_BIN,    // it runs on the host's root, with `path` first in PATH
    IMAGE_HOST,   // there is no such image here: the host's own files
};

struct image {
    enum image_kind kind;
    char *name; // "registry.k8s.io/etcd"
    char *tag;  // "3.4.13-0"; "latest" where none is given; "sha256:…" for a digest
    char *dir;  // "<root>/images/registry.k8s.io/etcd/3.4.13-0"
    char *path; // dir/rootfs or dir/bin; NULL for IMAGE_HOST
};

void image_clear(struct image *image);

// Splits a reference into name and tag: 0, or -EINVAL where it is none (distribution/reference).
// What comes out is safe as a path below images/.
int image_parse(const char *reference, char **ret_name, char **ret_tag, struct error *err);

// Finds the image of a reference. 0 also for IMAGE_HOST; -EINVAL with *ret_reason
// "InvalidImageName", or -EUCLEAN with "ErrImagePull" for a directory without rootfs/ and bin/.
int image_find(const char *root_dir, const char *reference, struct image *ret,
               const char **ret_reason, struct error *err);

// Looks a command up as a container on the host's root will: in the directories of `path` ("a:b")
// unless it holds a slash. -ENOENT or -EACCES where it is not there. The caller frees *ret.
int image_find_command(const char *command, const char *path, char **ret);

// All image directories, "NAME:TAG" each, sorted.
int image_list(const char *root_dir, struct string_list *ret, struct error *err);
