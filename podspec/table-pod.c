// The table's rows of a pod and its spec, and the root of the table.
#include "podspec/table.h"

static const struct field_schema host_alias_fields[] = {
    ROW_STRING(host_alias, ip, .required = true, .check = check_ip, .doc = "The address."),
    ROW_STRINGS(host_alias, hostnames, .check = check_dns_subdomain, .doc = "Its names."),
};
TYPE(host_alias, "HostAlias", "Names for an address in /etc/hosts.");

static const struct field_schema pod_dns_config_option_fields[] = {
    ROW_STRING(pod_dns_config_option, name, .required = true, .doc = "The option's name."),
    ROW_STRING(pod_dns_config_option, value, .doc = "Its value, where it takes one."),
};
TYPE(pod_dns_config_option, "PodDNSConfigOption", "An option of resolv.conf(5).");

static const struct field_schema pod_dns_config_fields[] = {
    ROW_STRINGS(pod_dns_config, nameservers, .check = check_ip,
                .doc = "Addresses of name servers, at most three."),
    ROW_STRINGS(pod_dns_config, searches, .check = check_dns_search,
                .doc = "Domains in which names are looked up, at most six."),
    ROW_LIST(pod_dns_config, options, pod_dns_config_option, .doc = "Options."),
};
TYPE(pod_dns_config, "PodDNSConfig", "What stands in the pod's resolv.conf.");

static const struct field_schema pod_os_fields[] = {
    ROW_STRING(pod_os, name, .required = true, .values = ONE_OF("linux", "windows"),
               .doc = "linux; any other is refused on this node."),
};
TYPE(pod_os, "PodOS", "The operating system that a pod is made for.");

