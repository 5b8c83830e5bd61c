// podspec: the YAML reader: trees, places, aliases and merge keys, and everything that is refused.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "podspec/podspec.h"
#include "podspec/yaml.h"

struct parsed {
    struct yaml_tree *tree;
    struct diag_list diags;
};

static int parse_bytes(struct parsed *p, const void *data, size_t size)
{
    *p = (struct parsed){0};
    return yaml_tree_parse("x.yaml", data, size, &p->tree, &p->diags);
}

static int parse(struct parsed *p, const char *text)
{
    return parse_bytes(p, text, strlen(text));
}

static void parsed_free(struct parsed *p)
{
    yaml_tree_free(p->tree);
    diag_list_free(&p->diags);
}
#define _cleanup_parsed_ _cleanup_(parsed_free)

static const char *text_at(const struct parsed *p, size_t document, const char *key)
{
    const struct yaml_value *value = yaml_lookup(yaml_tree_document(p->tree, document), key);
    assert_non_null(value);
    assert_int_equal(value->kind, YAML_KIND_SCALAR);
    return value->text;
}

// The findings of a text, one a line.
static void assert_findings(const char *text, size_t size, const char *expected)
{
    _cleanup_parsed_ struct parsed p;
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    assert_int_equal(parse_bytes(&p, text, size), -EINVAL);
    for (size_t i = 0; i < p.diags.n; i++) {
        diag_format(&p.diags.items[i], &out);
        buffer_add_char(&out, '\n');
    }
    assert_string_equal(buffer_str(&out), expected);
}

static void assert_refused(const char *text, const char *expected)
{
    assert_findings(text, strlen(text), expected);
}

static void every_node_has_its_place(void **state)
{
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, "a: 1\nb:\n  - x\n  -   y\nc: {d: é, e: z}\n"), 0);
    const struct yaml_value *root = yaml_tree_document(p.tree, 0);
    assert_int_equal(root->n_pairs, 3);
    assert_string_equal(root->pairs[1].key, "b");
    assert_int_equal(root->pairs[1].line, 2);
    assert_int_equal(root->pairs[1].column, 1);
    const struct yaml_value *list = root->pairs[1].value;
    assert_int_equal(list->n_items, 2);
    assert_int_equal(list->items[1]->line, 4);
    assert_int_equal(list->items[1]->column, 7);
    const struct yaml_value *e = yaml_lookup(root->pairs[2].value, "e");
    assert_int_equal(e->column, 14); // in characters, not in bytes
    assert_int_equal(root->nodes, 13);
    assert_int_equal(root->height, 2);
}

static void documents_may_be_empty(void **state)
{
    static const char *const texts[] = {"", "\n# nothing\n", "\xef\xbb\xbf", "\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_parsed_ struct parsed p;
        assert_int_equal(parse(&p, texts[i]), 0);
        assert_int_equal(yaml_tree_documents(p.tree), 0);
    }
    _cleanup_parsed_ struct parsed nothing;
    assert_int_equal(parse_bytes(&nothing, NULL, 0), 0); // what an empty buffer holds
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, "---\n---\n~\n---\nx\n...\n"), 0);
    assert_int_equal(yaml_tree_documents(p.tree), 3);
    assert_true(yaml_is_null(yaml_tree_document(p.tree, 0)));
    assert_true(yaml_is_null(yaml_tree_document(p.tree, 1)));
    assert_string_equal(yaml_kind_name(yaml_tree_document(p.tree, 2)), "a string");
}

static void marks_and_breaks_of_other_systems_are_fine(void **state)
{
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, "\xef\xbb\xbf"
                               "a: 1\r\nb: two\r\n"),
                     0);
    assert_string_equal(text_at(&p, 0, "b"), "two");
    assert_int_equal(yaml_tree_document(p.tree, 0)->pairs[0].column, 1);
    assert_int_equal(yaml_tree_document(p.tree, 0)->pairs[1].line, 2);
}

static void json_is_yaml(void **state)
{
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, "{\n\t\"a\": \"\\u00e9\\/\\n\", \"b\": [1, true, null], \"c\": {}}"),
                     0);
    assert_string_equal(text_at(&p, 0, "a"), "é/\n");
    const struct yaml_value *b = yaml_lookup(yaml_tree_document(p.tree, 0), "b");
    assert_int_equal(b->items[0]->scalar.integer, 1);
    assert_true(b->items[1]->scalar.boolean);
    assert_true(yaml_is_null(b->items[2]));
}

