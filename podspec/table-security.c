// The table's rows of the security contexts of pods and containers.
#include "podspec/table.h"

#define SELINUX_NOTE "the files of volumes keep the labels they have; set them on the host"
#define WINDOWS_NOTE "this is a node of Linux; leave it out"

static const struct field_schema capabilities_fields[] = {
    ROW_STRINGS(capabilities, add, .check = check_capability,
                .doc = "Capabilities beyond the usual ones, such as NET_ADMIN; ALL for every one."),
    ROW_STRINGS(capabilities, drop, .check = check_capability,
                .doc = "Capabilities that are taken away; ALL for every one that is not added."),
};
TYPE(capabilities, "Capabilities", "Which of root's powers a container has (capabilities(7)).");

static const struct field_schema se_linux_options_fields[] = {
    ROW_STRING(se_linux_options, user, .doc = "The user of the label."),
    ROW_STRING(se_linux_options, role, .doc = "The role of the label."),
    ROW_STRING(se_linux_options, type, .doc = "The type of the label."),
    ROW_STRING(se_linux_options, level, .doc = "The level of the label."),
};
TYPE(se_linux_options, "SELinuxOptions", "An SELinux label.");

static const struct field_schema windows_security_context_options_fields[] = {
    ROW_STRING(windows_security_context_options, gmsaCredentialSpecName,
               .doc = "The name of a GMSA credential spec."),
    ROW_STRING(windows_security_context_options, gmsaCredentialSpec,
               .doc = "A GMSA credential spec."),
    ROW_STRING(windows_security_context_options, runAsUserName, .doc = "A user of Windows."),
    ROW_BOOL_PTR(windows_security_context_options, hostProcess,
                 .doc = "Run as a process of the host."),
};
TYPE(windows_security_context_options, "WindowsSecurityContextOptions", "Settings for Windows.");

static const struct field_schema seccomp_profile_fields[] = {
    ROW_STRING(seccomp_profile, type, .required = true,
               .values = ONE_OF("RuntimeDefault", "Localhost", "Unconfined"),
               .doc = "RuntimeDefault, Localhost (a file of the node) or Unconfined."),
    ROW_STRING(seccomp_profile, localhostProfile, .check = check_relative_path,
               .doc = "For Localhost: the file, below the node's directory of profiles."),
};
TYPE(seccomp_profile, "SeccompProfile", "Which system calls a container may make.");

static const struct field_schema app_armor_profile_fields[] = {
    ROW_STRING(app_armor_profile, type, .required = true,
               .values = ONE_OF("RuntimeDefault", "Localhost", "Unconfined"),
               .doc = "RuntimeDefault, Localhost (a profile loaded on the node) or Unconfined."),
    ROW_STRING(app_armor_profile, localhostProfile, .doc = "For Localhost: the profile's name."),
};
TYPE(app_armor_profile, "AppArmorProfile", "An AppArmor profile.");

static const struct field_schema security_context_fields[] = {
    ROW_STRUCT_PTR(security_context, capabilities, capabilities,
                   .doc = "Capabilities added to and dropped from the usual set."),
    ROW_BOOL_PTR(security_context, privileged,
                 .doc = "All capabilities and all devices: root as on the host."),
    ROW_STRUCT_PTR(security_context, seLinuxOptions, se_linux_options,
                   .doc = "The SELinux label of the container's processes, where the host has "
                          "SELinux; files of volumes keep theirs."),
    ROW_STRUCT_PTR(security_context, windowsOptions, windows_security_context_options,
                   REFUSED(WINDOWS_NOTE), .doc = "Settings for Windows."),
    ROW_INT_PTR(security_context, runAsUser, .min = 0, .max = INT32_MAX,
                .doc = "The user id of the container's processes; the pod's, else root, where "
                       "unset."),
    ROW_INT_PTR(security_context, runAsGroup, .min = 0, .max = INT32_MAX,
                .doc = "The group id of the container's processes; the pod's, else root's, where "
                       "unset."),
    ROW_BOOL_PTR(security_context, runAsNonRoot, .doc = "Refuse to start the container as user 0."),
    ROW_BOOL_PTR(security_context, readOnlyRootFilesystem,
                 .doc = "The container cannot write outside its volumes."),
    ROW_BOOL_PTR(security_context, allowPrivilegeEscalation,
                 .doc = "false sets no_new_privs: set-user-ID programs give no powers."),
    ROW_STRING(security_context, procMount, .values = ONE_OF("Default", "Unmasked"),
               .doc = "Default hides some files of /proc and /sys and protects others from "
                      "writing, Unmasked does neither."),
    ROW_STRUCT_PTR(security_context, seccompProfile, seccomp_profile,
                   .doc = "Which system calls the container may make; a privileged one may make "
                          "all."),
    ROW_STRUCT_PTR(security_context, appArmorProfile, app_armor_profile,
                   .doc = "The AppArmor profile of the container. RuntimeDefault is the profile "
                          "mainstay-default, if it is loaded."),
};
TYPE(security_context, "SecurityContext", "With which powers a container runs.");

