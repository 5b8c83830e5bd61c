// Probes at work: puts the questions of running containers when they are due, tells their failures
// as events, and the pod worker what they add up to (pod_worker_probed()). Each probe has a timer
// of its own, which is off where there is nothing to ask.
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "supervisor/pod-worker.h"
#include "supervisor/shim-link.h"

struct prober; // one per agent
struct probes; // those of one run of a container

// `node_ip`: borrowed; what status.podIP says of a pod on the node's network, and so the host that
// is asked by default. NULL where it is not known: 127.0.0.1.
struct prober *prober_new(sd_event *event, const char *node_ip);
void prober_free(struct prober *prober); // after all its probes
DEFINE_CLEANUP(struct prober *, prober_free)

// Begins with a container that runs. One that an earlier agent has started goes on with the results
// in c->probes. Container and link are borrowed until probes_free(), which may be called from
// pod_worker_probed().
struct probes *probes_new(struct prober *prober, struct container_worker *c,
                          struct shim_link *link);
void probes_free(struct probes *probes);

// Asks on for a probe that has failed for good, since its container is not stopped (yet).
void probes_go_on(struct probes *probes, enum probe_kind kind, monotime now);

// How a question is put to the container of `link`, for its probes and hooks alike. `network`: it
// goes over the network.
struct probe_target;
int prober_target(struct prober *prober, const struct container_worker *c, struct shim_link *link,
                  bool network, struct probe_target *ret, struct error *err);

// For the health of the agent: other than 0 while a question that is due is not put, or one whose
// time is up is not answered; the same number as long as it is the same question.
uint64_t probes_overdue(const struct probes *probes, monotime now);
