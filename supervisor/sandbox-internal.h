// What the files sandbox*.c share; nobody else includes it.
#pragma once

#include <jansson.h>

#include "supervisor/cni.h"
#include "supervisor/program.h"
#include "supervisor/sandbox.h"

enum sandbox_state {
    SANDBOX_DOWN,   // nothing is there
    SANDBOX_MAKING, // its namespaces are being made
    SANDBOX_ADDING, // CNI plugins give it a network
    SANDBOX_UP,
    SANDBOX_RESTING,  // an attempt failed; the next one comes when the timer ends
    SANDBOX_DELETING, // CNI plugins take its network away
};

enum sandbox_next { // after SANDBOX_DELETING
    SANDBOX_THEN_DOWN,
    SANDBOX_THEN_REST,
    SANDBOX_THEN_MAKE,
};

struct sandbox {
    struct sandboxes *all;
    void *owner; // NULL: nobody has claimed it
    enum sandbox_state state;
    enum sandbox_next next;
    bool stale; // of an earlier boot
    // The record.
    char *uid, *namespace_, *pod;
    char *container_id; // what CNI knows it by
    char *hostname;
    struct string_list words; // of the program that makes the namespaces
    bool own_network;
    json_t *config, *result, *capabilities; // as of ADD; NULL before
    bool complete;                          // it was up
    pid_t pause_pid;
    uint64_t pause_ticks;
    // At work.
    char *dir; // <run>/ns/<uid>
    char *netns;
    struct sandbox_view view;
    struct cni_attachment attachment;
    struct program *maker;
    struct cni_call *call;
    sd_event_source *timer, *pause;
    unsigned attempts, deletions;
};

struct network_watch; // sandbox-network.c's own

struct sandboxes {
    struct sandbox_options options;
    const struct sandbox_ops *ops;
    void *userdata;
    struct cni_options cni;
    struct string_list bin_dirs;
    char *dir;       // <run>/ns
    char *state_dir; // <root>/state/sandboxes
    char boot_id[37];
    bool mounted;
    LIST_OF(struct sandbox *) list;
    struct network_watch *network;
};

void sandbox_free(struct sandbox *s);
struct sandbox *sandbox_find(const struct sandboxes *all, const char *uid);
struct sandbox *sandbox_new(struct sandboxes *all, const char *uid);
void sandbox_event(const struct sandbox *s, enum event_type type, const char *reason,
                   const char *format, ...) _printf_(4, 5);
// Another configuration of the network has come: what rests need not wait any longer.
void sandboxes_try_again(struct sandboxes *all);

// ---- sandbox-pins.c ----

// Starts the program; on_made() follows.
int sandbox_make(struct sandbox *s, void (*made)(void *userdata, const struct program_end *end),
                 struct error *err);
// The pins are there, as a run of this boot has left them.
bool sandbox_is_pinned(const struct sandbox *s);
// Unmounts and removes everything below the directory, and it.
int sandbox_unpin(struct sandboxes *all, const char *dir, struct error *err);
// Fills in s->view.
void sandbox_look(struct sandbox *s);
// Directories that no sandbox of the list knows.
void sandboxes_unpin_strangers(struct sandboxes *all);

// ---- sandbox-record.c ----

int sandbox_save(const struct sandbox *s, struct error *err);
void sandbox_forget(const struct sandbox *s);
void sandboxes_load(struct sandboxes *all);

// ---- sandbox-network.c ----

int network_watch_new(struct sandboxes *all, struct error *err);
void network_watch_free(struct network_watch *watch);
// The configuration in force (borrowed), or NULL with *ret_problem.
const json_t *network_watch_config(struct network_watch *watch, const char **ret_problem);

// ---- sandbox-wishes.c ----

// s->words: the namespaces, host name and kernel parameters of the pod.
void sandbox_set_words(struct sandbox *s, const struct pod *pod, const char *hostname);

// What the pod asks of plugins that can give it: portMappings, bandwidth. A new reference.
json_t *sandbox_capabilities(const struct pod *pod);
