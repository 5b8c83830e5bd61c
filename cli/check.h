// What `mainstay check` looks at: one function for each WHAT. Each says in one line of `out` how it
// is, whether it is well or not.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "cli/client.h"
#include "cli/options.h"

struct check_options {
    struct common_options common;
    const char *namespace_;
    const char *manifests; // directory or file; NULL: the agent's, else /etc/kubernetes/manifests
    int64_t days;          // certificates
    int64_t min_free, min_inodes; // disk, in percent
    int64_t timeout_nsec;         // quorum
};

// 1: it is well; 0: it is not, as `out` says; or a negative errno (client_failed() fits).
typedef int (*check_fn)(const struct check_options *options, const char *const *words, size_t n,
                        struct buffer *out, struct error *err);

int check_agent(const struct check_options *options, const char *const *words, size_t n,
                struct buffer *out, struct error *err);
int check_pods(const struct check_options *options, const char *const *words, size_t n,
               struct buffer *out, struct error *err);
int check_manifests(const struct check_options *options, const char *const *words, size_t n,
                    struct buffer *out, struct error *err);
int check_certificates(const struct check_options *options, const char *const *words, size_t n,
                       struct buffer *out, struct error *err);
int check_disk(const struct check_options *options, const char *const *words, size_t n,
               struct buffer *out, struct error *err);
int check_quorum(const struct check_options *options, const char *const *words, size_t n,
                 struct buffer *out, struct error *err);

// The directory (or file) of manifests that is meant: as given, else the agent's where it answers,
// else the kubelet's. The caller frees.
char *check_manifest_path(const struct check_options *options);

// For `mainstay monit`: whether the flags of the manifests say where etcd is.
struct node_manifests;
bool check_quorum_is_possible(const struct node_manifests *manifests);

// Adds a finding behind "; " where there is one before it.
void check_add(struct buffer *out, const char *format, ...) _printf_(2, 3);
