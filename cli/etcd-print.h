// How the commands of `mainstay etcd` tell things.
#pragma once

#include <jansson.h>

#include "base/macro.h"
#include "etcd/members.h"

// A line on standard output, safe for a terminal, whatever came from elsewhere.
void etcd_say(const char *format, ...) _printf_(1, 2);

// "json" or "yaml" on standard output; uses up the reference.
void etcd_print_json(json_t *value, const char *format);

// {"id", "name", "learner", "peerURLs", "clientURLs"}; a new reference.
json_t *etcd_member_json(const struct etcd_member *member);

// "24Ki", "1.5Mi"; buf has ETCD_SIZE_SIZE bytes. Returns buf.
enum { ETCD_SIZE_SIZE = 32 };
char *etcd_size_text(int64_t bytes, char *buf);