// Two escapes make one character; half a pair is what Go makes of it. YAML has no such pairs.
static void json_has_pairs_of_escapes(void **state)
{
    static const char json[] = "{\"pair\": \"a\\ud83d\\uDE00b\", \"half\": \"\\ud83d!\", "
                               "\"low\": \"\\ude00\", \"other\": \"\\u00e9\\\\ud83d\\\"\"}";
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, json), 0);
    assert_string_equal(text_at(&p, 0, "pair"), "a\xf0\x9f\x98\x80"
                                                "b");
    assert_string_equal(text_at(&p, 0, "half"), "\xef\xbf\xbd!");
    assert_string_equal(text_at(&p, 0, "low"), "\xef\xbf\xbd");
    assert_string_equal(text_at(&p, 0, "other"), "\xc3\xa9\\ud83d\"");
    _cleanup_parsed_ struct parsed yaml;
    assert_int_equal(parse(&yaml, "a: \"\\ud83d\\ude00\"\n"), -EINVAL);
}

static void keys_are_named_as_the_kubelet_names_them(void **state)
{
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, "on: a\n0x10: b\n1.50: c\n\"on\": d\n"), 0);
    assert_string_equal(text_at(&p, 0, "true"), "a");
    assert_string_equal(text_at(&p, 0, "16"), "b");
    assert_string_equal(text_at(&p, 0, "1.5"), "c");
    assert_string_equal(text_at(&p, 0, "on"), "d");
    assert_refused("on: a\nyes: b\n",
                   "x.yaml:2:1: true: duplicate key, it stands in line 1 already\n");
}

static void aliases_share_nodes(void **state)
{
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, "a: &x {k: v}\nb: *x\nc: &x 2\nd: *x\n*x : 3\n"), 0);
    const struct yaml_value *root = yaml_tree_document(p.tree, 0);
    assert_ptr_equal(yaml_lookup(root, "a"), yaml_lookup(root, "b"));
    assert_string_equal(text_at(&p, 0, "d"), "2");
    assert_string_equal(text_at(&p, 0, "2"), "3");
    assert_int_equal(root->nodes, 1 + 5 + 3 * 2 + 3);
}

static void merge_keys_work_as_in_yaml_v2(void **state)
{
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, "a: &a {x: 1, y: 1}\n"
                               "b: &b {x: 2, z: 2}\n"
                               "c: {x: 0, <<: *a, y: 9}\n"
                               "d: {<<: [*a, *b]}\n"
                               "e: {<<: {x: 5}}\n"
                               "f: {\"<<\": 1}\n"),
                     0);
    const struct yaml_value *root = yaml_tree_document(p.tree, 0);
    const struct yaml_value *c = yaml_lookup(root, "c"), *d = yaml_lookup(root, "d");
    assert_string_equal(yaml_lookup(c, "x")->text, "1"); // the merge stands behind it
    assert_string_equal(yaml_lookup(c, "true")->text, "9");
    assert_int_equal(d->n_pairs, 3);
    assert_string_equal(yaml_lookup(d, "x")->text, "1"); // the first of the list counts
    assert_string_equal(yaml_lookup(d, "z")->text, "2");
    assert_string_equal(yaml_lookup(yaml_lookup(root, "e"), "x")->text, "5");
    assert_non_null(yaml_lookup(yaml_lookup(root, "f"), "<<"));
    assert_refused("a: {<<: 1}\n",
                   "x.yaml:1:9: a: a merge key takes a mapping, or a list of mappings\n");
}

static void binary_is_decoded_where_it_is_text(void **state)
{
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, "a: !!binary |\n  aGVs\n  bG8=\n"), 0);
    assert_string_equal(text_at(&p, 0, "a"), "hello");
    assert_refused("a: !!binary '*'\n", "x.yaml:1:4: a: the !!binary value is not base64\n");
    assert_refused("a: !!binary /w==\n", "x.yaml:1:4: a: the !!binary value does not hold text\n");
}