static const struct field_schema sysctl_fields[] = {
    ROW_STRING(sysctl, name, .required = true, .check = check_sysctl_name,
               .doc = "The parameter, such as net.core.somaxconn."),
    ROW_STRING(sysctl, value, .doc = "Its value."),
};
TYPE(sysctl, "Sysctl", "A kernel parameter of the pod's namespaces.");

static const struct field_schema pod_security_context_fields[] = {
    ROW_STRUCT_PTR(pod_security_context, seLinuxOptions, se_linux_options,
                   .doc = "The SELinux label of containers that have none of their own."),
    ROW_STRUCT_PTR(pod_security_context, windowsOptions, windows_security_context_options,
                   REFUSED(WINDOWS_NOTE), .doc = "Settings for Windows."),
    ROW_INT_PTR(pod_security_context, runAsUser, .min = 0, .max = INT32_MAX,
                .doc = "The user id of containers that set none."),
    ROW_INT_PTR(pod_security_context, runAsGroup, .min = 0, .max = INT32_MAX,
                .doc = "The group id of containers that set none."),
    ROW_BOOL_PTR(pod_security_context, runAsNonRoot,
                 .doc = "Refuse to start containers as user 0."),
    ROW_INT_LIST(pod_security_context, supplementalGroups, .min = 0, .max = INT32_MAX,
                 .doc = "Groups that all containers belong to as well."),
    ROW_STRING(pod_security_context, supplementalGroupsPolicy, .values = ONE_OF("Merge", "Strict"),
               .doc = "Whether the groups that the image's /etc/group gives to the user are added "
                      "(Merge, the default) or not (Strict)."),
    ROW_INT_PTR(pod_security_context, fsGroup, .min = 0, .max = INT32_MAX,
                .doc = "The group that owns emptyDir and downwardAPI volumes and that all "
                       "containers belong to; hostPath volumes keep theirs."),
    ROW_LIST(pod_security_context, sysctls, sysctl, .patch_key = "name",
             .doc = "Kernel parameters of the pod's namespaces."),
    ROW_STRING(pod_security_context, fsGroupChangePolicy, IGNORED,
               .values = ONE_OF("OnRootMismatch", "Always"),
               .doc = "When files of persistent volumes get the group that fsGroup names; other "
                      "volumes get it when they are made."),
    ROW_STRUCT_PTR(pod_security_context, seccompProfile, seccomp_profile,
                   .doc = "The system call filter of containers that set none."),
    ROW_STRUCT_PTR(pod_security_context, appArmorProfile, app_armor_profile,
                   .doc = "The AppArmor profile of containers that set none."),
    ROW_STRING(pod_security_context, seLinuxChangePolicy,
               .values = ONE_OF("Recursive", "MountOption"), REPORTED(SELINUX_NOTE),
               .doc = "How volumes get the SELinux label."),
};
TYPE(pod_security_context, "PodSecurityContext", "With which powers the pod's containers run.");
