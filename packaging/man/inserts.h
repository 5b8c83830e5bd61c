// What the program's own tables tell to the manual pages. A page is a template of roff with lines
//
//   .\" INSERT name
//
// each of which is replaced by what the insert of that name writes. `templates` is the
// directory of the templates, from where more of the source can be found.
#pragma once

#include "base/buffer.h"
#include "cli/commands.h"

// Commands of mainstay(1), in insert-commands.c.
void insert_commands(struct buffer *out, const char *templates);    // the list, by group
void insert_exit_status(struct buffer *out, const char *templates); // what the statuses mean
void insert_command_page(struct buffer *out, const struct command *command); // mainstay-NAME(1)

// The daemon's flags and the fields of its configuration file, in insert-config.c.
void insert_daemon_flags(struct buffer *out, const char *templates);
void insert_config_honoured(struct buffer *out, const char *templates);
void insert_config_noted(struct buffer *out, const char *templates);
void insert_config_refused(struct buffer *out, const char *templates);

void insert_events(struct buffer *out, const char *templates);          // insert-events.c
void insert_podmaster_flags(struct buffer *out, const char *templates); // insert-podmaster.c
void insert_manifest_fields(struct buffer *out, const char *templates); // insert-manifests.c
