// podspec: the rules that look at more than one field, each broken once.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "podspec/podspec.h"

// Shorthands for a pod with one container, and with more in the spec or in the container.
#define META  "metadata: {name: web}\n"
#define HEAD  META "spec:\n  hostNetwork: true\n"
#define PLAIN "  containers: [{name: c, image: \"i:1\"}]\n"

#define SPEC(text)      HEAD PLAIN "  " text "\n"
#define CONTAINER(text) HEAD "  containers: [{name: c, image: \"i:1\", " text "}]\n"
#define VOLUMES(text)   SPEC("volumes: [" text "]")
#define PROBE(text)     CONTAINER("livenessProbe: {" text "}")

struct example {
    const char *manifest;
    const char *path;    // of the finding; NULL where there must be none
    const char *message; // a part of it
};

static void parse(const char *text, struct diag_list *diags)
{
    _cleanup_free_ char *manifest = xasprintf("apiVersion: v1\nkind: Pod\n%s", text);
    _cleanup_pod_list_ struct pod_list pods = {0};

    if (podspec_parse("web.yaml", manifest, strlen(manifest), &pods, diags) == 0)
        podspec_validate(pods.items[0], diags);
}

static void print_findings(const struct example *example, const struct diag_list *diags)
{
    print_error("%s", example->manifest);
    for (size_t i = 0; i < diags->n; i++)
        print_error("  -> %s: %s\n", diags->items[i].path, diags->items[i].message);
}

static void expect(const struct example *examples, size_t n, enum diag_severity severity)
{
    for (size_t i = 0; i < n; i++) {
        const struct example *example = &examples[i];
        _cleanup_diag_list_ struct diag_list diags = {0};
        size_t found = 0;
        parse(example->manifest, &diags);
        for (size_t k = 0; k < diags.n; k++)
            if (diags.items[k].severity == severity && example->path &&
                strcmp(diags.items[k].path ? diags.items[k].path : "", example->path) == 0 &&
                strstr(diags.items[k].message, example->message) && diags.items[k].line > 2)
                found++;
        bool clean = severity == DIAG_ERROR || diags.errors == 0;
        if (!clean || (example->path ? found != 1 : diags.n != 0)) {
            print_findings(example, &diags);
            fail_msg("not as expected: %s %s", example->path ? example->path : "nothing",
                     example->path ? example->message : "");
        }
    }
}

#define EXPECT_ERRORS(examples)   expect(examples, ARRAY_SIZE(examples), DIAG_ERROR)
#define EXPECT_WARNINGS(examples) expect(examples, ARRAY_SIZE(examples), DIAG_WARNING)

static void good_manifests_have_no_findings(void **state)
{
    static const struct example examples[] = {
        {SPEC(""), NULL, NULL},
        {SPEC("dnsPolicy: Default"), NULL, NULL},
        {CONTAINER("lifecycle: {stopSignal: SIGUSR1}"), NULL, NULL},
        {VOLUMES("{name: v, emptyDir: {sizeLimit: 1Gi, medium: Memory}}"), NULL, NULL},
        {CONTAINER("resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1}}"), NULL, NULL},
        {CONTAINER("ports: [{containerPort: 80, name: http}, {containerPort: 81, name: b}]"), NULL,
         NULL},
        {CONTAINER("securityContext: {privileged: true, procMount: Default}"), NULL, NULL},
        {SPEC("tolerations: [{operator: Exists}, {key: a, value: b, effect: NoSchedule}]"), NULL,
         NULL},
        {VOLUMES("{name: a, hostPath: {path: /x, type: \"\"}}, {name: b}"), NULL, NULL},
        {SPEC("activeDeadlineSeconds: 5"), NULL, NULL},
        {CONTAINER("lifecycle: {postStart: {httpGet: {port: 80, scheme: HTTPS}}, preStop: "
                   "{tcpSocket: {port: 80}}}"),
         NULL, NULL},
        {SPEC("initContainers: [{name: i, image: i, restartPolicy: Always, livenessProbe: "
              "{tcpSocket: {port: 1}}, readinessProbe: {tcpSocket: {port: 1}}, startupProbe: "
              "{tcpSocket: {port: 1}}, lifecycle: {preStop: {sleep: {seconds: 1}}}}]"),
         NULL, NULL},
        {CONTAINER("restartPolicy: OnFailure, restartPolicyRules: [{action: Restart, exitCodes: "
                   "{operator: NotIn, values: [1, 2]}}]"),
         NULL, NULL},
    };

    EXPECT_ERRORS(examples);
}

