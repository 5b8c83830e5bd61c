// `mainstay balancer`: what its two halves, render and follow, share.
#pragma once

#include "base/error.h"
#include "cli/commands.h"
#include "cli/etcd-access.h"
#include "manifests/balancer.h"
#include "manifests/cluster.h"
#include "manifests/file-set.h"
#include "manifests/node-entry.h"

struct balancer_options {
    struct common_options common;
    const char *cluster_file, *node_name, *root;
    bool offline, write;
    struct etcd_access_flags etcd;
};

// This node in its cluster.
struct balancer_site {
    struct cluster cluster;
    const struct cluster_node *node; // of the cluster
    const char *root;                // "" for none
};

// Reads the cluster file and finds the node in it (by --node-name, else by this host's name). 0, or
// a negative errno. balancer_site_free() it in either case.
int balancer_site_load(const struct balancer_options *options, struct balancer_site *ret,
                       struct error *err);
void balancer_site_free(struct balancer_site *site);
#define _cleanup_balancer_site_ _cleanup_(balancer_site_free)

// A client of etcd by flags, by this node's manifests, else by the cluster's file. -ENOENT where
// this machine has no way to etcd.
int balancer_connect(const struct balancer_options *options, const struct balancer_site *site,
                     struct etcd_client **ret, struct error *err);
// The nodes as etcd knows them, and the store's revision at that time.
int balancer_ask_etcd(struct etcd_client *client, struct node_entries *ret, int64_t *ret_revision,
                      struct error *err);

// True where an apiserver is among them: else the cluster was laid out without init and join, and
// its file holds.
bool balancer_is_registered(const struct node_entries *entries);

// True where this node has a configuration of the balancer's already.
bool balancer_has_files(const struct balancer_site *site);

// Puts the file in its place where it is another than what is there, once the program that it is
// for has found it good (where that program is on this machine). 1: written, 0: it was the same.
int balancer_put_file(const char *root, const struct file_set_file *file, struct error *err);

// Keeps what the HAProxy that runs below this root knows of servers that are down, for the worker
// that a reload with this configuration starts (RUN_DIR/servers: templates/haproxy.cfg). Without
// HAProxy nothing is kept. It waits for two seconds at most.
void balancer_keep_servers(const char *root, const struct buffer *configuration);

int balancer_follow(const struct balancer_options *options);
