// podspec: every manifest under tests/golden/podspec against the findings and the canonical JSON
// that stand beside it in NAME.expected. MAINSTAY_GOLDEN_UPDATE=1 writes those files anew: read the
// difference before it is committed.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "podspec/podspec.h"

#define GOLDEN_DIR TEST_SOURCE_DIR "/golden/podspec"

static char *read_all(const char *path, size_t *ret_size)
{
    struct buffer data = BUFFER_EMPTY;
    if (fs_read_file(AT_FDCWD, path, PODSPEC_SIZE_MAX, &data) < 0)
        return NULL;
    *ret_size = data.len;
    return buffer_take(&data);
}

static void print_pod(const struct pod *pod, struct buffer *out)
{
    json_t *json = pod_to_json(pod);
    char *text = json_dumps(json, JSON_INDENT(2));
    buffer_printf(out, "%s\n", text);
    free(text);
    json_decref(json);
}

static char *describe(const char *name, const char *data, size_t size)
{
    struct buffer out = BUFFER_EMPTY;
    struct pod_list pods = {0};
    struct diag_list diags = {0};
    int r = podspec_parse(name, data, size, &pods, &diags);
    for (size_t i = 0; i < diags.n; i++) {
        diag_format(&diags.items[i], &out);
        buffer_add_char(&out, '\n');
    }
    assert_int_equal(r, diags.errors > 0 ? -EINVAL : 0);
    for (size_t i = 0; i < pods.n; i++)
        print_pod(pods.items[i], &out);
    diag_list_free(&diags);
    pod_list_free(&pods);
    return buffer_take(&out);
}

static bool matches(const char *path, const char *found)
{
    if (getenv("MAINSTAY_GOLDEN_UPDATE")) {
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        fputs(found, f);
        fclose(f);
        return true;
    }
    size_t size = 0;
    _cleanup_free_ char *expected = read_all(path, &size);
    if (expected && strcmp(expected, found) == 0)
        return true;
    fprintf(stderr, "%s:\n--- expected\n%s--- found\n%s", path, expected ? expected : "(no file)\n",
            found);
    return false;
}

static int is_manifest(const struct dirent *entry)
{
    return str_ends_with(entry->d_name, ".yaml") || str_ends_with(entry->d_name, ".json");
}

static void manifests_read_as_expected(void **state)
{
    struct dirent **entries = NULL;
    int n = scandir(GOLDEN_DIR, &entries, is_manifest, alphasort), wrong = 0;
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        _cleanup_free_ char *path = xasprintf("%s/%s", GOLDEN_DIR, name);
        _cleanup_free_ char *expected =
            xasprintf("%s/%.*s.expected", GOLDEN_DIR, (int)strcspn(name, "."), name);
        size_t size = 0;
        _cleanup_free_ char *data = read_all(path, &size);
        assert_non_null(data);
        _cleanup_free_ char *found = describe(name, data, size);
        wrong += matches(expected, found) ? 0 : 1;
        free(entries[i]);
    }
    free(entries);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(manifests_read_as_expected)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