static void metadata_is_checked(void **state)
{
    static const struct example examples[] = {
        {"metadata: {name: web, labels: {a/b/c: x}}\nspec:\n" PLAIN, "metadata.labels[a/b/c]",
         "the label's name"},
        {"metadata: {name: web, labels: {a: \"b c\"}}\nspec:\n" PLAIN, "metadata.labels[a]",
         "the label's value"},
        {"metadata: {name: web, annotations: {\"a b\": x}}\nspec:\n" PLAIN,
         "metadata.annotations[a b]", "the annotation's name"},
        {"metadata:\n  name: web\n  annotations:\n"
         "    container.apparmor.security.beta.kubernetes.io/x: unconfined\nspec:\n" PLAIN,
         "metadata.annotations[container.apparmor.security.beta.kubernetes.io/x]",
         "no container \"x\""},
        {"metadata:\n  name: web\n  annotations:\n"
         "    seccomp.security.alpha.kubernetes.io/pod: localhost/../x\nspec:\n" PLAIN,
         "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]", "must be"},
        {"metadata:\n  name: web\n  ownerReferences:\n"
         "  - {apiVersion: v1, kind: Node, name: one, uid: u, controller: true}\n"
         "  - {apiVersion: v1, kind: Node, name: two, uid: w, controller: true}\nspec:\n" PLAIN,
         "metadata.ownerReferences", "only one owner"},
    };

    EXPECT_ERRORS(examples);
}

static void names_are_unique(void **state)
{
    static const struct example examples[] = {
        {HEAD "  containers: [{name: c, image: i}, {name: c, image: i}]\n",
         "spec.containers[1].name", "unique"},
        {SPEC("initContainers: [{name: c, image: i}]"), "spec.initContainers[0].name",
         "one of spec.containers"},
        {VOLUMES("{name: v}, {name: v}"), "spec.volumes[1].name", "unique"},
        {CONTAINER("ports: [{containerPort: 1, name: a}, {containerPort: 2, name: a}]"),
         "spec.containers[0].ports[1].name", "another port"},
        {CONTAINER("ports: [{containerPort: 1}, {containerPort: 1}]"),
         "spec.containers[0].ports[1].hostPort", "twice"},
    };

    EXPECT_ERRORS(examples);
}

static void ports_follow_the_host_network(void **state)
{
    static const struct example wrong[] = {
        {CONTAINER("ports: [{containerPort: 1, hostPort: 2}]"),
         "spec.containers[0].ports[0].containerPort", "must equal hostPort"},
    };
    static const struct example right[] = {
        {CONTAINER("ports: [{containerPort: 53}, {containerPort: 53, protocol: UDP}]"), NULL, NULL},
        {CONTAINER("ports: [{containerPort: 1, hostIP: 1.2.3.4}, {containerPort: 1}]"), NULL, NULL},
        {SPEC("initContainers: [{name: a, image: \"i:1\", ports: [{containerPort: 1}]}, "
              "{name: b, image: \"i:1\", ports: [{containerPort: 1}]}]"),
         NULL, NULL},
    };

    EXPECT_ERRORS(wrong);
    EXPECT_ERRORS(right);
}

