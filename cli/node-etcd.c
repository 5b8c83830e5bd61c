// See node-etcd.h.
#include "cli/node-etcd.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "manifests/node-entry.h"
#include "pki/layout.h"

void node_etcd_free(struct node_etcd *etcd)
{
    string_list_free(&etcd->endpoints);
    free(etcd->cacert);
    free(etcd->cert);
    free(etcd->key);
}

static void add_urls(struct string_list *list, const char *urls)
{
    for (const char *p = urls; *p; p += *p == ',') {
        size_t len = strcspn(p, ",");
        if (len > 0)
            string_list_add_owned(list, xstrndup(p, len));
        p += len;
    }
}

static void find_endpoints(const struct node_plan *plan, bool self, struct string_list *ret)
{
    const struct cluster *cluster = &plan->cluster;
    for (size_t i = 0; i < cluster->file.etcd_endpoints.n; i++)
        string_list_add(ret, cluster->file.etcd_endpoints.items[i]);
    for (size_t i = 0; i < cluster->n_nodes && !cluster->file.has_external_etcd; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        if ((node->roles & NODE_ETCD) && (node != plan->self || self))
            string_list_add_owned(ret, pki_url(node->address, plan->plane.etcd_client_port));
    }
}

void node_etcd_find(const struct node_plan *plan, const char *endpoints, bool self,
                    struct node_etcd *ret)
{
    const struct kubeadm_config *file = &plan->cluster.file;
    const char *pki = plan->plane.pki_dir;
    if (endpoints)
        add_urls(&ret->endpoints, endpoints);
    else
        find_endpoints(plan, self, &ret->endpoints);
    if (file->has_external_etcd) {
        ret->cacert = xstrdup_or_null(file->etcd_ca_file);
        ret->cert = xstrdup_or_null(file->etcd_certificate_file);
        ret->key = xstrdup_or_null(file->etcd_key_file);
        return;
    }
    ret->cacert = path_join(pki, "etcd/ca.crt");
    bool member = plan->self->roles & NODE_ETCD;
    ret->cert =
        path_join(pki, member ? "etcd/healthcheck-client.crt" : "apiserver-etcd-client.crt");
    ret->key = path_join(pki, member ? "etcd/healthcheck-client.key" : "apiserver-etcd-client.key");
}

int node_etcd_connect(const struct node_etcd *etcd, int timeout_msec, struct etcd_client **ret,
                      struct error *err)
{
    const struct etcd_config config = {
        .endpoints = &etcd->endpoints,
        .cacert = etcd->cacert,
        .cert = etcd->cert,
        .key = etcd->key,
        .timeout_msec = timeout_msec,
    };
    return etcd_client_new(&config, ret, err);
}

int node_etcd_register(const struct node_plan *plan, struct etcd_client *client, struct error *err)
{
    _cleanup_etcd_kv_ struct etcd_kv old = {0};
    _cleanup_free_ char *key = node_entry_key(plan->self->name);
    int port = plan->self->roles & NODE_APISERVER ? plan->plane.api_port : 0;
    _cleanup_free_ char *text = node_entry_text(plan->self, port);
    int code = etcd_get(client, key, &old, NULL, err);
    if (code == 0 && str_equal(buffer_str(&old.value), text))
        return 0;
    if (code < 0 && code != -ENOENT)
        return code;
    code = etcd_put(client, key, text, strlen(text), 0, err);
    return code < 0 ? code : 1;
}
