// What the files volumes*.c share; nobody else includes it.
#pragma once

#include "podspec/pod.h"
#include "supervisor/volumes.h"

// "<root>/pods/<uid>/volumes/kubernetes.io~<plugin>/<name>". The caller frees.
char *volumes_dir(const struct volumes_options *options, const char *uid, const char *plugin,
                  const char *name);

// Writes the files of a downwardAPI or projected volume into `dir`.
int volumes_write_downward(const struct pod *pod, const struct container *container,
                           const struct volume *volume, const char *dir, struct error *err);
int volumes_write_projected(const struct pod *pod, const struct container *container,
                            const struct volume *volume, const char *dir, struct error *err);
