// Any bytes as a pod's history: what is taken for one survives being written again, and goes on.
// The checksum would stop all of it, so the input is what stands behind it.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "supervisor/history.h"

enum { INPUT_MAX = 64 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void go_on(struct history *history)
{
    const struct history_spec spec = {"0123456789abcdef0123456789abcdef", "u", "/f", "x", false};
    history_accept(history, &spec, (walltime){1});
    history_failed(history, history_good(history), "why", (walltime){2});
    json_decref(history_to_json(history));
    history_removed(history, (walltime){3});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_buffer_ struct buffer file = BUFFER_EMPTY, first = BUFFER_EMPTY, second = BUFFER_EMPTY;
    _cleanup_history_ struct history history = {0}, again = {0}, any = {0};
    char hex[DIGEST_HEX_SIZE];
    if (size > INPUT_MAX)
        return 0;
    history_decode(data, size, &any);
    buffer_printf(&file, "mainstay-history 1 %s\n", digest_sha256_hex(data, size, hex));
    buffer_add(&file, data, size);
    if (history_decode(file.data, file.len, &history) < 0)
        return 0;
    history_encode(&history, &first);
    if (history_decode(first.data, first.len, &again) < 0)
        abort();
    history_encode(&again, &second);
    if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
        abort();
    go_on(&history);
    return 0;
}
