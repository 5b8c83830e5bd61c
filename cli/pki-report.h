// What was made, kept and found wrong in a set of files, a line for each: `mainstay init` and
// `mainstay pki init`.
#pragma once

#include "cli/term.h"
#include "pki/layout.h"

// "  made     PATH", and the note (NULL for none) below.
void pki_say(const char *what, enum term_style style, const char *path, const char *note);
void pki_say_report(const struct pki_report *report);
