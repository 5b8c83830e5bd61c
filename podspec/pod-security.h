// Security contexts of pods and containers. Naming: podspec/schema.h.
#pragma once

#include "podspec/pod-common.h"

struct capabilities {
    struct string_list add;
    struct string_list drop;
};

struct se_linux_options {
    char *user;
    char *role;
    char *type;
    char *level;
};

struct windows_security_context_options {
    char *gmsaCredentialSpecName;
    char *gmsaCredentialSpec;
    char *runAsUserName;
    bool *hostProcess;
};

struct seccomp_profile {
    char *type;
    char *localhostProfile;
};

struct app_armor_profile {
    char *type;
    char *localhostProfile;
};

struct security_context {
    struct capabilities *capabilities;
    bool *privileged;
    struct se_linux_options *seLinuxOptions;
    struct windows_security_context_options *windowsOptions;
    int64_t *runAsUser;
    int64_t *runAsGroup;
    bool *runAsNonRoot;
    bool *readOnlyRootFilesystem;
    bool *allowPrivilegeEscalation;
    char *procMount;
    struct seccomp_profile *seccompProfile;
    struct app_armor_profile *appArmorProfile;
};

struct sysctl {
    char *name;
    char *value;
};

struct pod_security_context {
    struct se_linux_options *seLinuxOptions;
    struct windows_security_context_options *windowsOptions;
    int64_t *runAsUser;
    int64_t *runAsGroup;
    bool *runAsNonRoot;
    struct int_list supplementalGroups;
    char *supplementalGroupsPolicy;
    int64_t *fsGroup;
    LIST_OF(struct sysctl) sysctls;
    char *fsGroupChangePolicy;
    struct seccomp_profile *seccompProfile;
    struct app_armor_profile *appArmorProfile;
    char *seLinuxChangePolicy;
};
