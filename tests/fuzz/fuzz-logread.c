// Any bytes as a rotated log file and a live one: the last lines are always the end of the whole.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/logread.h"

enum { INPUT_MAX = 8 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_file(const char *path, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || fs_write_all(fd, data, len) < 0)
        abort();
    close(fd);
}

static void read_log(const char *path, int64_t tail_lines, struct buffer *out)
{
    struct log_reader_options options = {.path = path, .tail_lines = tail_lines, .limit_bytes = -1};
    struct log_reader *reader;
    if (log_reader_open(&options, &reader, NULL) < 0)
        abort();
    while (log_reader_read(reader, out) == LOG_READER_MORE)
        ;
    log_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > INPUT_MAX)
        return 0;
    _cleanup_buffer_ struct buffer all = BUFFER_EMPTY, tail = BUFFER_EMPTY;
    _cleanup_free_ char *dir = xasprintf("/tmp/fuzz-logread-%d", (int)getpid());
    _cleanup_free_ char *live = path_join(dir, "0.log");
    _cleanup_free_ char *rotated = path_join(dir, "0.log.20261121-070000");
    fs_mkdir_parents(AT_FDCWD, dir, 0700);
    size_t split = 2 + data[1] * (size - 2) / 256;
    write_file(rotated, data + 2, split - 2);
    write_file(live, data + split, size - split);
    read_log(live, -1, &all);
    read_log(live, data[0], &tail);
    if (tail.len > all.len ||
        (tail.len > 0 && memcmp(all.data + all.len - tail.len, tail.data, tail.len) != 0))
        abort();
    return 0;
}