static void variables_have_one_source(void **state)
{
#define ENV(text) CONTAINER("env: [{name: VAR, " text "}]")
    static const struct example examples[] = {
        {ENV("valueFrom: {}"), "spec.containers[0].env[0].valueFrom", "must name a source"},
        {ENV("value: x, valueFrom: {fieldRef: {fieldPath: metadata.name}}"),
         "spec.containers[0].env[0].valueFrom", "together with value"},
        {ENV("valueFrom: {fieldRef: {fieldPath: metadata.name}, resourceFieldRef: {resource: "
             "limits.cpu}}"),
         "spec.containers[0].env[0].valueFrom", "one source only"},
        {ENV("valueFrom: {fieldRef: {fieldPath: spec.volumes}}"),
         "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath", "must be metadata.name"},
        {ENV("valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 2}}"),
         "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor", "1 or 1m"},
        {ENV("valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1m}}"),
         "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor", "1Ki"},
        {ENV("valueFrom: {resourceFieldRef: {resource: limits.memory, containerName: x}}"),
         "spec.containers[0].env[0].valueFrom.resourceFieldRef.containerName", "no container"},
    };

    EXPECT_ERRORS(examples);
}

static void mounts_find_their_volumes(void **state)
{
#define MOUNT(text)                                                                                \
    HEAD "  volumes: [{name: data, hostPath: {path: /x}}]\n"                                       \
         "  containers: [{name: c, image: \"i:1\", volumeMounts: [" text "]}]\n"
    static const struct example examples[] = {
        {MOUNT("{name: dat, mountPath: /a}"), "spec.containers[0].volumeMounts[0].name",
         "did you mean \"data\""},
        {MOUNT("{name: other, mountPath: /a}"), "spec.containers[0].volumeMounts[0].name",
         "no volume \"other\""},
        {MOUNT("{name: data, mountPath: /a}, {name: data, mountPath: /a}"),
         "spec.containers[0].volumeMounts[1].mountPath", "unique"},
        {MOUNT("{name: data, mountPath: /a, subPath: p, subPathExpr: q}"),
         "spec.containers[0].volumeMounts[0].subPathExpr", "together with subPath"},
        {MOUNT("{name: data, mountPath: /a, mountPropagation: Bidirectional}"),
         "spec.containers[0].volumeMounts[0].mountPropagation", "privileged"},
        {MOUNT("{name: data, mountPath: /a, recursiveReadOnly: Enabled}"),
         "spec.containers[0].volumeMounts[0].recursiveReadOnly", "readOnly"},
        {MOUNT("{name: data, mountPath: /a, readOnly: true, recursiveReadOnly: IfPossible, "
               "mountPropagation: HostToContainer}"),
         "spec.containers[0].volumeMounts[0].recursiveReadOnly", "mountPropagation"},
    };

    EXPECT_ERRORS(examples);
}

static void volumes_have_one_source(void **state)
{
#define FILE_OF(text) VOLUMES("{name: v, downwardAPI: {items: [{path: p, " text "}]}}")
    static const struct example examples[] = {
        {VOLUMES("{name: v, emptyDir: {}, hostPath: {path: /x}}"), "spec.volumes[0].emptyDir",
         "has hostPath already"},
        {VOLUMES("{name: v, emptyDir: {sizeLimit: -1}}"), "spec.volumes[0].emptyDir.sizeLimit",
         "negative"},
        {VOLUMES("{name: v, emptyDir: {medium: HugePages}}"), "spec.volumes[0].emptyDir.medium",
         "not supported"},
        {VOLUMES("{name: v, downwardAPI: {items: [{path: p}]}}"),
         "spec.volumes[0].downwardAPI.items[0]", "must have fieldRef"},
        {FILE_OF("fieldRef: {fieldPath: metadata.name}, resourceFieldRef: {resource: limits.cpu, "
                 "containerName: c}"),
         "spec.volumes[0].downwardAPI.items[0]", "together"},
        {FILE_OF("fieldRef: {fieldPath: status.hostIP}"),
         "spec.volumes[0].downwardAPI.items[0].fieldRef.fieldPath", "must be metadata.name"},
        {FILE_OF("resourceFieldRef: {resource: limits.cpu}"),
         "spec.volumes[0].downwardAPI.items[0].resourceFieldRef.containerName", "required"},
        {VOLUMES("{name: v, projected: {sources: [{downwardAPI: {items: [{path: p, fieldRef: "
                 "{fieldPath: metadata.name}}]}}, {downwardAPI: {items: [{path: p, fieldRef: "
                 "{fieldPath: metadata.uid}}]}}]}}"),
         "spec.volumes[0].projected.sources[1].downwardAPI.items[0].path", "another file"},
    };

    EXPECT_ERRORS(examples);
}

