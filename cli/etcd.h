// `mainstay etcd`: what its files share.
#pragma once

#include "base/error.h"
#include "cli/etcd-access.h"
#include "cli/options.h"
#include "etcd/maintenance.h"
#include "etcd/members.h"

#define ETCD_SNAPSHOT_DIR "/var/lib/mainstay/etcd-snapshots"

struct etcd_options {
    struct common_options common;
    struct etcd_access_flags access;
    const char *output;
    int64_t timeout_nsec; // of one question to one member
    bool force;
    bool learner;             // member add
    const char *peer_urls;    // member add, update
    const char *node;         // member replace: NAME=IP
    int64_t wait_nsec;        // member replace
    const char *dir;          // snapshot
    int64_t keep, every_nsec; // snapshot save; 0: all, once
    // snapshot restore (`name` also guard)
    const char *data_dir, *name, *initial_cluster, *peer_url, *token;
    // guard
    int64_t go_nsec, patience_nsec, back_nsec;
    bool probe_failed;
};

// What one of its words does with the words behind it: the exit status.
typedef int (*etcd_fn)(const struct etcd_options *options, const char *const *words, size_t n);

int etcd_cmd_status(const struct etcd_options *options, const char *const *words, size_t n);
int etcd_cmd_health(const struct etcd_options *options, const char *const *words, size_t n);
int etcd_cmd_members(const struct etcd_options *options, const char *const *words, size_t n);
int etcd_cmd_member(const struct etcd_options *options, const char *const *words, size_t n);
int etcd_cmd_defrag(const struct etcd_options *options, const char *const *words, size_t n);
int etcd_cmd_alarm(const struct etcd_options *options, const char *const *words, size_t n);
int etcd_cmd_move_leader(const struct etcd_options *options, const char *const *words, size_t n);
int etcd_cmd_snapshot(const struct etcd_options *options, const char *const *words, size_t n);

int etcd_cmd_guard(const struct etcd_options *options, const struct options_rest *rest);

// "error: …" on stderr; returns the exit status.
int etcd_failed(const struct error *err);
// "error: …" and the way to --help; returns the exit status.
int etcd_usage(const char *format, ...) _printf_(1, 2);
// CLI_USAGE, said, where there are words that the command does not take; else 0.
int etcd_no_words(const char *name, const char *const *words, size_t n);

// Where etcd is by the flags and this node's files, and a client of all endpoints that are known.
// etcd_session_free() it in either case.
struct etcd_session {
    struct etcd_access access;
    struct etcd_client *client;
    int timeout_msec; // --command-timeout
    int interrupt_fd; // -1: signals do what they do
};
int etcd_session_open(const struct etcd_options *options, struct etcd_session *ret,
                      struct error *err);
// From now on SIGINT, SIGTERM and SIGHUP end calls and waits with -ECANCELED, so that what was
// begun is tidied up.
void etcd_session_catch_signals(struct etcd_session *session);
// Waits so long, where etcd has no event to wait for: 0, or -ECANCELED.
int etcd_session_wait(const struct etcd_session *session, int msec, struct error *err);
void etcd_session_free(struct etcd_session *session);
#define _cleanup_etcd_session_ _cleanup_(etcd_session_free)
#define ETCD_SESSION_EMPTY                                                                         \
    {                                                                                              \
        .interrupt_fd = -1                                                                         \
    }

// The signals alone: a descriptor that becomes readable when one has come, and stays so.
int etcd_signals_catch(void);
int etcd_signals_wait(int fd, int64_t msec, struct error *err); // as etcd_session_wait()
