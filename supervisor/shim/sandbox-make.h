// The namespaces that the containers of one pod share, made by a short-lived run of the shim
// program and pinned as files. Nobody but main.c and container-child.c includes it.
#pragma once

// mainstay-shim --sandbox DIR WORD…: makes what the words ask for, pins it below DIR (which is
// there and empty) and ends. The words:
//
//   net, ipc, uts, pid   a new namespace of that kind, pinned as DIR/net, DIR/ipc, …; with ipc
//                        there is DIR/shm, what /dev/shm is in the containers
//   hostname=NAME        set in the new UTS namespace
//   sysctl=PATH=VALUE    set in the new namespaces; PATH is below /proc/sys
//   cgroup=DIR           joined by the first process of the PID namespace
//   title=NAMESPACE/POD  that process is called so
//
// With pid a process stays behind that reaps in the PID namespace as its first process; "PID TICKS"
// on standard output, and in the file DIR/pause, says which, and when it started. On failure
// standard output says why, and the exit status is 1.
int sandbox_make_main(int argc, char **argv);

// Brings up `lo` of the network namespace that the caller is in: 0, or -errno.
int sandbox_bring_loopback_up(void);