static void probes_and_hooks_have_one_action(void **state)
{
    static const struct example examples[] = {
        {PROBE("periodSeconds: 5"), "spec.containers[0].livenessProbe", "must say what to do"},
        {PROBE("exec: {command: [a]}, tcpSocket: {port: 1}"),
         "spec.containers[0].livenessProbe.tcpSocket", "one action only"},
        {PROBE("tcpSocket: {port: 1}, successThreshold: 2"),
         "spec.containers[0].livenessProbe.successThreshold", "must be 1"},
        {PROBE("tcpSocket: {port: 0}"), "spec.containers[0].livenessProbe.tcpSocket.port",
         "between 1 and 65535"},
        {PROBE("httpGet: {port: \"80\"}"), "spec.containers[0].livenessProbe.httpGet.port",
         "letter"},
        {CONTAINER("readinessProbe: {tcpSocket: {port: 1}, terminationGracePeriodSeconds: 1}"),
         "spec.containers[0].readinessProbe.terminationGracePeriodSeconds", "readiness"},
        {CONTAINER("lifecycle: {preStop: {}}"), "spec.containers[0].lifecycle.preStop",
         "must say what to do"},
        {CONTAINER("lifecycle: {preStop: {sleep: {seconds: 31}}}"),
         "spec.containers[0].lifecycle.preStop.sleep.seconds", "(30)"},
        {SPEC("initContainers: [{name: i, image: i, lifecycle: {preStop: {sleep: {seconds: 1}}}}]"),
         "spec.initContainers[0].lifecycle", "init containers"},
        {SPEC("initContainers: [{name: i, image: i, readinessProbe: {tcpSocket: {port: 1}}}]"),
         "spec.initContainers[0].readinessProbe", "init containers"},
        {SPEC("initContainers: [{name: i, image: i, restartPolicy: OnFailure, readinessProbe: "
              "{tcpSocket: {port: 1}}}]"),
         "spec.initContainers[0].readinessProbe", "init containers"},
        {CONTAINER("lifecycle: {postStart: {httpGet: {port: 0}}}"),
         "spec.containers[0].lifecycle.postStart.httpGet.port", "between 1 and 65535"},
        {SPEC("initContainers: [{name: i, image: i, restartPolicy: Always, lifecycle: {preStop: "
              "{tcpSocket: {port: 70000}}}}]"),
         "spec.initContainers[0].lifecycle.preStop.tcpSocket.port", "between 1 and 65535"},
    };

    EXPECT_ERRORS(examples);
}

static void restart_rules_are_whole(void **state)
{
#define RULES(text) CONTAINER("restartPolicy: Never, restartPolicyRules: [" text "]")
    static const struct example examples[] = {
        {CONTAINER("restartPolicy: Sometimes"), "spec.containers[0].restartPolicy", "Always"},
        {CONTAINER("restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: "
                   "[1]}}]"),
         "spec.containers[0].restartPolicyRules", "needs a restartPolicy"},
        {RULES("{action: Restart}"), "spec.containers[0].restartPolicyRules", "exitCodes"},
        {RULES("{action: Restart, exitCodes: {operator: In, values: []}}"),
         "spec.containers[0].restartPolicyRules", "1 to 255 values"},
        {RULES("{action: Retry, exitCodes: {operator: In, values: [1]}}"),
         "spec.containers[0].restartPolicyRules[0].action", "Restart"},
        {RULES("{action: Restart, exitCodes: {operator: Not, values: [1]}}"),
         "spec.containers[0].restartPolicyRules[0].exitCodes.operator", "In"},
    };

    EXPECT_ERRORS(examples);
}

