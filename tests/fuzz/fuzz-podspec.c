// A manifest from anybody: parsed, made static, written and read back. What is accepted must
// survive its own YAML, and its hash must not change on the way.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/string-list.h"
#include "podspec/podspec.h"

enum { FUZZ_SIZE_MAX = 64 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_findings(const struct diag_list *diags)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    check(diags->n + diags->dropped == diags->errors + diags->warnings);
    for (size_t i = 0; i < diags->n; i++) {
        diag_format(&diags->items[i], &out);
        check(str_is_utf8(buffer_str(&out), out.len, NULL));
        buffer_truncate(&out, 0);
    }
}

static void check_round_trip(const struct pod *pod)
{
    _cleanup_buffer_ struct buffer yaml = BUFFER_EMPTY;
    struct pod_list again = {0};
    struct diag_list diags = {0};
    char hex[33], other[33];
    pod_to_yaml(pod, &yaml);
    check(podspec_parse("again", buffer_str(&yaml), yaml.len, &again, &diags) == 0);
    check(again.n == 1);
    check(strcmp(pod_hash(pod, hex), pod_hash(again.items[0], other)) == 0);
    json_t *first = pod_to_json(pod), *second = pod_to_json(again.items[0]);
    check(json_equal(first, second));
    json_decref(first);
    json_decref(second);
    pod_list_free(&again);
    diag_list_free(&diags);
}

static void check_static(const struct pod *pod)
{
    static const struct podspec_node node = {.name = "node", .source = "file"};
    struct pod *copy = pod_copy(pod);
    struct diag_list diags = {0};
    int r = podspec_make_static(copy, &node, &diags);
    check((r < 0) == (diags.errors > 0));
    check_findings(&diags);
    diag_list_free(&diags);
    pod_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pod_list pods = {0};
    struct diag_list diags = {0};
    if (size > FUZZ_SIZE_MAX)
        return 0;
    int r = podspec_parse("fuzz", data, size, &pods, &diags);
    check((r < 0) == (diags.errors > 0));
    check((r == 0) == (pods.n > 0));
    check_findings(&diags);
    for (size_t i = 0; i < pods.n; i++) {
        check_round_trip(pods.items[i]);
        check_static(pods.items[i]);
    }
    pod_list_free(&pods);
    diag_list_free(&diags);
    return 0;
}
