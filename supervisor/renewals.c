// See renewals.h.
#include "supervisor/renewals.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/monotime.h"
#include "base/string-list.h"
#include "base/work.h"
#include "supervisor/helper.h"

#define EVERY_USEC    ((uint64_t)24 * 60 * 60 * 1000000)
#define ACCURACY_USEC ((uint64_t)10 * 60 * 1000000) // with whatever else wakes the agent

struct renewals {
    struct renewals_options options;
    sd_event_source *timer;
    struct helper *helper; // NULL while none runs
};

static void tell(struct renewals *r, bool well, const char *text)
{
    event_add(r->options.events, (struct event_object){0}, well ? EVENT_NORMAL : EVENT_WARNING,
              well ? "CertificateRenewed" : "CertificateNotRenewed", "%s", text);
}

// "renewed  PATH  until …", "restart  NAME: …", "failed  PATH: …"
static void tell_line(struct renewals *r, const char *line)
{
    static const char failed[] = "failed   ";
    if (str_starts_with(line, "renewed ") || str_starts_with(line, "restart "))
        tell(r, true, line);
    else if (str_starts_with(line, failed))
        tell(r, false, line + strlen(failed));
}

static void on_done(void *userdata, int status, const char *output)
{
    struct renewals *r = userdata;
    bool told = false;
    r->helper = NULL;
    while (*output) {
        size_t n = strcspn(output, "\n");
        _cleanup_free_ char *line = xstrndup(output, n);
        told = told || str_starts_with(line, "failed ");
        tell_line(r, line);
        output += n + (output[n] == '\n');
    }
    if (status != 0 && !told)
        tell(r, false,
             "`mainstay pki renew -if-older-than=2/3` did not succeed; called by hand, "
             "it says why");
}

static void start(struct renewals *r)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    char name[] = "mainstay", pki[] = "pki", renew[] = "renew", age[] = "--if-older-than=2/3";
    _cleanup_free_ char *dir = xasprintf("--dir=%s", r->options.dir);
    _cleanup_free_ char *manifests = xasprintf("--manifests=%s", r->options.manifests);
    char *argv[] = {name, pki, renew, age, dir, manifests, NULL};
    if (r->helper)
        return;
    if (helper_start(r->options.event, r->options.program, argv, on_done, r, &r->helper, &err) < 0)
        tell(r, false, error_message(&err));
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct renewals *r = userdata;
    WORK_SCOPE("pods", "renewals", NULL, NULL);
    start(r);
    sd_event_source_set_time_relative(source, EVERY_USEC);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

struct renewals *renewals_new(const struct renewals_options *options)
{
    struct renewals *r = xcalloc(1, sizeof(*r));
    r->options = *options;
    // The day goes on while the machine is suspended.
    int code = sd_event_add_time_relative(options->event, &r->timer, CLOCK_BOOTTIME, EVERY_USEC,
                                          ACCURACY_USEC, on_time, r);
    if (code < 0)
        tell(r, false, "there is no timer for it");
    start(r);
    return r;
}

void renewals_free(struct renewals *r)
{
    if (!r)
        return;
    sd_event_source_disable_unref(r->timer);
    helper_free(r->helper);
    free(r);
}
