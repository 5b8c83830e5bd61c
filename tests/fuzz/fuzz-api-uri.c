// A request's path and query: whatever comes, it is refused or becomes bounded UTF-8 parts.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "supervisor/api-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *s)
{
    if (!s || !str_is_utf8(s, strlen(s), NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *uri = xstrndup((const char *)data, size);
    struct request *r = api_request_new(NULL, uri, NULL);
    if (r->n_segments > API_SEGMENTS_MOST || r->n_parameters > API_PARAMETERS_MOST)
        abort();
    for (size_t i = 0; !r->refusal && i < r->n_segments; i++)
        check_text(r->segments[i]);
    for (size_t i = 0; !r->refusal && i < r->n_parameters; i++) {
        check_text(r->parameters[i].key);
        check_text(r->parameters[i].value);
    }
    void *owned = r;
    api_request_done(NULL, NULL, &owned, MHD_REQUEST_TERMINATED_COMPLETED_OK);
    return 0;
}
