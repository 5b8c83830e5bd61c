// Any bytes as the event log's file: whole events come out of it, and they survive being written
// again.
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "supervisor/events.h"

enum { INPUT_MAX = 64 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    _cleanup_free_ char *path = xasprintf("/tmp/fuzz-events-%d", (int)getpid());
    log_set_level(LOG_LEVEL_ERROR);
    if (fs_write_atomic(AT_FDCWD, path, data, size, 0600, 0) < 0)
        abort();
    struct event_log *log = event_log_open(path, "n1");
    const struct event **events;
    size_t n = event_log_since(log, 0, &events);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && events[i]->id <= events[i - 1]->id)
            abort();
        json_decref(event_to_json(events[i], "n1"));
    }
    free(events);
    uint64_t newest = event_log_newest(log);
    event_add(log, (struct event_object){0}, EVENT_NORMAL, "Fuzzed", "x");
    event_log_free(log);
    log = event_log_open(path, "n1");
    if (newest < (uint64_t)1 << 52 && event_log_newest(log) != newest + 1)
        abort();
    event_log_free(log);
    return 0;
}
