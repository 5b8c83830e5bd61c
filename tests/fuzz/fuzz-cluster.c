// A cluster's file: whatever it is, what could be read and resolved is written, read and written
// again to the same bytes, and each of its nodes can be planned.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "manifests/cluster.h"

static void check_planes(const struct cluster *cluster)
{
    _cleanup_string_list_ struct string_list owned = {0};
    for (size_t i = 0; i < cluster->n_nodes && i < 4; i++) {
        _cleanup_error_ struct error err = ERROR_NONE;
        struct control_plane plane;
        if (cluster_plane(cluster, &cluster->nodes[i], NULL, &plane, &owned, &err) < 0)
            continue;
        for (int j = 0; j < COMPONENTS; j++) {
            _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
            control_plane_render(&plane, (enum control_plane_component)j, &out, &err);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_cluster_ struct cluster cluster = {0}, again = {0};
    _cleanup_string_list_ struct string_list warnings = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_buffer_ struct buffer first = BUFFER_EMPTY, second = BUFFER_EMPTY;
    if (size > KUBEADM_CONFIG_MAX || cluster_read("f", data, size, &cluster, &warnings, &err) < 0 ||
        cluster_resolve(&cluster, &warnings, &err) < 0)
        return 0;
    check_planes(&cluster);
    cluster_text(&cluster, &first);
    if (cluster_read("f", buffer_str(&first), first.len, &again, NULL, &err) < 0 ||
        cluster_resolve(&again, NULL, &err) < 0)
        abort();
    cluster_text(&again, &second);
    if (!str_equal(buffer_str(&first), buffer_str(&second)))
        abort();
    return 0;
}
