// How etcd is reached from this node, and what its own member is: by etcdctl's flags, else by what
// the flags of the manifests name (kube-apiserver's as a client, etcd's own), and by the cluster
// file. `mainstay etcd`, `mainstay check quorum` and the guard share it.
#pragma once

#include "base/error.h"
#include "base/macro.h"
#include "base/string-list.h"
#include "cli/node-manifests.h"
#include "etcd/client.h"

// What the operator has said; any may be NULL.
struct etcd_access_flags {
    const char *endpoints; // "https://a:2379,https://b:2379"; "a:2379" is https where there is a CA
    const char *cacert, *cert, *key; // files
    const char *manifests;           // a directory or file
    const char *cluster_file; // default: CLUSTER_FILE, unless endpoints or manifests are named
};

// This node's member as its manifest says.
struct etcd_local {
    char *file;     // the manifest; NULL where this node has none
    char *pod_name; // without "-<node>"
    char *container_name, *image;
    char *name;                    // --name
    char *data_dir, *wal_dir;      // on this host
    char *client_urls, *peer_urls; // --advertise-client-urls, --initial-advertise-peer-urls
    char *initial_cluster, *token; // NULL where the flags do not say
    char *initial_cluster_state;   // the same
};

struct etcd_access {
    struct string_list endpoints; // the nearest first, each once; without a slash at the end
    char *cacert, *cert, *key;    // NULL: plain http
    struct etcd_local local;
    char *apiserver_file, *apiserver_servers; // its manifest, --etcd-servers; NULL: none here
};

// What the manifests say; ret->endpoints is empty where they do not.
void etcd_access_from_manifests(const struct node_manifests *manifests, struct etcd_access *ret);

// `manifest_path` is where to look unless the flags say. -ENOENT where nobody says where etcd is,
// with what to do about it. etcd_access_free() it in either case.
int etcd_access_find(const struct etcd_access_flags *flags, const char *manifest_path,
                     struct etcd_access *ret, struct error *err);
void etcd_access_free(struct etcd_access *access);
#define _cleanup_etcd_access_ _cleanup_(etcd_access_free)

// A client of these endpoints, NULL: of all that are known. timeout_msec as etcd_config's.
int etcd_access_connect(const struct etcd_access *access, const struct string_list *endpoints,
                        int timeout_msec, struct etcd_client **ret, struct error *err);
