// The node's HTTP API, on the agent's socket (root only; everything) and on the healthz port
// (127.0.0.1:10248; health only). libmicrohttpd with its epoll descriptor nested in the loop.
// The kubelet's paths with the kubelet's JSON, and our own below /mainstay/v1/ ({ns} may be "-":
// any; {name} is a pod's name with or without the node's suffix):
//
// GET /healthz /livez /readyz[?verbose][&exclude=PART…]
//     text/plain, 200 ("ok") or 500 with the parts that are in trouble and why; with verbose, and
//     whenever it is a 500, a line for each part: "[+]loop ok", "[-]logs failed: …"
// GET /healthz/{part} /livez/{part} /readyz/{part}[?verbose]
//     one part alone
// GET /pods
//     v1 PodList with status (status.h)
// GET /containerLogs/{ns}/{pod}/{container}
//     text; ?follow ?previous ?tailLines ?sinceSeconds ?sinceTime ?timestamps ?limitBytes
//     With follow the stream ends when that run of the container is over.
// GET /configz
//     {"kubeletconfig":{…}}: the configuration in force
// GET /stats/summary[?only_cpu_and_memory=true&pod=NAME&namespace=NS]
//     the kubelet's v1alpha1 Summary; "io" has readBytes and writeBytes beside its pressure, and
//     memory has "source":"processes" where no memory controller counts
// GET /metrics /metrics/resource /metrics/cadvisor /metrics/probes
//     Prometheus' text format: the agent itself, and what pods and containers use
// GET /mainstay/v1/status
//     {"version","pid","node","nodeIP"|null,"startedAt","uptimeSeconds","synced":bool,"live":bool,
//      "ready":bool,"unhealthy":the first part that is not live, else that is degraded|null,
//      "adopted":N,
//      "directories":{"manifests","root","run","podLogs"},"manifestsPresent":bool,
//      "socket","healthz":"127.0.0.1:10248"|null,
//      "configuration":{"file"|null,"refused":why it is not in force as it is|null},
//      "pidFile":PATH|null,
//      "watchers":[{"name":"systemd|mainstayd --init|monit|runit|s6|OpenRC|…|healthz",
//                   "detail":"watchdog every 30s","restarts":bool,"noticesHangs":bool}],
//      "health":[{"name","ok":bool (live),"ready":bool,"degraded":bool,"message"|null}],
//      "cgroups":"v2 at …","limitations":["…"],
//      "counts":{"pods","ready","pending","running","succeeded","failed","held","stopping",
//                "containers","backOff","restarts","manifests","accepted","refused","conflict",
//                "events","watches"},"lastEvent":ID}
// GET /mainstay/v1/pods[?watch=true]
//     PodList; with watch one {"type":"ADDED|MODIFIED|DELETED","object":Pod} a line, beginning
//     with ADDED for every pod, then {"type":"BOOKMARK"}: from here on it is news. It ends when the
//     agent does. Whoever reads slowly sees fewer of the states in between; one who reads so slowly
//     that deletions would have to be dropped gets {"type":"ERROR","object":Status} (code 410) as
//     the last line.
// GET /mainstay/v1/pods/{ns}/{name}
//     one Pod
// GET /mainstay/v1/events[?watch=true&after=ID&pod=NAME&namespace=NS]
//     v1 EventList ("metadata":{"resourceVersion":"<newest id>"}), or with watch one Event a line
//     (no wrapper; those with an id above `after` first, then the news; the last line may be the
//     ERROR of a pod watch). An Event's metadata.resourceVersion is its id;
//     "mainstay":{"id","container","file"} stands beside it. An `after` that is above the newest id
//     counts as 0: the log has begun anew.
// GET /mainstay/v1/manifests[?watch=true]
//     With watch as pods: one {"type","object":ITEM} a line (DELETED: {"file"} alone). Else
//     {"items":[ITEM]}. ITEM is
//     {"file","state":"Accepted|Refused|Conflict","sha256","changedAt",
//       "findings":[{"severity":"error|warning","line","column","path","message","text"}],
//       "conflictWith","lastGood":bool,"pods":[{"namespace","name","uid"}]}
//     Unknown strings are null; line and column are 0 where a finding has no place; "text" is the
//     whole line to show.
// GET /mainstay/v1/history/{ns}/{name}
//     the accepted specs of a pod, which may be gone, oldest first:
//     {"namespace","name","current":N|null (null: the pod was removed),
//      "failed":N|null (the manifest on disk failed its trial: `current` runs instead),
//      "items":[{"revision":N,"acceptedAt","readyAt"|null,"endedAt"|null,
//       "outcome":"Running|NotReady[,OnTrial|,Confirmed|,FailedTrial]|Confirmed|FailedTrial|
//        Replaced|NeverReady|Removed[,…]",
//       "current":bool,"hash","uid","file","origin":"rollback to N"|null,"message":why it failed
//       its trial|null,"manifest":the file's text (or "pod": the pod made of it, where the text
//       was not at hand)}]}
// POST /mainstay/v1/pods/{ns}/{name}/restart[?container=C&force=true] | stop[?force=true] | start |
// retry
//     202 {"message":…}, of restart and stop also "guardAsked":bool (the order waits for the quorum
//     guard); force: it does not hold it up
// POST /mainstay/v1/pods/{ns}/{name}/force[?coming=true]
//     202: an order to stop the pod that waits for the quorum guard does not wait any more; with
//     coming, neither does one that follows in a moment (of a manifest that was just written)
// POST /mainstay/v1/stop-all[?exit=true]
//     202; with exit the agent ends afterwards
// POST /mainstay/v1/rescan
//     202: reads the manifest directory again
// POST /mainstay/v1/reload
//     202: the configuration is read anew; where it differs, the agent executes its program anew to
//     bring it into force, else the manifests are read again. The event ConfigurationReloaded tells
//     when that is done (ConfigurationRefused: that it could not be). 422: it is wrong, and the one
//     in force stays so; the message has FILE:LINE:COL
//
// Pods carry, beside the v1 status, the extension "mainstay" at the top level:
//   {"state":"Waiting|Initializing|Running|Stopping|Held|Finished|Gone","file","hash",
//    "held":bool,"removing":bool,"successor":uid|null,"heldBack":why|null,
//    "guardAsked":bool (it is to be stopped, and waits for the quorum guard),"guard":why|null,
//    "reason","message" (why it waits or failed; null),
//    "manifest":{"state","findings":[…],"conflictWith"}|null (its file, when refused or in
//    conflict),
//    "trial":{"state":"OnTrial|Failed","revision":N,"deadline"(once it has begun),"message"|null}
//       |null; with Failed, "manifest" is {"state":"FailedTrial",…}: another revision runs
//    "containers":[{"name","init":bool,"state":"Waiting|Starting|PostStart|Running|PreStop|
//       Terminating|Killing|Proving|BackOff|Exited","pid":N|null,"command","restartCount",
//       "logPath","shimSocket"|null (while it lives),"nextStart":RFC3339|null,"cgroup"|null,
//       "limits":{"memory.max":"104857600",…} (what its cgroups were given while it lives),
//       "probes":{"startup","readiness","liveness": "Success|Failure|Unknown"} (those it has)}]}
// HEAD is answered where GET is. Unknown, repeated or malformed query parameters are a 400 that
// names them, other methods a 405, a 65th watch or followed log a 503. Request bodies mean nothing.
// Errors are {"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":…,
// "code":404}.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct agent;
struct api;
struct config;
struct pod_worker;

// Opens the sockets (those that agent->handover brings go on; the service manager keeps them all
// for the next agent) and starts serving on agent->loop. A healthz port that is taken is an error
// with the way out in its message.
int api_start(struct agent *agent, struct api **ret, struct error *err);
// A pod changed or (deleted) is gone: wakes the watchers.
void api_pod_changed(struct api *api, const struct pod_worker *w, bool deleted);
// The state of a manifest file changed, or it went away: wakes its watchers and those of its pods.
void api_manifest_changed(struct api *api, const char *file);
// Before a configuration comes into force: opens what it needs that may be taken (a healthz port),
// for agent->handover. A negative errno with *err: it cannot come into force.
int api_prepare(struct api *api, const struct config *next, struct error *err);
// The listening sockets go to agent->handover. Their file stays where somebody goes on with them.
void api_free(struct api *api);

// For health checks: true where a client waits to be attended to just now; *ret_turns is how often
// that was done so far.
bool api_is_waited_for(const struct api *api, uint64_t *ret_turns);
// No connection is accepted for want of descriptors or memory.
bool api_is_paused(const struct api *api);
