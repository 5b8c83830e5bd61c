// The API's two listening sockets, and who may use the first.
#pragma once

#include <stdbool.h>

#include "base/error.h"

// Listens on the unix socket `path` (mode 0600), replacing one that nobody answers on any more. A
// flock()ed PATH.lock, whose descriptor goes to *ret_lock, keeps two agents from doing that to each
// other: where it is taken, or somebody answers, the error says that another agent is running.
// Returns the descriptor.
int api_socket_open_local(const char *path, int *ret_lock, struct error *err);

// Listens on a TCP address (IPv4 or IPv6 in figures). Returns the descriptor.
int api_socket_open_health(const char *address, int port, struct error *err);

// True where the client of a unix socket is root or this process's own user.
bool api_socket_peer_is_trusted(int fd);
