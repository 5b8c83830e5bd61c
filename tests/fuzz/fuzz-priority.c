// Any bytes as the lines of a stream: every line has a priority, and none is an emergency.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/shim/shim-priority.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 64 << 10)
        return 0;
    struct shim_priority stream = {0};
    const char *p = (const char *)data + 1, *end = (const char *)data + size;
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((newline ? newline : end) - p);
        // In a block of its own, so that the sanitizer sees a read behind the end.
        char *line = malloc(len + !len);
        if (!line)
            abort();
        memcpy(line, p, len);
        int told = shim_priority_told(line, len);
        int priority = shim_priority_next(&stream, line, len, data[0] & 1, data[0] & 2);
        if (told == 0 || told > 7 || priority < 1 || priority > 7)
            abort();
        free(line);
        p += len + 1;
    }
    return 0;
}
