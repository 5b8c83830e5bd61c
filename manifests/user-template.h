// Manifests of the user's own that are filled in for each node. Other than in the templates of the
// control plane (render.h), ${NAME} may stand anywhere, also without quotes, because what may take
// its place is known: names, addresses, URLs, none of which means anything to YAML or to a shell.
//
//   ${NAME}    a value; a name that is not known is an error
//   $${NAME}   ${NAME} itself
//   $(NAME)    left as it is: Kubernetes' own
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "manifests/cluster.h"

enum { USER_TEMPLATE_MAX = 1 << 20 };

// A value of the text: NODE_NAME, NODE_IP, NODE_ROLES; ETCD_NAME…: see user-template.c's table.
// NULL where there is none of this name for this node.
struct user_template_values {
    const struct cluster *cluster;
    const struct cluster_node *node;
    const struct control_plane *plane;
    const char *discovery_token; // NULL: not said
};

// "NODE_NAME, NODE_IP, …": every name, for messages and the manual.
void user_template_names(struct buffer *out);

// Appends the text filled in. 0, or -EINVAL with "FILE:LINE:COL: …".
int user_template_fill(const char *file, const char *text,
                       const struct user_template_values *values, struct buffer *out,
                       struct error *err);

// True for what may be a discovery token: letters, digits, "-" and "_", at most 128.
bool discovery_token_is_valid(const char *token);
