// What etcd says of a node, which whoever can write there has chosen: a name and a value, with a
// NUL between them. What is taken becomes one line of the balancer's configuration, and no more.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "manifests/balancer.h"

enum { INPUT_MAX = 8192 };

static const char file[] = "apiVersion: mainstay.dev/v1\nkind: Cluster\n"
                           "nodes: [{name: m1, address: 10.0.0.1}]\n"
                           "loadBalancer: {kind: haproxy, port: 8443}\n";

static size_t count(const char *text, const char *words)
{
    size_t n = 0;
    for (; (text = strstr(text, words)); text += strlen(words))
        n++;
    return n;
}

static void render(const struct node_entries *entries)
{
    struct cluster cluster = {0};
    struct file_set files = {0};
    if (cluster_read("t.yaml", file, strlen(file), &cluster, NULL, NULL) < 0 ||
        cluster_resolve(&cluster, NULL, NULL) < 0)
        abort();
    bool serves = entries->items[0].roles & NODE_APISERVER;
    int code = balancer_render(&cluster, &cluster.nodes[0], NULL, entries, BALANCER_CONFIGURATION,
                               &files, NULL);
    if ((code == 0) != serves)
        abort();
    if (serves && count(buffer_str(&files.items[0].text), "\n    server ") != 1)
        abort();
    file_set_free(&files);
    cluster_free(&cluster);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_etcd_range_ struct etcd_range range = {0};
    _cleanup_node_entries_ struct node_entries entries = {0};
    size_t name = size > 0 ? strnlen((const char *)data, size) : 0;
    if (name >= size || size > INPUT_MAX)
        return 0;
    struct etcd_kv *kv = calloc(1, sizeof(*kv));
    if (!kv)
        return 0;
    range.kvs.items = kv;
    range.kvs.n = 1;
    buffer_add_str(&kv->key, NODE_ENTRY_PREFIX);
    buffer_add(&kv->key, data, name);
    buffer_add(&kv->value, data + name + 1, size - name - 1);
    if (node_entries_read(&range, &entries, NULL) == 0)
        render(&entries);
    return 0;
}
