// What the program does besides keeping a container: work for the agent that may take long, or hang
// on a bad disk, in a process of its own. Started as "mainstay-shim --remove DIR..." or
// "mainstay-shim --measure DIR...". Stands on base only.
#pragma once

// Empties the directories, at the lowest priority: unmounts what is mounted below them, removes
// everything, and follows no symlink and crosses no mount in doing so. It needs a handful of
// descriptors however deep a tree is. Directories that are missing are empty. Returns the program's
// exit status: 0, or the errno of the first thing that could not be removed.
int sweep_remove(char *const *dirs);

// Writes a line with the disk usage in bytes (st_blocks, as du counts it) for each directory to
// standard output, -1 where it cannot be read. Returns 0.
int sweep_measure(char *const *dirs);
