// What was made, kept and found wrong in a set of keys and certificates. See layout-internal.h.
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "pki/layout-internal.h"

// From this age on a kept certificate is reported with a warning.
#define EXPIRES_SOON_NSEC (30 * CERTIFICATE_DAY_SEC * NSEC_PER_SEC)

void pki_maker_report(struct pki_maker *maker, enum pki_outcome outcome, const char *path,
                      char *note)
{
    struct pki_report *to = maker->report;
    to->items = xreallocarray(to->items, to->n + 1, sizeof(to->items[0]));
    to->items[to->n++] = (struct pki_report_item){outcome, xstrdup(path), note};
    to->made += outcome == PKI_MADE;
    to->kept += outcome == PKI_KEPT;
    to->wrong += outcome == PKI_WRONG;
}

int pki_maker_report_wrong(struct pki_maker *maker, const char *path, struct error *err)
{
    const char *message = error_message(err);
    size_t len = strlen(path);
    if (str_starts_with(message, path) && str_starts_with(message + len, ": "))
        message += len + 2; // the path stands beside it already
    pki_maker_report(maker, PKI_WRONG, path, xstrdup(message));
    error_clear(err);
    return -EINVAL;
}

char *pki_maker_kept_note(const struct pki_maker *maker, X509 *certificate, mode_t key_mode,
                          const char *more)
{
    _cleanup_buffer_ struct buffer note = BUFFER_EMPTY;
    char text[RFC3339_NANO_SIZE];
    walltime end = certificate ? certificate_not_after(certificate) : (walltime){INT64_MAX};
    if (end.nsec - maker->now.nsec < EXPIRES_SOON_NSEC)
        buffer_printf(&note, "expires on %s", walltime_format(end, text));
    if (key_mode & 077)
        buffer_printf(&note, "%sthe private key can be read by others (mode %04o)",
                      note.len > 0 ? "; " : "", (unsigned)key_mode);
    if (more)
        buffer_printf(&note, "%s%s", note.len > 0 ? "; " : "", more);
    return note.len > 0 ? buffer_take(&note) : NULL;
}

void pki_report_free(struct pki_report *report)
{
    for (size_t i = 0; i < report->n; i++) {
        free(report->items[i].path);
        free(report->items[i].note);
    }
    free(report->items);
    *report = (struct pki_report){0};
}
