// The table's rows of a container: what runs, its environment, ports and mounts.
#include <assert.h>
#include <stddef.h>

#include "podspec/table.h"

#define CONFIG_MAP_NOTE                                                                            \
    "ConfigMaps live in the API server, which a static pod must not depend on; write the value "   \
    "into the manifest, or mount a file of the node with a hostPath volume"
#define SECRET_NOTE                                                                                \
    "Secrets live in the API server, which a static pod must not depend on; keep the value in a "  \
    "file of the node and mount it with a hostPath volume"

static const struct field_schema container_port_fields[] = {
    ROW_STRING(container_port, name, .check = check_port_name,
               .doc = "A name for probes and services to use."),
    ROW_INT(container_port, hostPort, .min = 0, .max = 65535,
            .doc = "The node's own port. Under hostNetwork it equals containerPort, and is taken "
                   "from there where unset."),
    ROW_INT(container_port, containerPort, .required = true, .min = 1, .max = 65535,
            .doc = "The port that the container listens on."),
    ROW_STRING(container_port, protocol, .default_value = "TCP",
               .values = ONE_OF("TCP", "UDP", "SCTP"), .doc = "TCP, UDP or SCTP."),
    ROW_STRING(container_port, hostIP, .doc = "The node's address that hostPort is meant for."),
};
TYPE(container_port, "ContainerPort", "A port that a container listens on; for people to read.");

static const struct field_schema config_map_env_source_fields[] = {
    ROW_STRING(config_map_env_source, name, .required = true, .check = check_dns_subdomain,
               .doc = "The ConfigMap."),
    ROW_BOOL_PTR(config_map_env_source, optional, .doc = "Whether it may be missing."),
};
TYPE(config_map_env_source, "ConfigMapEnvSource", "A ConfigMap whose keys become variables.");

static const struct field_schema secret_env_source_fields[] = {
    ROW_STRING(secret_env_source, name, .required = true, .check = check_dns_subdomain,
               .doc = "The Secret."),
    ROW_BOOL_PTR(secret_env_source, optional, .doc = "Whether it may be missing."),
};
TYPE(secret_env_source, "SecretEnvSource", "A Secret whose keys become variables.");

static const struct field_schema env_from_source_fields[] = {
    ROW_STRING(env_from_source, prefix, .check = check_env_name,
               .doc = "What is put before each key."),
    ROW_STRUCT_PTR(env_from_source, configMapRef, config_map_env_source, .doc = "A ConfigMap."),
    ROW_STRUCT_PTR(env_from_source, secretRef, secret_env_source, .doc = "A Secret."),
};
TYPE(env_from_source, "EnvFromSource", "An object whose keys become variables.");

static const struct field_schema config_map_key_selector_fields[] = {
    ROW_STRING(config_map_key_selector, name, .required = true, .check = check_dns_subdomain,
               .doc = "The ConfigMap."),
    ROW_STRING(config_map_key_selector, key, .required = true, .check = check_config_key,
               .doc = "Its key."),
    ROW_BOOL_PTR(config_map_key_selector, optional, .doc = "Whether it may be missing."),
};
TYPE(config_map_key_selector, "ConfigMapKeySelector", "One key of a ConfigMap.");

static const struct field_schema secret_key_selector_fields[] = {
    ROW_STRING(secret_key_selector, name, .required = true, .check = check_dns_subdomain,
               .doc = "The Secret."),
    ROW_STRING(secret_key_selector, key, .required = true, .check = check_config_key,
               .doc = "Its key."),
    ROW_BOOL_PTR(secret_key_selector, optional, .doc = "Whether it may be missing."),
};
TYPE(secret_key_selector, "SecretKeySelector", "One key of a Secret.");

static const struct field_schema env_var_source_fields[] = {
    ROW_STRUCT_PTR(env_var_source, fieldRef, object_field_selector,
                   .doc = "A field of this pod: metadata.name, metadata.namespace, metadata.uid, "
                          "metadata.labels['KEY'], metadata.annotations['KEY'], spec.nodeName, "
                          "spec.serviceAccountName, status.hostIP or status.podIP."),
    ROW_STRUCT_PTR(env_var_source, resourceFieldRef, resource_field_selector,
                   .doc = "An amount of the container's resources; what the node has where no "
                          "limit is set."),
    ROW_STRUCT_PTR(env_var_source, configMapKeyRef, config_map_key_selector,
                   REFUSED(CONFIG_MAP_NOTE), .doc = "A key of a ConfigMap."),
    ROW_STRUCT_PTR(env_var_source, secretKeyRef, secret_key_selector, REFUSED(SECRET_NOTE),
                   .doc = "A key of a Secret."),
};
TYPE(env_var_source, "EnvVarSource", "Where the value of a variable comes from.");

