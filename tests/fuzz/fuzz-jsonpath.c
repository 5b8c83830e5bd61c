// JSONPath templates and label selectors: what is accepted can be walked, and prints the same
// twice.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/jsonpath.h"
#include "cli/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char document[] =
    "{\"metadata\":{\"name\":\"a\",\"labels\":{\"app\":\"x\"}},\"items\":[{\"n\":1,\"s\":\"t\"},"
    "{\"n\":2.5,\"deep\":[[1],[2,3]]},null,true]}";

static void walk(const char *text, const json_t *root)
{
    _cleanup_jsonpath_ struct jsonpath *path = NULL;
    _cleanup_buffer_ struct buffer once = BUFFER_EMPTY, twice = BUFFER_EMPTY;
    const json_t **found = NULL;
    if (jsonpath_parse_relaxed(text, &path, NULL) < 0)
        return;
    int r = jsonpath_print(path, root, &once, NULL);
    if (jsonpath_print(path, root, &twice, NULL) != r ||
        !str_equal(buffer_str(&once), buffer_str(&twice)))
        abort();
    jsonpath_find(path, root, &found);
    free(found);
}

// Each ".." multiplies the values. That there is an end to it is tested in test-cli-jsonpath.c;
// here it would only take time.
static bool recurses_much(const char *text)
{
    enum { RECURSIONS_MOST = 4 };
    int n = 0;
    while ((text = strstr(text, "..")) && n <= RECURSIONS_MOST) {
        text += 2;
        n++;
    }
    return n > RECURSIONS_MOST;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { SIZE_MOST = 256 }; // unions and wildcards multiply
    if (size > SIZE_MOST)
        return 0;
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    json_t *root = json_loads(document, 0, NULL);
    _cleanup_selector_ struct selector *selector = NULL;
    if (!recurses_much(text))
        walk(text, root);
    if (selector_parse(text, &selector, NULL) == 0)
        selector_matches(selector, root);
    json_decref(root);
    return 0;
}