static const struct field_schema pod_spec_fields[] = {
    ROW_LIST(pod_spec, volumes, volume, .patch_key = "name",
             .doc = "Files and directories that containers can mount."),
    ROW_LIST(pod_spec, initContainers, container, .patch_key = "name",
             .doc = "Containers that run first, one after the other, each to its end."),
    ROW_LIST(pod_spec, containers, container, .required = true, .patch_key = "name",
             .doc = "The containers, which run side by side."),
    ROW_LIST(pod_spec, ephemeralContainers, ephemeral_container,
             REFUSED("they are added to a running pod through the API server and cannot stand in "
                     "a manifest; use `mainstay exec`"),
             .doc = "Containers added to a running pod for debugging."),
    ROW_STRING(pod_spec, restartPolicy, .default_value = "Always",
               .values = ONE_OF("Always", "OnFailure", "Never"),
               .doc = "Whether containers that have exited are started again."),
    ROW_INT_PTR(pod_spec, terminationGracePeriodSeconds, .min = 0, .max = INT32_MAX,
                .default_value = "30",
                .doc = "Seconds from SIGTERM (or the preStop hook) to SIGKILL."),
    ROW_INT_PTR(pod_spec, activeDeadlineSeconds, .min = 1, .max = INT32_MAX,
                .doc = "Seconds after which the pod is stopped and has failed."),
    ROW_STRING(
        pod_spec, dnsPolicy, .default_value = "ClusterFirst",
        .values = ONE_OF("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"),
        .doc = "How names are resolved. Default is the node's own resolv.conf; ClusterFirst the "
               "name servers of clusterDNS, but under hostNetwork the node's; "
               "ClusterFirstWithHostNet those of clusterDNS there, too; None what dnsConfig "
               "says alone."),
    ROW_MAP(pod_spec, nodeSelector, IGNORED,
            .doc = "Labels of nodes to schedule to; a static pod is where its file is."),
    ROW_STRING(pod_spec, serviceAccountName, .check = check_dns_subdomain,
               REFUSED("service accounts live in the API server, which a static pod must not "
                       "depend on; give the component a kubeconfig with a hostPath volume"),
               .doc = "The service account whose token the pod gets."),
    ROW_STRING(pod_spec, serviceAccount,
               REFUSED("service accounts live in the API server, which a static pod must not "
                       "depend on; give the component a kubeconfig with a hostPath volume"),
               .doc = "The old name of serviceAccountName."),
    ROW_BOOL_PTR(pod_spec, automountServiceAccountToken, IGNORED,
                 .doc = "Whether a token is mounted; static pods never have one."),
    ROW_STRING(pod_spec, nodeName, IGNORED,
               .doc = "The node that the pod runs on: always this one, whatever is written."),
    ROW_BOOL(pod_spec, hostNetwork,
             .doc =
                 "Use the node's network. Without it the pod has a network of its own, which the "
                 "node's CNI plugins set up; it waits until they are configured."),
    ROW_BOOL(pod_spec, hostPID, .doc = "See and share the node's processes."),
    ROW_BOOL(pod_spec, hostIPC, .doc = "Share the node's System V IPC and message queues."),
    ROW_BOOL_PTR(pod_spec, shareProcessNamespace,
                 .doc = "The pod's containers see each other's processes."),
    ROW_STRUCT_PTR(pod_spec, securityContext, pod_security_context,
                   .doc = "User, groups and powers of containers that set none of their own."),
    ROW_LIST(pod_spec, imagePullSecrets, local_object_reference, IGNORED,
             .doc = "Secrets for pulling images; images are directories of the node here, and "
                    "never pulled."),
    ROW_STRING(pod_spec, hostname, .check = check_dns_label,
               .doc = "The host name that the pod's containers see; the pod's name where unset. "
                      "Under hostNetwork it is the node's."),
    ROW_STRING(pod_spec, subdomain, .check = check_dns_label,
               .doc = "The domain behind the host name, in /etc/hosts and for the cluster's DNS."),
    ROW_STRUCT_PTR(pod_spec, affinity, affinity, IGNORED,
                   .doc = "Where a scheduler should put the pod; a static pod is where its file "
                          "is."),
    ROW_STRING(pod_spec, schedulerName, .default_value = "default-scheduler", IGNORED,
               .doc = "The scheduler that is to place the pod; a static pod needs none."),
    ROW_LIST(pod_spec, tolerations, toleration, IGNORED,
             .doc = "Taints of nodes that do not keep the pod away. A static pod tolerates every "
                    "NoExecute taint."),
    ROW_LIST(pod_spec, hostAliases, host_alias, .doc = "Names added to the pod's /etc/hosts."),
    ROW_STRING(pod_spec, priorityClassName, .check = check_dns_subdomain,
               .doc =
                   "system-node-critical (2000001000) and system-cluster-critical (2000000000) "
                   "are known by name; other classes live in the API server. When all pods stop, "
                   "those of a lower priority stop first. No pod is evicted."),
    ROW_INT_PTR(pod_spec, priority,
                .doc =
                    "The number behind priorityClassName, where that is none of the two that are "
                    "known by name: when all pods stop, lower ones stop first."),
    ROW_STRUCT_PTR(pod_spec, dnsConfig, pod_dns_config,
                   .doc = "What stands in the pod's resolv.conf."),
    ROW_LIST(
        pod_spec, readinessGates, pod_readiness_gate,
        REPORTED("nothing can set these conditions without the API server, so they do not count; "
                 "use a readinessProbe"),
        .doc = "Further conditions for the pod to be ready."),
    ROW_STRING(pod_spec, runtimeClassName, .check = check_dns_subdomain,
               REFUSED("runtime classes live in the API server, and there is one way to run a "
                       "container here; leave it out"),
               .doc = "How the pod's containers are run."),
    ROW_BOOL_PTR(pod_spec, enableServiceLinks, .default_value = "true", IGNORED,
                 .doc = "Whether containers get variables for services; none are known here."),
    ROW_STRING(pod_spec, preemptionPolicy, .values = ONE_OF("PreemptLowerPriority", "Never"),
               IGNORED, .doc = "Whether a scheduler may evict others for this pod."),
    ROW_RESOURCES(pod_spec, overhead,
                  .doc = "Resources that the pod costs beside its containers: added to what its "
                         "cgroup is given."),
    ROW_LIST(pod_spec, topologySpreadConstraints, topology_spread_constraint, IGNORED,
             .doc = "How a scheduler spreads pods; a static pod is where its file is."),
    ROW_BOOL_PTR(pod_spec, setHostnameAsFQDN,
                 .doc = "Use the name with its domain as the host name."),
    ROW_STRUCT_PTR(pod_spec, os, pod_os, .doc = "The operating system that the pod is made for."),
    ROW_BOOL_PTR(
        pod_spec, hostUsers, .moot = "true",
        REPORTED("containers use the users of the agent's own namespace in this release; set "
                 "runAsUser"),
        .doc = "false asks for a user namespace of the pod's own."),
    ROW_LIST(
        pod_spec, schedulingGates, pod_scheduling_gate, .patch_key = "name",
        REFUSED("a static pod is never scheduled, so nothing would open the gate; leave it out"),
        .doc = "What keeps the pod from being scheduled."),
    ROW_LIST(pod_spec, resourceClaims, pod_resource_claim, .patch_key = "name",
             REFUSED("devices are claimed through the API server; mount the device with a hostPath "
                     "volume instead"),
             .doc = "Claims on devices."),
    ROW_STRUCT_PTR(pod_spec, resources, resource_requirements,
                   .doc =
                       "How much cpu and memory the whole pod gets: its cgroup's limits, and its "
                       "QoS class. Containers without limits of their own share them."),
    ROW_STRING(pod_spec, hostnameOverride,
               .doc = "The host name that the pod's containers see, whatever else says."),
};
TYPE(pod_spec, "PodSpec", "What a pod runs, and how.");

static const struct field_schema pod_fields[] = {
    ROW_STRING(pod, kind, .doc = "Pod."),
    ROW_STRING(pod, apiVersion, .doc = "v1."),
    ROW_STRUCT(pod, metadata, object_meta, .required = true, .doc = "Who the pod is."),
    ROW_STRUCT(pod, spec, pod_spec, .required = true, .doc = "What the pod runs, and how."),
    ROW_ANY("status", .doc = "How the pod is, as the API server knows it; meaningless in a "
                             "manifest."),
};
TYPE(pod, "Pod", "Containers that run together on this node, as a file describes them.");
