// The API's two listening sockets, and who may use the first.
#pragma once

#include <stdbool.h>

#include "base/error.h"

// Before anything is done to the unix socket `path`: takes a lock (flock(2)) of PATH.lock, which
// keeps two agents from doing it to each other. Where it is taken, the error says that another
// agent is running. Returns the descriptor that holds it.
int api_socket_lock(const char *path, struct error *err);

// Listens on the unix socket `path` (mode 0600), replacing one that nobody answers on any more.
// Where somebody answers, the error says that another agent is running. Returns the descriptor.
int api_socket_open_local(const char *path, struct error *err);

// Listens on a TCP address (IPv4 or IPv6 in figures). Returns the descriptor.
int api_socket_open_health(const char *address, int port, struct error *err);

// Whether a descriptor that was handed over listens, and whether it is what clients reach by this
// path or address: a socket's file may have been removed or replaced since.
bool api_socket_is_local(int fd, const char *path);
bool api_socket_is_health(int fd, const char *address, int port);

// True where the client of a unix socket is root or this process's own user.
bool api_socket_peer_is_trusted(int fd);