static void amounts_fit_together(void **state)
{
#define AMOUNTS(text) CONTAINER("resources: {" text "}")
    static const struct example examples[] = {
        {AMOUNTS("limits: {cpu: 1}, requests: {cpu: 2}"),
         "spec.containers[0].resources.requests[cpu]", "not be more than the limit (1)"},
        {AMOUNTS("limits: {cpu: -1}"), "spec.containers[0].resources.limits[cpu]", "negative"},
        {AMOUNTS("limits: {cpus: 1}"), "spec.containers[0].resources.limits[cpus]",
         "not a resource"},
        {AMOUNTS("requests: {example.com/gpu: 1}"),
         "spec.containers[0].resources.requests[example.com/gpu]", "needs a limit"},
        {AMOUNTS("limits: {example.com/gpu: 2}, requests: {example.com/gpu: 1}"),
         "spec.containers[0].resources.requests[example.com/gpu]", "must equal"},
        {AMOUNTS("limits: {example.com/gpu: 1500m}"),
         "spec.containers[0].resources.limits[example.com/gpu]", "whole number"},
        {AMOUNTS("limits: {hugepages-2Mi: 2Mi}"), "spec.containers[0].resources", "huge pages"},
        {SPEC("overhead: {gpu: 1}"), "spec.overhead[gpu]", "not a resource"},
        {SPEC("resources: {requests: {cpu: 2}, limits: {cpu: 1}}"), "spec.resources.requests[cpu]",
         "not be more than the limit (1)"},
        {SPEC("resources: {requests: {cpu: 2, memory: 1Gi}, limits: {cpu: 2}}"), NULL, NULL},
        {"metadata: {name: a}\nspec:\n  hostNetwork: true\n  resources: {requests: {cpu: 1}}\n"
         "  containers: [{name: c, image: i, resources: {requests: {cpu: 600m}}}, "
         "{name: d, image: i, resources: {requests: {cpu: 500m}}}]\n",
         "spec.resources.requests[cpu]", "request together"},
        {"metadata: {name: a}\nspec:\n  hostNetwork: true\n  resources: {limits: {memory: 1Gi}}\n"
         "  containers: [{name: c, image: i, resources: {limits: {memory: 2Gi}}}]\n",
         "spec.resources.limits[memory]", "limit of container c (2Gi)"},
    };

    EXPECT_ERRORS(examples);
}

static void security_is_consistent(void **state)
{
#define SECURITY(text) CONTAINER("securityContext: {" text "}")
    static const struct example examples[] = {
        {SECURITY("privileged: true, allowPrivilegeEscalation: false"),
         "spec.containers[0].securityContext.allowPrivilegeEscalation", "privileged"},
        {SECURITY("capabilities: {add: [CAP_SYS_ADMIN]}, allowPrivilegeEscalation: false"),
         "spec.containers[0].securityContext.allowPrivilegeEscalation", "CAP_SYS_ADMIN"},
        {SECURITY("seccompProfile: {type: Localhost}"),
         "spec.containers[0].securityContext.seccompProfile.localhostProfile", "required"},
        {"metadata: {name: web, annotations: {"
         "container.seccomp.security.alpha.kubernetes.io/c: unconfined}}\nspec:\n"
         "  hostNetwork: true\n  containers: [{name: c, image: \"i:1\", securityContext: "
         "{seccompProfile: {type: RuntimeDefault}}}]\n",
         "spec.containers[0].securityContext.seccompProfile.type", "must be the same"},
        {"metadata: {name: web, annotations: {"
         "seccomp.security.alpha.kubernetes.io/pod: localhost/a}}\nspec:\n" PLAIN
         "  securityContext: {seccompProfile: {type: Localhost, localhostProfile: b}}\n",
         "spec.securityContext.seccompProfile.localhostProfile", "must be the same"},
        {SECURITY("seccompProfile: {type: Unconfined, localhostProfile: x}"),
         "spec.containers[0].securityContext.seccompProfile.localhostProfile", "Localhost only"},
        {SPEC("securityContext: {appArmorProfile: {type: Localhost}}"),
         "spec.securityContext.appArmorProfile.localhostProfile", "required"},
        {SPEC("securityContext: {sysctls: [{name: a, value: b}, {name: a, value: c}]}"),
         "spec.securityContext.sysctls[1].name", "unique"},
        {SPEC("hostPID: true\n  shareProcessNamespace: true"), "spec.shareProcessNamespace",
         "hostPID"},
        {SPEC("hostUsers: false"), "spec.hostUsers", "hostNetwork"},
        {SPEC("os: {name: windows}"), "spec.os.name", "Linux"},
    };

    EXPECT_ERRORS(examples);
}

