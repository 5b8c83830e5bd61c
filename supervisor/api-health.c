// /healthz, /livez and /readyz, as a whole and by the part, in kube-apiserver's form
// (staging/src/k8s.io/apiserver/pkg/server/healthz/healthz.go). /healthz asks what /livez asks.
#include <string.h>

#include "base/string-list.h"
#include "supervisor/api-internal.h"

static const struct health *bring_up_to_date(struct api *api)
{
    if (api->agent->check_health)
        api->agent->check_health(api->agent);
    return api->agent->health;
}

static bool is_readiness(const struct request *r)
{
    return strcmp(r->segments[0], "readyz") == 0;
}

static bool is_excluded(const char *part, void *userdata)
{
    const struct request *r = userdata;
    for (size_t i = 0; i < r->n_parameters; i++)
        if (str_equal(r->parameters[i].key, "exclude") && str_equal(r->parameters[i].value, part))
            return true;
    return false;
}

static void warn_of_unknown(const struct health *health, const struct request *r,
                            struct buffer *text)
{
    for (size_t i = 0; i < r->n_parameters; i++)
        if (str_equal(r->parameters[i].key, "exclude") &&
            health_find(health, r->parameters[i].value) < 0)
            buffer_printf(text, "warn: there is no check \"%s\" to exclude\n",
                          r->parameters[i].value);
}

api_result get_health(struct api *api, struct request *r)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    bool verbose = false;
    api_result result;
    if (!request_flag(r, "verbose", &verbose, &result))
        return result;
    api_asked_by(api, r);
    const struct health *health = bring_up_to_date(api);
    bool ok = health_describe(health, r->segments[0], is_readiness(r), is_excluded, r, &text);
    if (ok && !verbose) {
        buffer_truncate(&text, 0);
        buffer_add_str(&text, "ok");
    } else {
        warn_of_unknown(health, r, &text);
    }
    return reply_text(r, ok ? MHD_HTTP_OK : MHD_HTTP_INTERNAL_SERVER_ERROR, &text);
}

api_result get_health_part(struct api *api, struct request *r)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY, why = BUFFER_EMPTY;
    bool verbose = false;
    api_result result;
    if (!request_flag(r, "verbose", &verbose, &result))
        return result;
    const struct health *health = bring_up_to_date(api);
    ssize_t part = health_find(health, r->segments[1]);
    if (part < 0)
        return reply_status(r, MHD_HTTP_NOT_FOUND,
                            "there is no check \"%s\"; /%s?verbose lists them", r->segments[1],
                            r->segments[0]);
    struct health_verdict v = health_part(health, (size_t)part, &why);
    bool ok = is_readiness(r) ? v.ready : v.live;
    if (!ok)
        buffer_printf(&text, "[-]%s failed: %s\n", v.name, buffer_str(&why));
    else if (verbose)
        buffer_printf(&text, "[+]%s ok\n", v.name);
    else
        buffer_add_str(&text, "ok");
    return reply_text(r, ok ? MHD_HTTP_OK : MHD_HTTP_INTERNAL_SERVER_ERROR, &text);
}
