// The decoder of the shim's spec and the parser of its state: whatever they accept survives a round
// trip.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/shim/shim-proto.h"
#include "supervisor/shim/shim-spec.h"

enum { INPUT_MAX = 64 << 10 };

static void fuzz_spec(const uint8_t *data, size_t size)
{
    struct shim_spec spec, again;
    if (shim_spec_decode(data, size, &spec, NULL) < 0)
        return;
    struct buffer first = BUFFER_EMPTY, second = BUFFER_EMPTY;
    shim_spec_encode(&spec, &first);
    if (shim_spec_decode(first.data, first.len, &again, NULL) < 0)
        abort();
    shim_spec_encode(&again, &second);
    if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
        abort();
    buffer_free(&first);
    buffer_free(&second);
    shim_spec_free(&spec);
    shim_spec_free(&again);
}

static void fuzz_state(const uint8_t *data, size_t size)
{
    struct shim_state state, again;
    char *text = xstrndup((const char *)data, size);
    if (shim_state_parse(text, &state, NULL) == 0) {
        struct buffer formatted = BUFFER_EMPTY;
        shim_state_format(&state, &formatted);
        if (formatted.len <= SHIM_MESSAGE_MAX) {
            if (shim_state_parse(formatted.data, &again, NULL) < 0)
                abort();
            shim_state_clear(&again);
        }
        buffer_free(&formatted);
        shim_state_clear(&state);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    fuzz_spec(data, size);
    fuzz_state(data, size);
    return 0;
}