static void scheduling_is_consistent(void **state)
{
#define NODE_AFFINITY(text)                                                                        \
    SPEC("affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "              \
         "{nodeSelectorTerms: [{" text "}]}}}")
#define NODE_TERM                                                                                  \
    "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution."                   \
    "nodeSelectorTerms[0]"
#define POD_TERM "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]"
    static const struct example examples[] = {
        {SPEC("tolerations: [{effect: NoSchedule}]"), "spec.tolerations[0].operator",
         "must be Exists"},
        {SPEC("tolerations: [{key: a, operator: Exists, value: b}]"), "spec.tolerations[0].value",
         "Exists"},
        {SPEC("tolerations: [{key: a, tolerationSeconds: 1}]"),
         "spec.tolerations[0].tolerationSeconds", "NoExecute only"},
        {SPEC("nodeSelector: {a: \"b c\"}"), "spec.nodeSelector[a]", "the label's value"},
        {NODE_AFFINITY("matchExpressions: [{key: a, operator: In}]"),
         NODE_TERM ".matchExpressions[0].values", "at least one"},
        {NODE_AFFINITY("matchExpressions: [{key: a, operator: Gt, values: [\"1\", \"2\"]}]"),
         NODE_TERM ".matchExpressions[0].values", "exactly one"},
        {NODE_AFFINITY("matchFields: [{key: a, operator: In, values: [b]}]"),
         NODE_TERM ".matchFields[0].key", "metadata.name"},
        {NODE_AFFINITY("matchFields: [{key: metadata.name, operator: Exists}]"),
         NODE_TERM ".matchFields[0].operator", "In or NotIn"},
        {SPEC("affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
              "[{topologyKey: k, labelSelector: {matchExpressions: [{key: a, operator: Exists, "
              "values: [b]}]}}]}}"),
         POD_TERM ".labelSelector.matchExpressions[0].values", "no value"},
        {SPEC("topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: "
              "DoNotSchedule}, {maxSkew: 2, topologyKey: a, whenUnsatisfiable: DoNotSchedule}]"),
         "spec.topologySpreadConstraints[1].topologyKey", "another constraint"},
    };

    EXPECT_ERRORS(examples);
}

static void names_are_resolved_somehow(void **state)
{
    static const struct example examples[] = {
        {SPEC("dnsPolicy: None"), "spec.dnsConfig", "needs its nameservers"},
        {SPEC("dnsConfig: {nameservers: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4]}"),
         "spec.dnsConfig.nameservers", "more than 3"},
        {SPEC("dnsConfig: {searches: [a, b, c, d, e, f, g]}"), "spec.dnsConfig.searches",
         "more than 6"},
    };

    EXPECT_ERRORS(examples);
}

#define ANNOTATED(key, value)                                                                      \
    "metadata:\n  name: web\n  annotations: {mainstay.dev/" key ": \"" value "\"}\nspec:\n"        \
    "  hostNetwork: true\n" PLAIN "  volumes: [{name: certs, hostPath: {path: /c}}, "              \
    "{name: tmp, emptyDir: {}}]\n"

