// monit's control file for one node: the agent by its pidfile and its health URL, each pod by what
// the agent says of it and by its own health URL, and what `mainstay check` looks at besides. From
// plain data to text that Debian's monit (5.33) loads; the same data gives the same bytes.
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macro.h"
#include "base/string-list.h"

struct monit_header {
    char *name, *value;
};

// An HTTP request that must be answered with a status below 400.
struct monit_url {
    char *host; // an address or a name, without brackets
    int port;
    char *path; // with its query
    bool https; // not verified, as the kubelet's probes
    int timeout_sec;
    LIST_OF(struct monit_header) headers;
};

// A command that must exit with 0. Its first line of output is what monit shows.
struct monit_program {
    char *name, *about;         // `about` (may be NULL) becomes a comment
    struct string_list command; // argv; the program's path is absolute
    int timeout_sec;
    int period_sec;   // how often it runs; 0: in each cycle
    int patience_sec; // how long one that runs in each cycle may fail before there is an alert
};

struct monit_pod {
    char *name;                 // of the pod, and of its two services
    struct monit_program state; // `mainstay check pod NAME`
    LIST_OF(struct monit_url) urls;
    int patience_sec; // of the URLs
};

// How the agent is started and stopped; what else restarts it decides what monit may do.
struct monit_agent {
    char *service; // its name in monit
    char *pid_file;
    struct string_list start, stop; // argv
    int start_timeout_sec;          // for as long its health is not looked at after a start
    int stop_timeout_sec;
    int patience_sec;      // how long its health may fail before it is restarted
    struct monit_url *url; // of its health; NULL: `socket` is asked
    char *socket;
    bool has_service_manager; // systemd restarts it by itself
};

struct monit_control {
    char *command;    // how this file was made, for its head
    int interval_sec; // monit's `set daemon`
    struct monit_agent agent;
    LIST_OF(struct monit_pod) pods;
    LIST_OF(struct monit_program) programs;
};

// Appends the file. 0, or -EINVAL where a word cannot be written in monit's language: it knows no
// escapes, so a double quote or a control character (and, beside blanks, a single quote) has no
// place in it.
int monit_control_render(const struct monit_control *control, struct buffer *out,
                         struct error *err);

// The name of the service that looks at a pod's URLs. The caller frees.
char *monit_url_service(const char *pod);

// How many cycles pass within `seconds`, for `for N cycles` and `every N cycles`: 1 to 64, which is
// as far as monit counts failures.
int monit_cycles(const struct monit_control *control, int seconds);

void monit_url_free(struct monit_url *url);
void monit_program_free(struct monit_program *program);
void monit_control_free(struct monit_control *control);
#define _cleanup_monit_control_ _cleanup_(monit_control_free)
