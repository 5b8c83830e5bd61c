// Reading a cluster's file: kubeadm's documents, and ours (cluster.h shows it).
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "manifests/cluster-internal.h"
#include "manifests/fields.h"

#define API_VERSION "mainstay.dev/v1"

// What the document says, until it is put into the cluster.
struct document {
    struct cluster *cluster;
    const char *discovery, *kind, *virtual_ip, *interface;
    int64_t port, etcd_client_port, etcd_peer_port;
};

// An error of cluster.c, which knows no place, with the place of the value.
static int placed(const struct fields_reader *reader, const struct yaml_value *value,
                  const char *path, int code, struct error *err)
{
    return code < 0 ? fields_wrong(reader, value, path, "%s", error_message(err)) : 0;
}

static int read_roles(const struct fields_reader *reader, const struct yaml_value *value,
                      unsigned *ret)
{
    static const char path[] = "nodes.roles";
    static const char *const names[] = {"control-plane", "etcd", "apiserver"};
    if (value->kind != YAML_KIND_SEQUENCE || value->n_items == 0)
        return fields_wrong(reader, value, path,
                            "must be a list of control-plane, etcd or apiserver");
    for (size_t i = 0; i < value->n_items; i++) {
        const char *text = NULL;
        int code = fields_text(reader, path, value->items[i], &text);
        if (code < 0)
            return code;
        unsigned role = cluster_role_parse(text);
        const char *nearest = text ? str_nearest(text, names, ARRAY_SIZE(names)) : NULL;
        if (role == 0)
            return fields_wrong(reader, value->items[i], path,
                                "no role \"%s\"%s%s%s: there are control-plane, etcd and apiserver",
                                text ? text : "", nearest ? "; did you mean \"" : "",
                                nearest ? nearest : "", nearest ? "\"?" : "");
        *ret |= role;
    }
    return 0;
}

// {name: m1, address: 10.0.0.1, roles: […]}
static int read_node_mapping(const struct fields_reader *reader, const char *path,
                             const struct yaml_value *item, const char **ret_name,
                             const char **ret_address, unsigned *ret_roles)
{
    static const char *const names[] = {"name", "address", "roles"};
    int code = 0;
    for (size_t i = 0; i < item->n_pairs && code == 0; i++) {
        const struct yaml_pair *pair = &item->pairs[i];
        _cleanup_free_ char *place = xasprintf("%s.%s", path, pair->key);
        if (yaml_is_null(pair->value))
            continue;
        if (str_equal(pair->key, "name"))
            code = fields_text(reader, place, pair->value, ret_name);
        else if (str_equal(pair->key, "address"))
            code = fields_text(reader, place, pair->value, ret_address);
        else if (str_equal(pair->key, "roles") && ret_roles)
            code = read_roles(reader, pair->value, ret_roles);
        else
            fields_unknown(reader, pair, place, names, ARRAY_SIZE(names));
    }
    if (code == 0 && !*ret_name)
        code = fields_wrong(reader, item, path, "a node must have a name");
    if (code == 0 && !*ret_address)
        code = fields_wrong(reader, item, path, "node %s has no address", *ret_name);
    return code;
}

static int read_nodes_of(const struct fields_reader *reader, const struct field *field,
                         const struct yaml_value *value, bool balancers)
{
    const struct document *document = reader->to;
    int code = 0;
    if (value->kind != YAML_KIND_SEQUENCE)
        return fields_wrong(reader, value, field->path, "must be a list, not %s",
                            yaml_kind_name(value));
    for (size_t i = 0; i < value->n_items && code == 0; i++) {
        _cleanup_error_ struct error err = ERROR_NONE;
        const struct yaml_value *item = value->items[i];
        const char *name = NULL, *address = NULL;
        unsigned roles = 0;
        if (item->kind != YAML_KIND_MAPPING) { // NAME=IP
            code = fields_text(reader, field->path, item, &name);
            if (code < 0)
                return code;
            name = name ? name : "";
            code = balancers ? cluster_add_balancer_node(document->cluster, name, &err)
                             : cluster_add_node(document->cluster, name, 0, &err);
        } else {
            code = read_node_mapping(reader, field->path, item, &name, &address,
                                     balancers ? NULL : &roles);
            if (code < 0)
                return code;
            code = balancers ? cluster_put_balancer_node(document->cluster, name, address, &err)
                             : cluster_put_node(document->cluster, name, address, roles, &err);
        }
        code = placed(reader, item, field->path, code, &err);
    }
    return code;
}

static int read_nodes(const struct fields_reader *reader, const struct field *field,
                      const struct yaml_value *value, void *to)
{
    return read_nodes_of(reader, field, value, false);
}

static int read_balancer_nodes(const struct fields_reader *reader, const struct field *field,
                               const struct yaml_value *value, void *to)
{
    return read_nodes_of(reader, field, value, true);
}