static const struct field_schema env_var_fields[] = {
    ROW_STRING(env_var, name, .required = true, .check = check_env_name,
               .doc = "The variable's name."),
    ROW_STRING(env_var, value,
               .doc = "The value. $(NAME) stands for a variable defined before this one, $$ for "
                      "a dollar sign."),
    ROW_STRUCT_PTR(env_var, valueFrom, env_var_source,
                   .doc = "Where the value comes from, where `value` is unset."),
};
TYPE(env_var, "EnvVar", "A variable of the environment. A later one of the same name wins.");

static const struct field_schema volume_mount_fields[] = {
    ROW_STRING(volume_mount, name, .required = true, .doc = "One of spec.volumes."),
    ROW_BOOL(volume_mount, readOnly, .doc = "The container cannot write to it."),
    ROW_STRING(volume_mount, recursiveReadOnly,
               .values = ONE_OF("Disabled", "IfPossible", "Enabled"),
               .doc = "Whether mounts below a read-only one are read-only too: Disabled (where "
                      "unset), IfPossible, or Enabled (the container does not start where the "
                      "kernel, before Linux 5.12, cannot)."),
    ROW_STRING(volume_mount, mountPath, .required = true,
               .doc = "Where the volume appears in the container."),
    ROW_STRING(volume_mount, subPath, .check = check_relative_path,
               .doc = "The file or directory of the volume that is mounted instead of its root."),
    ROW_STRING(volume_mount, mountPropagation,
               .values = ONE_OF("None", "HostToContainer", "Bidirectional"),
               .doc = "Whether later mounts are seen: None (where unset), HostToContainer, or "
                      "Bidirectional (privileged containers only)."),
    ROW_STRING(volume_mount, subPathExpr, .check = check_relative_path,
               .doc = "A subPath in which $(NAME) stands for the container's variables."),
};
TYPE(volume_mount, "VolumeMount", "A volume inside a container.");

static const struct field_schema volume_device_fields[] = {
    ROW_STRING(volume_device, name, .required = true, .doc = "One of spec.volumes."),
    ROW_STRING(volume_device, devicePath, .required = true, .doc = "The device's path."),
};
TYPE(volume_device, "VolumeDevice", "A block device inside a container.");

static const struct field_schema container_restart_exit_codes_fields[] = {
    ROW_STRING(container_restart_exit_codes, operator, .required = true,
               .values = ONE_OF("In", "NotIn"),
               .doc = "Whether the exit status has to be one of the values, or none of them."),
    ROW_INT_LIST(container_restart_exit_codes, values, .min = 0, .max = INT32_MAX,
                 .doc = "Exit statuses."),
};
TYPE(container_restart_exit_codes, "ContainerRestartRuleOnExitCodes",
     "Which exit statuses a rule is for.");

static const struct field_schema container_restart_rule_fields[] = {
    ROW_STRING(container_restart_rule, action, .required = true, .values = ONE_OF("Restart"),
               .doc = "What becomes of the container: Restart starts it again."),
    ROW_STRUCT_PTR(container_restart_rule, exitCodes, container_restart_exit_codes,
                   .doc = "The exit statuses that the rule is for."),
};
TYPE(container_restart_rule, "ContainerRestartRule",
     "When a container is started again whatever its restartPolicy says.");

