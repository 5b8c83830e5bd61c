// Has certificates renewed that have lived two thirds of their life: `mainstay pki renew` as a
// helper process, when the agent starts and once a day, from the CAs on disk alone. Pods take what
// is new by mainstay.dev/restart-on-change.
#pragma once

#include <systemd/sd-event.h>

#include "supervisor/events.h"

struct renewals;

struct renewals_options { // all borrowed
    sd_event *event;
    struct event_log *events;
    const char *program;   // `mainstay`
    const char *dir;       // of certificates; its kubeconfigs lie above it
    const char *manifests; // which name more of them
};

// Each certificate that was renewed is an event, CertificateRenewed; each that could not be,
// CertificateNotRenewed.
struct renewals *renewals_new(const struct renewals_options *options);
void renewals_free(struct renewals *renewals); // a helper that runs goes on
