// The node's HTTP API, on the agent's socket (root only; everything) and on the healthz port
// (127.0.0.1:10248; health only). libmicrohttpd with its epoll descriptor nested in the loop.
// The kubelet's paths with the kubelet's JSON, and our own below /mainstay/v1/ :
//
//   GET  /healthz /livez /readyz[?verbose]      text, 200 or 500
//   GET  /pods                                  v1 PodList with status (status.h)
//   GET  /containerLogs/{ns}/{pod}/{container}  text; ?follow ?previous ?tailLines ?sinceSeconds
//   ?sinceTime ?timestamps ?limitBytes GET  /configz                               the
//   configuration in force GET  /mainstay/v1/status                    the agent: version, pid,
//   uptime, node, directories, watchers, limitations, counts GET  /mainstay/v1/pods[?watch=true]
//   PodList; with watch one {"type":"ADDED|MODIFIED|DELETED","object":Pod} a line,
//                                               beginning with ADDED for every pod
//   GET  /mainstay/v1/pods/{ns}/{name}          one Pod (name with or without the node's suffix; ns
//   "-": any) GET  /mainstay/v1/events[?watch=true&after=ID&pod=NAME]  EventList, or one Event a
//   line GET  /mainstay/v1/manifests
//   {"items":[{"file","state":"Accepted|Refused|Conflict","sha256","changedAt",
//                                               "findings":[{"severity","line","column","path","message","text"}],"conflictWith",
//                                               "lastGood":bool,"pods":[{"namespace","name","uid"}]}]}
//   POST /mainstay/v1/pods/{ns}/{name}/restart[?container=C] | stop | start | retry    202
//   {"message":…} POST /mainstay/v1/stop-all                  202; ?exit=true ends the agent
//   afterwards POST /mainstay/v1/rescan                    202: reads the manifest directory again
//
// Pods carry, beside the v1 status, the annotations-free extension "mainstay" at the top level:
//   {"state":"Running","file":…,"hash":…,"held":bool,"successor":uid|null,
//    "manifest":{"state","findings":[…]}   (of its file, when refused or in conflict)
//    "containers":[{"name","init","state","pid","command","restartCount","logPath","shimSocket","nextStart","cgroup"}]}
// In exact shape, because the command reads it:
//   GET /mainstay/v1/manifests?watch=true       as pods: one {"type":"ADDED|MODIFIED|DELETED",
//                                               "object":ITEM} a line, beginning with every file
//   GET /mainstay/v1/status                     {"version","pid","node","startedAt","synced":bool,
//       "ready":bool,"unhealthy":NAME|null,"adopted":N,
//       "directories":{"manifests","root","run","podLogs"},"manifestsPresent":bool,
//       "watchers":[{"name":"systemd","detail":"watchdog every 30s"}],  ([]: nobody watches)
//       "cgroups":"v2 at …","limitations":["…"],
//       "counts":{"pods","ready","manifests","refused","events"}}
// A watch begins with its first line at once and ends when the agent does.
//
// Errors are {"kind":"Status","status":"Failure","reason":"NotFound","message":…,"code":404}.
#pragma once

#include "base/error.h"

struct agent;
struct api;
struct pod_worker;

// Opens the sockets and starts serving on agent->loop. A healthz port that is taken is an error
// with the way out in its message.
int api_start(struct agent *agent, struct api **ret, struct error *err);
// A pod changed or (deleted) is gone: wakes the watchers.
void api_pod_changed(struct api *api, const struct pod_worker *w, bool deleted);
void api_free(struct api *api);
