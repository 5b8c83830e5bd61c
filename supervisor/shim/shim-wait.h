// A shim that is started before it is needed: "mainstay-shim --wait" has its program in memory and
// its libraries initialized, and becomes the shim of the container that it is told of. Starting a
// program is a quarter of what starting a container takes. Stands on base only.
#pragma once

#include <stdbool.h>

// The room for the title that such a shim is started with, as its second argument: two names of a
// pod's object, one of a container, what is between them, and the NUL.
enum { SHIM_TITLE_ROOM = 253 + 63 + 63 + 3 };

// Waits at descriptor SHIM_FD_SPEC for SHIM_BEGIN. True once the descriptors of shim-proto.h are in
// place and argv tells ps what any other shim's does; false where the agent went away instead.
bool shim_wait(char **argv);
