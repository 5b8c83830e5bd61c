// A v1 Pod as Kubernetes 1.20 decodes it (k8s.io/api/core/v1/types.go), with those fields of later
// releases that manifests in use carry. Naming: the rule at the head of podspec/schema.h. The pod
// owns everything below it; pod_free() (podspec/podspec.h) frees it.
#pragma once

#include "podspec/pod-common.h"
#include "podspec/pod-container.h"
#include "podspec/pod-probes.h"
#include "podspec/pod-scheduling.h"
#include "podspec/pod-security.h"
#include "podspec/pod-volumes.h"

struct host_alias {
    char *ip;
    struct string_list hostnames;
};

struct pod_dns_config_option {
    char *name;
    char *value;
};

struct pod_dns_config {
    struct string_list nameservers;
    struct string_list searches;
    LIST_OF(struct pod_dns_config_option) options;
};

struct pod_os {
    char *name;
};

struct pod_spec {
    LIST_OF(struct volume) volumes;
    LIST_OF(struct container) initContainers;
    LIST_OF(struct container) containers;
    LIST_OF(struct ephemeral_container) ephemeralContainers;
    char *restartPolicy;
    int64_t *terminationGracePeriodSeconds;
    int64_t *activeDeadlineSeconds;
    char *dnsPolicy;
    struct string_map nodeSelector;
    char *serviceAccountName;
    char *serviceAccount;
    bool *automountServiceAccountToken;
    char *nodeName;
    bool hostNetwork;
    bool hostPID;
    bool hostIPC;
    bool *shareProcessNamespace;
    struct pod_security_context *securityContext;
    LIST_OF(struct local_object_reference) imagePullSecrets;
    char *hostname;
    char *subdomain;
    struct affinity *affinity;
    char *schedulerName;
    LIST_OF(struct toleration) tolerations;
    LIST_OF(struct host_alias) hostAliases;
    char *priorityClassName;
    int64_t *priority;
    struct pod_dns_config *dnsConfig;
    LIST_OF(struct pod_readiness_gate) readinessGates;
    char *runtimeClassName;
    bool *enableServiceLinks;
    char *preemptionPolicy;
    struct resource_list overhead;
    LIST_OF(struct topology_spread_constraint) topologySpreadConstraints;
    bool *setHostnameAsFQDN;
    struct pod_os *os;
    bool *hostUsers;
    LIST_OF(struct pod_scheduling_gate) schedulingGates;
    LIST_OF(struct pod_resource_claim) resourceClaims;
    struct resource_requirements *resources;
    char *hostnameOverride;
};

struct podspec_places; // where each field stands in its file: podspec/places.h

struct pod {
    char *apiVersion, *kind;
    struct object_meta metadata;
    struct pod_spec spec;
    struct podspec_places *places; // NULL once pod_drop_places() was called
};