static void every_duplicate_key_is_found(void **state)
{
    assert_refused("a: 1\nb: {c: 1, c: 2, c: 3}\na: 2\nl:\n- {x: 1, x: 2}\n",
                   "x.yaml:2:11: b.c: duplicate key, it stands in line 2 already\n"
                   "x.yaml:2:17: b.c: duplicate key, it stands in line 2 already\n"
                   "x.yaml:5:10: l[0].x: duplicate key, it stands in line 5 already\n"
                   "x.yaml:3:1: a: duplicate key, it stands in line 1 already\n");
    _cleanup_parsed_ struct parsed p; // and the rest can still be looked at
    assert_int_equal(parse(&p, "a: 1\na: 2\n"), -EINVAL);
    assert_string_equal(text_at(&p, 0, "a"), "2");
}

static void keys_are_strings(void **state)
{
    assert_refused("{a: 1}: 2\n", "x.yaml:1:1: a key must be a string, not a list or a mapping\n");
    assert_refused("~: 2\n", "x.yaml:1:1: a key must be a string, not null\n");
    assert_refused("a: &x [1]\n*x : 2\n",
                   "x.yaml:1:4: a key must be a string, not a list or a mapping\n");
}

static void syntax_errors_have_a_place(void **state)
{
    assert_refused("a:\n\tb: 1\n",
                   "x.yaml:2:1: a: the line is indented with a tab; YAML takes only "
                   "spaces for indentation\n");
    assert_refused("a:\n  b: c: d\n", "x.yaml:2:7: a: mapping values are not allowed in this "
                                      "context, near \"b: c: d\"\n");
    assert_refused("a: 'b\n", "x.yaml:2:1: a: found unexpected end of stream, while scanning a "
                              "quoted scalar that starts in line 1; is the file cut off?\n");
    assert_refused("a: *x\n",
                   "x.yaml:1:4: a: the alias has no anchor before it in this document\n");
    assert_refused("a: &x\n  b: *x\n",
                   "x.yaml:2:6: a.b: the alias stands within the value that it stands for\n");
    assert_refused("a: !!int x\n", "x.yaml:1:4: a: the value does not agree with its tag\n");
}

static void what_is_no_text_is_refused(void **state)
{
    assert_findings("a: \0b", 5, "x.yaml:1:4: a NUL byte: this is no text file\n");
    assert_findings("é: \xff", 5, "x.yaml:1:4: is not valid UTF-8 text\n");
    assert_refused("a: \x01\n", "x.yaml:1:4: control characters are not allowed (#x1)\n");
    assert_refused("a: \"\\0\"\n", "x.yaml:1:4: a: holds a NUL byte\n");
}

static char *repeat(const char *before, const char *middle, size_t n, const char *after)
{
    struct buffer out = BUFFER_EMPTY;
    buffer_add_str(&out, before);
    for (size_t i = 0; i < n; i++)
        buffer_add_str(&out, middle);
    buffer_add_str(&out, after);
    return buffer_take(&out);
}

static void assert_repeated_refused(const char *before, const char *middle, size_t n,
                                    const char *words)
{
    _cleanup_free_ char *text = repeat(before, middle, n, "");
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, text), -EINVAL);
    assert_int_equal(p.diags.n, 1);
    if (!strstr(p.diags.items[0].message, words))
        fail_msg("%s instead of %s", p.diags.items[0].message, words);
}

static void budgets_hold(void **state)
{
    assert_repeated_refused("", "[", 101, "nested too deeply");
    assert_repeated_refused("", "- ", 101, "nested too deeply");
    assert_repeated_refused("", "{a: ", 5000, "nested too deeply");
    assert_repeated_refused("", "[", PODSPEC_SIZE_MAX, "nested too deeply");
    assert_repeated_refused("", "- x\n", YAML_NODES_MAX + 1, "more than 200000 values");
    assert_repeated_refused("", "---\n", YAML_NODES_MAX + 2, "more than 200000 values");
    assert_repeated_refused("", "- &a x\n", YAML_ANCHORS_MAX + 1, "more than 1000 anchors");
    assert_repeated_refused("", "%TAG !a! x\n", 2000, "more than 100 directives");
    assert_repeated_refused("", "#", PODSPEC_SIZE_MAX + 1, "larger than 10 MiB");
}