static void own_annotations_are_checked(void **state)
{
    static const struct example examples[] = {
        {ANNOTATED("depends-on", "etcd, kube-system/apiserver"), NULL, NULL},
        {ANNOTATED("depends-on", "etcd,,b"), "metadata.annotations[mainstay.dev/depends-on]",
         "separated by commas"},
        {ANNOTATED("depends-on", "Etcd"), "metadata.annotations[mainstay.dev/depends-on]", "Etcd"},
        {ANNOTATED("depends-on", "a.b/etcd"), "metadata.annotations[mainstay.dev/depends-on]",
         "a.b/etcd"},
        {ANNOTATED("restart-on-change", "certs"), NULL, NULL},
        {ANNOTATED("restart-on-change", "cert"),
         "metadata.annotations[mainstay.dev/restart-on-change]", "there is no volume cert"},
        {ANNOTATED("restart-on-change", "tmp"),
         "metadata.annotations[mainstay.dev/restart-on-change]", "no hostPath"},
        {ANNOTATED("reload-signal", "SIGHUP"), NULL, NULL},
        {ANNOTATED("reload-signal", "HUPP"), "metadata.annotations[mainstay.dev/reload-signal]",
         "name of a signal"},
        {ANNOTATED("confirm", "1m30s"), NULL, NULL},
        {ANNOTATED("confirm", "60"), "metadata.annotations[mainstay.dev/confirm]", "duration"},
        {ANNOTATED("confirm", "25h"), "metadata.annotations[mainstay.dev/confirm]", "24h"},
        {ANNOTATED("backoff", "1s..60s"), NULL, NULL},
        {ANNOTATED("backoff", "1s"), "metadata.annotations[mainstay.dev/backoff]", "1s..60s"},
        {ANNOTATED("backoff", "2s..1s"), "metadata.annotations[mainstay.dev/backoff]", "1s..60s"},
        {ANNOTATED("backoff", "1ms..1s"), "metadata.annotations[mainstay.dev/backoff]", "100ms"},
    };

    EXPECT_ERRORS(examples);
}

static void what_is_not_honoured_is_said(void **state)
{
    static const struct example examples[] = {
        {CONTAINER("resources: {limits: {ephemeral-storage: 1Gi}}"),
         "spec.containers[0].resources.limits[ephemeral-storage]", "only cpu and memory"},
        {SPEC("priorityClassName: gold"), "spec.priorityClassName", "is 0"},
        {SPEC("priorityClassName: gold\n  priority: 7"), "spec.priorityClassName",
         "what spec.priority says"},
        {SPEC("priorityClassName: system-node-critical\n  priority: 7"), "spec.priority",
         "2000001000"},
        {VOLUMES("{name: v, emptyDir: {sizeLimit: 1Gi}}"), "spec.volumes[0].emptyDir.sizeLimit",
         "watched, not enforced"},
        {PROBE("httpGet: {port: web}"), "spec.containers[0].livenessProbe.httpGet.port",
         "no port named"},
        {CONTAINER("securityContext: {runAsUser: 0, runAsNonRoot: true}"),
         "spec.containers[0].securityContext.runAsUser", "will not start"},
        {"metadata: {name: web, annotations: {mainstay.dev/depend-on: etcd}}\nspec:\n" PLAIN,
         "metadata.annotations[mainstay.dev/depend-on]", "mainstay.dev/depends-on"},
    };

    EXPECT_WARNINGS(examples);
}

// One typing mistake and one mistake of meaning in each manifest; both are told at once.
static void mistakes_of_all_kinds_are_told_at_once(void **state)
{
    static const struct example examples[] = {
        {HEAD "  dnsPolicy: Nowhere\n  containers: [{name: c, image: \"i:1\", resources: {limits: "
              "{cpu: 1}, requests: {cpu: 2}}}]\n",
         "spec.containers[0].resources.requests[cpu]", "limit"},
        {HEAD "  nodeNmae: x\n  initContainers: [{name: c, image: \"i:1\"}]\n" PLAIN,
         "spec.initContainers[0].name", "spec.containers"},
    };

    EXPECT_ERRORS(examples);
}

