// See node-entry.h.
#include "manifests/node-entry.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "podspec/checks.h"

enum { ENTRY_MAX = 4096, PORT_MAX = 65535 };

static const struct {
    const char *name;
    unsigned roles;
} role_names[] = {
    {"control-plane", NODE_CONTROL_PLANE},
    {"apiserver", NODE_APISERVER},
    {"etcd", NODE_ETCD},
};

void node_entries_free(struct node_entries *entries)
{
    for (size_t i = 0; i < entries->n; i++) {
        free(entries->items[i].name);
        free(entries->items[i].address);
    }
    free(entries->items);
    *entries = (struct node_entries){0};
}

char *node_entry_key(const char *name)
{
    return xasprintf(NODE_ENTRY_PREFIX "%s", name);
}

char *node_entry_text(const struct cluster_node *node, int api_port)
{
    json_auto_t *object = json_object(), *roles = json_array();
    unsigned left = node->roles;
    for (size_t i = 0; i < ARRAY_SIZE(role_names); i++) {
        if (role_names[i].roles & ~left)
            continue;
        json_array_append_new(roles, json_string(role_names[i].name));
        left &= ~role_names[i].roles;
    }
    json_object_set_new(object, "address", json_string(node->address));
    json_object_set(object, "roles", roles);
    if (node->roles & NODE_APISERVER)
        json_object_set_new(object, "apiServerPort", json_integer(api_port));
    _cleanup_free_ char *text = json_dumps(object, JSON_COMPACT);
    return xstrdup(text ? text : "{}");
}

// ---- reading ----

static int read_roles(const json_t *roles, unsigned *ret)
{
    size_t i = 0;
    const json_t *role = NULL;
    if (!json_is_array(roles))
        return -EBADMSG;
    json_array_foreach (roles, i, role) {
        const char *name = json_string_value(role);
        if (!name)
            return -EBADMSG;
        for (size_t k = 0; k < ARRAY_SIZE(role_names); k++)
            if (str_equal(name, role_names[k].name))
                *ret |= role_names[k].roles;
    }
    return 0;
}

static int read_entry(const char *name, const json_t *object, struct node_entry *ret,
                      struct error *err)
{
    const char *address = json_string_value(json_object_get(object, "address"));
    long long port = json_integer_value(json_object_get(object, "apiServerPort"));
    unsigned roles = 0;
    if (check_dns_subdomain(name))
        return error_set(err, EBADMSG, "\"%s\" is no node's name", name);
    if (!address || check_ip(address))
        return error_set(err, EBADMSG, "address: must be an IP address");
    if (read_roles(json_object_get(object, "roles"), &roles) < 0)
        return error_set(err, EBADMSG, "roles: must be a list of strings");
    if ((roles & NODE_APISERVER) && (port < 1 || port > PORT_MAX))
        return error_set(err, EBADMSG, "apiServerPort: must be a port");
    *ret = (struct node_entry){.name = xstrdup(name),
                               .address = xstrdup(address),
                               .roles = roles,
                               .api_port = (roles & NODE_APISERVER) ? (int)port : 0};
    return 0;
}

static int read_kv(const struct etcd_kv *kv, struct node_entry *ret, struct error *err)
{
    const char *key = buffer_str(&kv->key);
    if (kv->value.len > ENTRY_MAX)
        return error_set(err, EBADMSG, "%s: is longer than %d bytes", key, ENTRY_MAX);
    json_error_t why;
    json_auto_t *object =
        json_loadb(buffer_str(&kv->value), kv->value.len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(object))
        return error_set(err, EBADMSG, "%s: is no JSON object", key);
    int code = read_entry(key + strlen(NODE_ENTRY_PREFIX), object, ret, err);
    return code < 0 ? error_prefix(err, code, "%s", key) : 0;
}

static int by_name(const void *a, const void *b)
{
    const struct node_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void sort(struct node_entries *entries)
{
    if (entries->n > 1)
        qsort(entries->items, entries->n, sizeof(entries->items[0]), by_name);
}

int node_entries_read(const struct etcd_range *range, struct node_entries *entries,
                      struct error *err)
{
    LIST_EACH (kv, &range->kvs) {
        struct node_entry entry = {0};
        if (!str_starts_with(buffer_str(&kv->key), NODE_ENTRY_PREFIX))
            continue;
        int code = read_kv(kv, &entry, err);
        if (code < 0)
            return code;
        *LIST_APPEND(entries) = entry;
    }
    sort(entries);
    return 0;
}

void node_entries_of(const struct cluster *cluster, struct node_entries *entries)
{
    for (size_t i = 0; i < cluster->n_nodes; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        *LIST_APPEND(entries) = (struct node_entry){
            .name = xstrdup(node->name),
            .address = xstrdup(node->address),
            .roles = node->roles,
            .api_port = (node->roles & NODE_APISERVER) ? cluster_api_port(cluster) : 0,
        };
    }
    sort(entries);
}
