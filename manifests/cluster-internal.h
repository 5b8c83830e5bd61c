// What the files of a cluster share.
#pragma once

#include "manifests/cluster.h"

// "etcd", "apiserver", "control-plane": 0 for any other.
unsigned cluster_role_parse(const char *name);

// -EINVAL with what is wrong about "NAME" and "IP" (messages start with the name).
int cluster_check_node(const char *name, const char *address, struct error *err);

// Adds a node to a list, or roles to the node that is there.
int cluster_put_node(struct cluster *cluster, const char *name, const char *address, unsigned roles,
                     struct error *err);
int cluster_put_balancer_node(struct cluster *cluster, const char *name, const char *address,
                              struct error *err);

// An address in its one usual form (inet_ntop's); NULL where it is none, or NULL. The caller frees.
char *cluster_address(const char *text);
