// Containers: what runs, its environment, ports, mounts. Naming: podspec/schema.h.
#pragma once

#include "podspec/pod-common.h"
#include "podspec/pod-probes.h"
#include "podspec/pod-security.h"

struct container_port {
    char *name;
    int64_t hostPort;
    int64_t containerPort;
    char *protocol;
    char *hostIP;
};

struct config_map_env_source {
    char *name;
    bool *optional;
};

struct secret_env_source {
    char *name;
    bool *optional;
};

struct env_from_source {
    char *prefix;
    struct config_map_env_source *configMapRef;
    struct secret_env_source *secretRef;
};

struct config_map_key_selector {
    char *name;
    char *key;
    bool *optional;
};

struct secret_key_selector {
    char *name;
    char *key;
    bool *optional;
};

struct env_var_source {
    struct object_field_selector *fieldRef;
    struct resource_field_selector *resourceFieldRef;
    struct config_map_key_selector *configMapKeyRef;
    struct secret_key_selector *secretKeyRef;
};

struct env_var {
    char *name;
    char *value;
    struct env_var_source *valueFrom;
};

struct volume_mount {
    char *name;
    bool readOnly;
    char *recursiveReadOnly;
    char *mountPath;
    char *subPath;
    char *mountPropagation;
    char *subPathExpr;
};

struct volume_device {
    char *name;
    char *devicePath;
};

struct container_restart_exit_codes {
    char *operator;
    struct int_list values;
};

struct container_restart_rule {
    char *action;
    struct container_restart_exit_codes *exitCodes;
};

struct container {
    char *name;
    char *image;
    struct string_list command;
    struct string_list args;
    char *workingDir;
    LIST_OF(struct container_port) ports;
    LIST_OF(struct env_from_source) envFrom;
    LIST_OF(struct env_var) env;
    struct resource_requirements resources;
    LIST_OF(struct container_resize_policy) resizePolicy;
    char *restartPolicy;
    LIST_OF(struct container_restart_rule) restartPolicyRules;
    LIST_OF(struct volume_mount) volumeMounts;
    LIST_OF(struct volume_device) volumeDevices;
    struct probe *livenessProbe;
    struct probe *readinessProbe;
    struct probe *startupProbe;
    struct lifecycle *lifecycle;
    char *terminationMessagePath;
    char *terminationMessagePolicy;
    char *imagePullPolicy;
    struct security_context *securityContext;
    bool stdin_;
    bool stdinOnce;
    bool tty;
};

struct ephemeral_container {
    struct container common; // Go: EphemeralContainerCommon, the same fields
    char *targetContainerName;
};
