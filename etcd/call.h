// Inside of this room: one call of the gateway, whatever it is about.
#pragma once

#include "base/buffer.h"
#include "base/error.h"

struct etcd_client;

// Asks the members one after the other until one answers. Uses up `request`; the reply's text is in
// *ret_body, which the caller frees. `path` without "/v3".
int etcd_call(struct etcd_client *client, const char *path, char *request, struct buffer *ret_body,
              struct error *err);

// A whole line of a stream. What is not 0 ends the stream and is its result.
typedef int (*etcd_line_fn)(void *userdata, const char *text, size_t len, struct error *err);

// A call that is answered by a stream of lines, as long as it takes: it fails where nothing comes
// for the client's time budget. Uses up `request`. Another member is asked only where no line has
// come. 0 where the stream has ended as it should.
int etcd_stream(struct etcd_client *client, const char *path, char *request, etcd_line_fn fn,
                void *userdata, struct error *err);
