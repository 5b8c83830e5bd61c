// What init and join have made on this node, so that `mainstay reset` takes away that and nothing
// else: a list in /etc/mainstay/made, "KIND PATH" a line. A path is written down before it is made.
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/macro.h"
#include "base/string-list.h"

#define MADE_FILE "/etc/mainstay/made"

enum made_kind {
    MADE_MANIFEST,
    MADE_KUBECONFIG,
    MADE_PKI,
    MADE_ETCD_DATA, // what is in that directory
    MADE_BALANCER,  // its configuration
    MADE_CLUSTER,   // the cluster file
    MADE_KINDS,
};

struct made_item {
    enum made_kind kind;
    char *path;
};
struct made_list {
    LIST_OF(struct made_item) items;
    bool listed; // by the file; else these are the usual places
};
void made_list_free(struct made_list *list);
#define _cleanup_made_list_ _cleanup_(made_list_free)

// Where a node's things lie. All borrowed, absolute, without a slash at the end.
struct node_places {
    const char *pki_dir, *kubeconfig_dir, *manifests, *etcd_data_dir;
    const char *cluster_file, *made_file;
    const char *root; // "" for none
    // Of an external etcd, where they came with the sealed file; NULL for those that did not.
    const char *external[3];
};

// Writes down what init or join may make there and is not there now (of a directory: is empty).
// Adds to what the list says; synced. 0, or a negative errno.
int made_note(const struct node_places *places, struct error *err);

// What is there and was made: by the list, or without one what lies at the usual places; with what
// `mainstay pki` has left beside it (earlier certificates, a rotation's keys). `ret_kept` gets what
// lies at the usual places and was there before.
int made_load(const struct node_places *places, struct made_list *ret, struct made_list *ret_kept,
              struct error *err);
