// The volume mounts of a container as its status tells them: v1 VolumeMountStatus
// (pkg/apis/core/v1, since Kubernetes 1.30), which says whether recursiveReadOnly: IfPossible was
// possible.
#include "base/string-list.h"
#include "supervisor/json-text.h"
#include "supervisor/status-internal.h"
#include "supervisor/volumes.h"

json_t *status_volume_mounts(const struct container *container)
{
    json_t *list = json_array();
    LIST_EACH (mount, &container->volumeMounts) {
        json_t *item = json_object();
        json_set_text(item, "name", mount->name);
        json_set_text(item, "mountPath", mount->mountPath);
        if (mount->readOnly) {
            json_object_set_new(item, "readOnly", json_true());
            json_set_text(item, "recursiveReadOnly",
                          volumes_is_recursively_read_only(mount) ? "Enabled" : "Disabled");
        }
        json_array_append_new(list, item);
    }
    return list;
}
