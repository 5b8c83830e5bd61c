// The items of a downwardAPI or projected volume: paths and field paths from anybody. A path that
// is accepted stays below the volume, and what was written is read back through the links that
// containers see. Input: lines of "PATH<tab>FIELDPATH OR TEXT".
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/environment.h"
#include "supervisor/volumes-internal.h"

enum {
    FUZZ_SIZE_MAX = 16 << 10,
    FILES_MAX = 64,
    WRITE_EACH = 8,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_clean(const char *clean)
{
    _cleanup_free_ char *guarded = xasprintf("/%s", clean), *again = NULL;
    check(*clean && *clean != '/' && !str_starts_with(clean, ".."));
    check(path_is_clean_absolute(guarded) && !strstr(guarded, "//"));
    check(payload_clean_path(clean, &again, NULL) == 0 && strcmp(again, clean) == 0);
}

static void add_line(struct payload *payload, const struct environment *env, char *line)
{
    char *text = strchr(line, '\t');
    _cleanup_free_ char *clean = NULL, *value = NULL;
    if (text)
        *text++ = '\0';
    struct object_field_selector field = {.fieldPath = text};
    if (text)
        (void)environment_field(env, &field, &value, NULL);
    if (payload_clean_path(line, &clean, NULL) == 0)
        check_clean(clean);
    int code = payload_add(payload, line, value ? value : text ? text : "", 0644, NULL);
    check((code == 0) == (clean != NULL));
}

static void check_files(const struct payload *payload, const char *volume)
{
    LIST_EACH (file, &payload->files) {
        _cleanup_free_ char *path = path_join(volume, file->path);
        _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
        check(fs_read_file(AT_FDCWD, path, FUZZ_SIZE_MAX, &text) == 0);
        check(strcmp(buffer_str(&text), file->text) == 0);
    }
}

static void check_alone(const char *base)
{
    DIR *dir = opendir(base);
    check(dir != NULL);
    for (const struct dirent *entry; (entry = readdir(dir));)
        check(!path_is_name(entry->d_name) || strcmp(entry->d_name, "volume") == 0);
    closedir(dir);
}

static void write_out(const struct payload *payload)
{
    char base[] = "/tmp/fuzz-volume-XXXXXX";
    check(mkdtemp(base) != NULL);
    _cleanup_free_ char *volume = path_join(base, "volume");
    check(mkdir(volume, 0755) == 0);
    // "a" and "a/b" cannot both be had: that is an error, and nothing is published.
    if (payload_write(payload, volume, (gid_t)-1, NULL) == 0) {
        check_files(payload, volume);
        check(payload_write(payload, volume, (gid_t)-1, NULL) == 0);
        check_files(payload, volume);
    }
    check_alone(base);
    check(fs_remove_tree(AT_FDCWD, base) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pod pod = {.metadata = {.name = (char *)"p", .uid = (char *)"u"}};
    const struct environment env = {.pod = &pod};
    _cleanup_payload_ struct payload payload = {0};
    if (size > FUZZ_SIZE_MAX)
        return 0;
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    string_map_set(&pod.metadata.labels, "a", "quo\"ted");
    string_map_set(&pod.metadata.annotations, "example.org/b", "two\nlines");
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line && payload.files.n < FILES_MAX;
         line = strtok_r(NULL, "\n", &save))
        add_line(&payload, &env, line);
    if (size % WRITE_EACH == 0) // the disk is what takes the time
        write_out(&payload);
    string_map_free(&pod.metadata.labels);
    string_map_free(&pod.metadata.annotations);
    return 0;
}