// The last row belongs to ephemeral containers alone; the struct begins with those of a container.
static const struct field_schema container_fields[] = {
    ROW_STRING(container, name, .required = true, .check = check_dns_label,
               .doc = "The container's name, unique within the pod."),
    ROW_STRING(container, image, .required = true, .check = check_image,
               .doc = "The image: a directory below the agent's images/, such as "
                      "registry.k8s.io/etcd:3.4.13-0 for images/registry.k8s.io/etcd/3.4.13-0/. "
                      "Without one the command is looked up on the host."),
    ROW_STRINGS(container, command,
                .doc = "The program and its arguments. $(NAME) stands for variables of the "
                       "environment."),
    ROW_STRINGS(container, args, .doc = "Arguments behind those of the command."),
    ROW_STRING(container, workingDir, .doc = "The working directory; / where unset."),
    ROW_LIST(container, ports, container_port, .doc = "The ports that the container listens on."),
    ROW_LIST(container, envFrom, env_from_source,
             REFUSED("ConfigMaps and Secrets live in the API server, which a static pod must not "
                     "depend on; write the variables under env"),
             .doc = "Objects whose keys become variables."),
    ROW_LIST(container, env, env_var, .doc = "Variables of the environment, in this order."),
    ROW_STRUCT(container, resources, resource_requirements,
               .doc = "How much cpu and memory the container gets."),
    ROW_LIST(container, resizePolicy, container_resize_policy,
             REPORTED("a changed manifest replaces the container in this release; leave it out"),
             .doc = "What a changed amount of a resource means for the running container."),
    ROW_STRING(container, restartPolicy, .values = ONE_OF("Always", "OnFailure", "Never"),
               .doc = "Whether this container is started again when it has exited; the pod's "
                      "policy where unset. On an init container, Always makes it a sidecar: the "
                      "next one starts as soon as it has started, and it runs on beside the "
                      "others, until all of them have ended."),
    ROW_LIST(container, restartPolicyRules, container_restart_rule,
             .doc = "Exceptions from the container's restartPolicy; the first one that fits "
                    "counts."),
    ROW_LIST(container, volumeMounts, volume_mount, .patch_key = "mountPath",
             .doc = "The volumes that the container sees, and where."),
    ROW_LIST(container, volumeDevices, volume_device, .patch_key = "devicePath",
             REFUSED("block volumes come from PersistentVolumeClaims, which live in the API "
                     "server; mount the device with a hostPath volume of type BlockDevice"),
             .doc = "Block devices."),
    ROW_STRUCT_PTR(container, livenessProbe, probe, .doc = "A failure restarts the container."),
    ROW_STRUCT_PTR(container, readinessProbe, probe,
                   .doc = "While it fails, the container is not ready."),
    ROW_STRUCT_PTR(container, startupProbe, probe,
                   .doc = "The other probes wait for its first success; a failure restarts the "
                          "container."),
    ROW_STRUCT_PTR(container, lifecycle, lifecycle, .doc = "Hooks at the start and the stop."),
    ROW_STRING(container, terminationMessagePath, .default_value = "/dev/termination-log",
               .doc = "The file whose end is shown when the container has exited."),
    ROW_STRING(container, terminationMessagePolicy, .default_value = "File",
               .values = ONE_OF("File", "FallbackToLogsOnError"),
               .doc = "Whether the end of the log takes the place of that file where it is empty "
                      "and the container failed."),
    ROW_STRING(container, imagePullPolicy, .values = ONE_OF("Always", "IfNotPresent", "Never"),
               .doc = "Images are directories of the node and never pulled. Always asks for the "
                      "directory to be there; under the others the command may come from the "
                      "host. Where unset: Always for the tag latest and for no tag, else "
                      "IfNotPresent."),
    ROW_STRUCT_PTR(container, securityContext, security_context,
                   .doc = "With which user, group and powers the container runs."),
    ROW_AS(container, "stdin", stdin_, FIELD_BOOL, bool,
           .doc = "Keep standard input open; otherwise it is at its end from the start."),
    ROW_BOOL(container, stdinOnce, .doc = "Close standard input when the first client leaves."),
    ROW_BOOL(container, tty, .doc = "Give the container a terminal."),
    ROW_STRING(ephemeral_container, targetContainerName,
               .doc = "The container whose processes the ephemeral one can see."),
};

static_assert(offsetof(struct ephemeral_container, common) == 0,
              "the rows of a container serve ephemeral containers, too");

const struct type_schema container_schema = {
    .name = "Container",
    .size = sizeof(struct container),
    .fields = container_fields,
    .n_fields = ARRAY_SIZE(container_fields) - 1,
    .doc = "One supervised process, with what it sees and may do.",
};

const struct type_schema ephemeral_container_schema = {
    .name = "EphemeralContainer",
    .size = sizeof(struct ephemeral_container),
    .fields = container_fields,
    .n_fields = ARRAY_SIZE(container_fields),
    .doc = "A container added to a running pod for debugging.",
};
