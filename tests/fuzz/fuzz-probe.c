// What a probe reads from others: a gRPC health answer, whose status stays within what was sent,
// and a path from a manifest, which becomes a URL without a byte that could end it.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/probe-question.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t status;
    if (probe_grpc_decode(data, size, &status) == 0 && size < 5)
        abort();
    _cleanup_free_ char *text = probe_text((const char *)data, size);
    if (strlen(text) > PROBE_TEXT_MAX)
        abort();
    _cleanup_free_ char *path = xstrndup((const char *)data, size);
    _cleanup_free_ char *url = probe_url("http", "127.0.0.1", 80, path);
    for (const char *p = url; *p; p++)
        if (*p <= ' ' || *p == 0x7f || *p == '#')
            abort();
    return 0;
}
