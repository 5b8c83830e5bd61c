// See pki-report.h.
#include "cli/pki-report.h"

#include <stdio.h>

void pki_say(const char *what, enum term_style style, const char *path, const char *note)
{
    bool color = term_has_color(stdout);
    printf("  %s%-8s%s %s\n", term_begin(style, color), what, term_end(style, color), path);
    if (note)
        printf("           %s\n", note);
}

void pki_say_report(const struct pki_report *report)
{
    for (size_t i = 0; i < report->n; i++) {
        const struct pki_report_item *item = &report->items[i];
        if (item->outcome == PKI_MADE)
            pki_say("made", TERM_GREEN, item->path, item->note);
        else if (item->outcome == PKI_KEPT)
            pki_say("kept", item->note ? TERM_YELLOW : TERM_DIM, item->path, item->note);
        else
            pki_say("wrong", TERM_RED, item->path, item->note);
    }
}