static void depth_is_allowed_up_to_its_bound(void **state)
{
    _cleanup_free_ char *open = repeat("", "[", YAML_DEPTH_MAX, ""),
                        *both = repeat(open, "]", YAML_DEPTH_MAX, "");
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, both), 0);
    assert_int_equal(yaml_tree_document(p.tree, 0)->height, YAML_DEPTH_MAX);
}

// Each anchor holds the one before it ten times, or once and one level deeper, or as merge keys.
static char *bomb(const char *format, int rounds)
{
    struct buffer out = BUFFER_EMPTY;
    buffer_add_str(&out, "a0: &a0 {x: lol}\n");
    for (int i = 1; i <= rounds; i++) {
        buffer_printf(&out, "a%d: &a%d ", i, i);
        for (const char *p = format; *p; p++) {
            if (*p == '#')
                buffer_printf(&out, "*a%d", i - 1);
            else
                buffer_add_char(&out, *p);
        }
        buffer_add_char(&out, '\n');
    }
    return buffer_take(&out);
}

static void bombs_are_refused(void **state)
{
    static const struct {
        const char *format, *words;
    } bombs[] = {
        {"[#, #, #, #, #, #, #, #, #, #]", "more than 200000 values"},
        {"{a: #, b: #, c: #}", "more than 200000 values"},
        {"[#]", "nested too deeply"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bombs); i++) {
        _cleanup_free_ char *text = bomb(bombs[i].format, 200);
        _cleanup_parsed_ struct parsed p;
        assert_int_equal(parse(&p, text), -EINVAL);
        assert_non_null(strstr(p.diags.items[0].message, bombs[i].words));
    }
}

static void bombs_of_text_are_refused(void **state)
{
    _cleanup_free_ char *big = repeat("- &a \"", "x", 1 << 20, "\"\n"),
                        *text = repeat(big, "- *a\n", 100, "");
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, text), -EINVAL);
    assert_non_null(strstr(p.diags.items[0].message, "more than 20 MiB of text"));
}

static void bombs_of_merge_keys_are_refused(void **state)
{
    struct buffer out = BUFFER_EMPTY;
    buffer_add_str(&out, "a: &a {");
    for (int i = 0; i < 1000; i++)
        buffer_printf(&out, "k%d: 1, ", i);
    buffer_add_str(&out, "}\nb: {");
    for (int i = 0; i < 1000; i++)
        buffer_add_str(&out, "<<: *a, ");
    buffer_add_str(&out, "}\n");
    _cleanup_free_ char *text = buffer_take(&out);
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, text), -EINVAL);
    assert_non_null(strstr(p.diags.items[0].message, "more than 200000 values"));
}

static void findings_quote_little(void **state)
{
    _cleanup_free_ char *text = repeat("a: b: ", "é", 100000, "\n");
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, text), -EINVAL);
    assert_true(strlen(p.diags.items[0].message) < 300);
    _cleanup_free_ char *key = repeat("\"", "k", 100000, "\": [\n");
    _cleanup_parsed_ struct parsed q;
    assert_int_equal(parse(&q, key), -EINVAL);
    for (size_t i = 0; i < q.diags.n; i++)
        assert_true(!q.diags.items[i].path || strlen(q.diags.items[i].path) < 300);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_has_its_place),
        cmocka_unit_test(documents_may_be_empty),
        cmocka_unit_test(marks_and_breaks_of_other_systems_are_fine),
        cmocka_unit_test(json_is_yaml),
        cmocka_unit_test(json_has_pairs_of_escapes),
        cmocka_unit_test(keys_are_named_as_the_kubelet_names_them),
        cmocka_unit_test(aliases_share_nodes),
        cmocka_unit_test(merge_keys_work_as_in_yaml_v2),
        cmocka_unit_test(binary_is_decoded_where_it_is_text),
        cmocka_unit_test(every_duplicate_key_is_found),
        cmocka_unit_test(keys_are_strings),
        cmocka_unit_test(syntax_errors_have_a_place),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(budgets_hold),
        cmocka_unit_test(depth_is_allowed_up_to_its_bound),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(bombs_of_text_are_refused),
        cmocka_unit_test(bombs_of_merge_keys_are_refused),
        cmocka_unit_test(findings_quote_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