static int read_kind(const struct fields_reader *reader, const struct field *field,
                     const struct yaml_value *value, void *to)
{
    const struct document *document = reader->to;
    _cleanup_error_ struct error err = ERROR_NONE;
    const char *text = NULL;
    int code = fields_text(reader, field->path, value, &text);
    if (code < 0 || !text)
        return code;
    code = cluster_set_balancer(document->cluster, text, &err);
    return placed(reader, value, field->path, code, &err);
}

static int read_virtual_ip(const struct fields_reader *reader, const struct field *field,
                           const struct yaml_value *value, void *to)
{
    const struct document *document = reader->to;
    _cleanup_error_ struct error err = ERROR_NONE;
    const char *text = NULL;
    int code = fields_text(reader, field->path, value, &text);
    if (code < 0 || !text)
        return code;
    code = cluster_set_virtual_ip(document->cluster, text, &err);
    return placed(reader, value, field->path, code, &err);
}

static const struct field fields[] = {
    FIELD_ROW_PASSED("apiVersion"),
    FIELD_ROW_PASSED("kind"),
    FIELD_ROW_CUSTOM("nodes", struct document, cluster, read_nodes),
    FIELD_ROW_TEXT("etcdDiscovery", struct document, discovery),
    FIELD_ROW_PORT("etcdClientPort", struct document, etcd_client_port),
    FIELD_ROW_PORT("etcdPeerPort", struct document, etcd_peer_port),
    FIELD_ROW_GROUP("loadBalancer"),
    FIELD_ROW_CUSTOM("loadBalancer.kind", struct document, kind, read_kind),
    FIELD_ROW_PORT("loadBalancer.port", struct document, port),
    FIELD_ROW_CUSTOM("loadBalancer.virtualIP", struct document, virtual_ip, read_virtual_ip),
    FIELD_ROW_TEXT("loadBalancer.interface", struct document, interface),
    FIELD_ROW_CUSTOM("loadBalancer.nodes", struct document, cluster, read_balancer_nodes),
};

static int check_header(const struct fields_reader *reader, const struct yaml_value *document,
                        bool *seen)
{
    const struct yaml_value *version = yaml_lookup(document, "apiVersion");
    const struct yaml_value *kind = yaml_lookup(document, "kind");
    if (!str_equal(version->text, API_VERSION))
        return fields_wrong(reader, version, "apiVersion",
                            "\"%s\" is not known here: use " API_VERSION, version->text);
    if (!str_equal(kind->text, "Cluster"))
        return fields_wrong(reader, kind, "kind", "\"%s\" is not known here: use Cluster",
                            kind->text);
    if (*seen)
        return fields_wrong(reader, kind, "kind", "a second Cluster");
    *seen = true;
    return 0;
}

static int read_document(const struct fields_reader *reader, const struct yaml_value *value,
                         bool *seen)
{
    struct document *document = reader->to;
    int code = check_header(reader, value, seen);
    if (code == 0)
        code = fields_read(reader, value);
    if (code < 0)
        return code;
    document->cluster->balancer.port = (int)document->port;
    document->cluster->etcd_client_port = (int)document->etcd_client_port;
    document->cluster->etcd_peer_port = (int)document->etcd_peer_port;
    document->cluster->etcd_discovery = xstrdup_or_null(document->discovery);
    cluster_set_interface(document->cluster, document->interface);
    return 0;
}

// kubeadm_config_read() has seen to it that every document is a mapping with a version and a kind.
static bool is_ours(const struct yaml_value *document)
{
    const struct yaml_value *version = yaml_lookup(document, "apiVersion");
    return !yaml_is_null(version) && version->kind == YAML_KIND_SCALAR &&
           str_starts_with(version->text, "mainstay.dev/");
}

int cluster_read(const char *file, const void *data, size_t size, struct cluster *ret,
                 struct string_list *warnings, struct error *err)
{
    _cleanup_cluster_ struct cluster cluster = {0};
    struct document document = {.cluster = &cluster};
    const struct fields_reader reader = {
        .file = file,
        .who = "mainstay",
        .fields = fields,
        .n = ARRAY_SIZE(fields),
        .to = &document,
        .warnings = warnings,
        .err = err,
    };
    bool seen = false;
    int code = kubeadm_config_read(file, data, size, &cluster.file, warnings, err);
    for (size_t i = 0; code == 0 && i < yaml_tree_documents(cluster.file.tree); i++) {
        const struct yaml_value *value = yaml_tree_document(cluster.file.tree, i);
        if (is_ours(value))
            code = read_document(&reader, value, &seen);
    }
    if (code == 0) {
        *ret = cluster;
        cluster = (struct cluster){0};
    }
    return code;
}
