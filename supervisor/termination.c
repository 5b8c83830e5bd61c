// See termination.h.
#include "supervisor/termination.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/fs.h"
#include "base/string-list.h"

enum { LOG_TAIL_BYTES = 16 << 10 };

static const char replacement[] = "\xef\xbf\xbd"; // U+FFFD, as Go's JSON writes it

// Without NUL bytes (of a sparse file, say), and with each byte that is no UTF-8 replaced. NULL
// where nothing is left.
static char *clean(const char *data, size_t len)
{
    struct buffer text = BUFFER_EMPTY, out = BUFFER_EMPTY;
    for (size_t i = 0; i < len; i++)
        if (data[i])
            buffer_add_char(&text, data[i]);
    for (size_t at = 0, good; at < text.len;) {
        if (str_is_utf8(text.data + at, text.len - at, &good))
            good = text.len - at;
        buffer_add(&out, text.data + at, good);
        at += good;
        if (at < text.len) {
            buffer_add_str(&out, replacement);
            at++;
        }
    }
    buffer_free(&text);
    if (out.len > 0)
        return buffer_take(&out);
    buffer_free(&out);
    return NULL;
}

// The last bytes of a regular file. *ret_cut: there are more before them. Negative where there are
// none.
static ssize_t read_end(const char *path, char *buf, size_t size, bool *ret_cut)
{
    // Not through a symlink, and not waiting for the writer of a FIFO.
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return -1;
    off_t start = MAX(st.st_size - (off_t)size, (off_t)0);
    *ret_cut = start > 0;
    return pread(fd, buf, size, start);
}

char *termination_of_file(const char *path)
{
    char text[TERMINATION_FILE_BYTES];
    bool cut;
    ssize_t n = read_end(path, text, sizeof(text), &cut);
    return n > 0 ? clean(text, (size_t)n) : NULL;
}

char *termination_of_text(const char *text)
{
    return clean(text, strlen(text));
}

// The text of CRI log lines ("TIME STREAM F TEXT").
static void add_text(const char *lines, size_t len, struct buffer *out)
{
    for (const char *line = lines, *end = lines + len; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *stop = newline ? newline : end, *text = line;
        for (int field = 0; text && field < 3; field++) {
            text = memchr(text, ' ', (size_t)(stop - text));
            text = text ? text + 1 : NULL;
        }
        if (text) {
            bool whole = text - line >= 2 && text[-2] == 'F';
            buffer_add(out, text, (size_t)(stop - text));
            if (whole)
                buffer_add_char(out, '\n');
        }
        line = stop + 1;
    }
}

// Where the last lines of the text begin.
static size_t last_lines(const char *text, size_t len)
{
    size_t lines = 0;
    for (size_t i = len; i > 0; i--)
        if (text[i - 1] == '\n' && i != len && ++lines == TERMINATION_LOG_LINES)
            return i;
    return 0;
}

char *termination_of_log(const char *path)
{
    char tail[LOG_TAIL_BYTES];
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    bool cut;
    ssize_t n = read_end(path, tail, sizeof(tail), &cut);
    if (n <= 0)
        return NULL;
    // Where the beginning is cut off, so is its first line.
    const char *start = cut ? memchr(tail, '\n', (size_t)n) : tail;
    if (!start)
        return NULL;
    start += cut;
    add_text(start, (size_t)(tail + n - start), &text);
    size_t from = last_lines(text.data, text.len);
    if (text.len - from > TERMINATION_LOG_BYTES)
        from = text.len - TERMINATION_LOG_BYTES;
    return clean(text.data + from, text.len - from);
}

size_t termination_share(size_t n_containers)
{
    return TERMINATION_POD_BYTES / MAX(n_containers, (size_t)1);
}

char *termination_cut(const char *message, size_t max)
{
    size_t len = strlen(message);
    if (len > max)
        for (len = max; len > 0 && ((unsigned char)message[len] & 0xc0) == 0x80;)
            len--;
    return xstrndup(message, len);
}
