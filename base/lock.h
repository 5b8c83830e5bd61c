// A lock file's flock(2), for the programs that must be alone.
#pragma once

// Takes the exclusive lock of an open file: 0, -EWOULDBLOCK where somebody else keeps it, or
// another negative errno. A holder that was just killed may have a child that is about to exec,
// which holds what its parent held until then: it is waited for, half a second at most. For the
// start of a program: it blocks, and it needs SIGALRM for itself meanwhile.
int lock_take(int fd);
