// The agent's HTTP API over its socket (supervisor/api.h): single requests, and streams that are
// read line by line, several at a time.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/macro.h"
#include "base/monotime.h"

struct client;

// `socket` NULL: MAINSTAY_SOCKET, else that of an ordinary user's own agent where there is one,
// else /run/mainstay/mainstay.sock. Nothing is connected yet.
struct client *client_new(const char *socket);
void client_free(struct client *client);
DEFINE_CLEANUP(struct client *, client_free)
#define _cleanup_client_ _cleanup_(cleanup_client_free)

const char *client_socket(const struct client *client);

// Errors of every request: -ENOTCONN where the agent cannot be reached (the message says which
// socket, why, and what to do), -ENOENT for 404, -EREMOTEIO for any other answer that is no success
// (the message is the agent's), -EPROTO for one that cannot be understood.

// A JSON answer; a new reference.
int client_get(struct client *client, const char *path, json_t **ret, struct error *err);
// POST without a body: the answer, a new reference; or its "message" alone. *ret_message (may be
// NULL) is the answer's "message", to be freed.
int client_post_json(struct client *client, const char *path, json_t **ret, struct error *err);
int client_post(struct client *client, const char *path, char **ret_message, struct error *err);

// A line of a stream, without its newline and NUL-terminated (`len` counts without the NUL).
// Returns 0 to go on; anything else ends client_run() with that value.
typedef int (*client_line_fn)(void *userdata, const char *line, size_t len);
// Bytes of a stream as they come.
typedef int (*client_data_fn)(void *userdata, const char *data, size_t len);

// Adds a stream; it is read by client_run().
void client_add_lines(struct client *client, const char *path, client_line_fn fn, void *userdata);
void client_add_data(struct client *client, const char *path, client_data_fn fn, void *userdata);
// Another descriptor to wait for; `fn` is called when it is readable.
void client_add_fd(struct client *client, int fd, int (*fn)(void *userdata), void *userdata);

// Reads the streams until one callback returns non-zero (that value), all streams have ended (0),
// the deadline has passed (-ETIMEDOUT, without a message), or one of them failed. Ended streams are
// dropped; the others stay for the next call.
int client_run(struct client *client, monotime deadline, struct error *err);
// How many streams have not ended.
size_t client_streams(const struct client *client);
// Ends all streams.
void client_drop_streams(struct client *client);

// "/mainstay/v1/pods/NS/NAME" + suffix with both parts percent-encoded; NULL namespace is "-"
// (any). The caller frees.
char *client_pod_path(const char *namespace_, const char *name, const char *suffix);
// Percent-encoded; the caller frees.
char *client_escape(const char *text);

// Says err on stderr ("error: …") and returns the exit status that fits r.
int client_failed(int r, const struct error *err);