static void what_follows_from_a_mistake_is_not_told(void **state)
{
    static const char *const manifests[] = {
        PROBE("httpgEt: {port: 80}"),
        PROBE("httpGet: {prot: 80, port: 1}, periodSeconds: x"),
        HEAD "  volumes: [{nmae: v}]\n  containers: [{name: c, image: i, volumeMounts: [{name: v, "
             "mountPath: /v}]}]\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(manifests); i++) {
        _cleanup_diag_list_ struct diag_list diags = {0};
        parse(manifests[i], &diags);
        for (size_t k = 0; k < diags.n; k++)
            if (strstr(diags.items[k].message, "must say") ||
                strstr(diags.items[k].message, "no volume"))
                fail_msg("%s: %s", diags.items[k].path, diags.items[k].message);
        assert_true(diags.errors > 0);
    }
}

static void findings_keep_to_one_line(void **state)
{
    _cleanup_diag_list_ struct diag_list diags = {0};
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY, shown = BUFFER_EMPTY;

    buffer_add_str(&text, "metadata:\n  name: web\n  labels:\n    \"a\\nb\": \"c\\td\"\n    ? ");
    for (int i = 0; i < 3000; i++)
        buffer_add_str(&text, "\xc3\xa4");
    buffer_add_str(&text,
                   "\n    : x\nspec:\n  hostNetwork: true\n  containers: [{name: c, image: i, "
                   "volumeMounts: [{name: \"x\\ny\", mountPath: /a}]}]\n");
    parse(buffer_str(&text), &diags);
    assert_int_equal(diags.errors, 4);
    for (size_t i = 0; i < diags.n; i++) {
        buffer_truncate(&shown, 0);
        diag_format(&diags.items[i], &shown);
        assert_null(strpbrk(buffer_str(&shown), "\n\t"));
        assert_true(shown.len < 2000);
        assert_true(str_is_utf8(buffer_str(&shown), shown.len, NULL));
    }
}

// As many of everything as a list may have.
static void large_manifests_are_bounded(void **state)
{
    struct buffer text = BUFFER_EMPTY;
    _cleanup_diag_list_ struct diag_list diags = {0};

    buffer_add_str(&text, HEAD "  containers:\n  - name: c\n    image: i\n    ports:\n");
    for (int i = 0; i < 1000; i++)
        buffer_printf(&text, "    - {containerPort: 1, hostIP: h%d, name: p%d}\n", i, i);
    buffer_add_str(&text, "    volumeMounts:\n");
    for (int i = 0; i < 1000; i++)
        buffer_printf(&text, "    - {name: n%d, mountPath: /%d}\n", i, i);
    buffer_add_str(&text, "    resources:\n      limits:\n");
    for (int i = 0; i < 1000; i++)
        buffer_printf(&text, "        example.com/r%d: 1\n", i);
    buffer_add_str(&text, "  volumes:\n");
    for (int i = 0; i < 1000; i++)
        buffer_printf(&text, "  - {name: v%d}\n", i);
    parse(buffer_str(&text), &diags);
    if (diags.n < DIAG_MOST)
        fail_msg("%s", diags.items[0].message);
    assert_true(diags.dropped > 0);
    buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_manifests_have_no_findings),
        cmocka_unit_test(metadata_is_checked),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(ports_follow_the_host_network),
        cmocka_unit_test(variables_have_one_source),
        cmocka_unit_test(mounts_find_their_volumes),
        cmocka_unit_test(volumes_have_one_source),
        cmocka_unit_test(probes_and_hooks_have_one_action),
        cmocka_unit_test(restart_rules_are_whole),
        cmocka_unit_test(amounts_fit_together),
        cmocka_unit_test(security_is_consistent),
        cmocka_unit_test(scheduling_is_consistent),
        cmocka_unit_test(names_are_resolved_somehow),
        cmocka_unit_test(own_annotations_are_checked),
        cmocka_unit_test(what_is_not_honoured_is_said),
        cmocka_unit_test(mistakes_of_all_kinds_are_told_at_once),
        cmocka_unit_test(what_follows_from_a_mistake_is_not_told),
        cmocka_unit_test(findings_keep_to_one_line),
        cmocka_unit_test(large_manifests_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
