// Where containers write their termination messages: <root>/termination/<uid>.<container>.<n>, one
// file for each instance. On the disk, not in the run directory: that is in memory, which the whole
// node would miss if a container wrote without end. In one flat directory: a directory of each
// pod's own would have to be made on the way to every start, and removed by a helper.
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "base/string-list.h"

// The caller frees.
char *termination_file_path(const char *root_dir, const char *pod_uid, const char *container,
                            uint64_t restart_count);

// A few files that are made when there is time, for the starts to come: on a disk, a new file takes
// a tenth of the time in which a container starts; another name does not.
struct termination_spares;

struct termination_spares *termination_spares_new(sd_event *event, const char *root_dir);
// The files stay, for the next agent. NULL is allowed.
void termination_spares_free(struct termination_spares *spares);

// Makes it, empty, for whoever the container runs as; of a spare one where there is one (`spares`
// may be NULL).
int termination_file_make(struct termination_spares *spares, const char *path, struct error *err);

// Removes it: a small one at once; a large one, which takes the disk its time, is put aside for
// volumes_sweeper_kick(). A missing one, or NULL, is no error.
int termination_file_remove(const char *root_dir, const char *path, struct error *err);

// All of a pod's, found by reading the directory: for pods of which nothing else is known.
int termination_files_remove(const char *root_dir, const char *pod_uid, struct error *err);

// Adds the UIDs of the pods that have such files, as far as they are not in the list.
int termination_files_list(const char *root_dir, struct string_list *uids, struct error *err);
