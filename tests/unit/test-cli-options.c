// cli: the options' parser.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/monotime.h"
#include "cli/commands.h"
#include "cli/options.h"

struct test_options {
    struct common_options common;
    struct pod_scope scope;
    bool follow, stdin_open, tty, wait;
    int64_t tail, since;
    const char *output;
    struct string_list files;
};

static const char *const formats[] = {"json", "yaml", NULL};

static const struct option table[] = {
    OPT_BOOL(test_options, follow, .letter = 'f', .name = "follow", .help = "Go on"),
    OPT_BOOL(test_options, stdin_open, .letter = 'i', .name = "stdin", .help = "In"),
    OPT_BOOL(test_options, tty, .letter = 't', .name = "tty", .help = "Terminal"),
    OPT_BOOL(test_options, wait, .name = "wait", .help = "Wait"),
    OPT_INT(test_options, tail, .name = "tail", .argument = "N", .min = -1, .help = "Last"),
    OPT_DURATION(test_options, since, .name = "since", .argument = "TIME", .help = "Newer"),
    OPT_STRING(test_options, output, .letter = 'o', .name = "output", .values = formats,
               .help = "Format"),
    OPT_LIST(test_options, files, .name = "filename", .argument = "FILE", .help = "File"),
    SCOPE_OPTIONS(test_options),
    COMMON_OPTIONS(test_options),
};

struct fixture {
    struct test_options options;
    struct options_rest rest;
    struct error err;
};

static int parse(struct fixture *f, const char *words)
{
    static char copy[512];
    char *argv[32] = {(char *)"test"}, *save = NULL;
    int argc = 1;
    snprintf(copy, sizeof(copy), "%s", words);
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    *f = (struct fixture){.options = {.wait = true, .tail = -1}};
    return options_parse(table, ARRAY_SIZE(table), argc, argv, &f->options, &f->rest, &f->err);
}

static void fixture_free(struct fixture *f)
{
    options_free(table, ARRAY_SIZE(table), &f->options);
    options_rest_free(&f->rest);
    error_clear(&f->err);
}

static void flags_and_arguments_mix(void **state)
{
    struct fixture f;
    assert_int_equal(parse(&f, "a -f b --tail 5 -n kube-system c - --since=1h30m"), 0);
    assert_true(f.options.follow);
    assert_int_equal(f.options.tail, 5);
    assert_true(f.options.since == 5400 * NSEC_PER_SEC);
    assert_string_equal(f.options.scope.namespace_, "kube-system");
    assert_int_equal(f.rest.n, 4);
    assert_string_equal(f.rest.arguments[2], "c");
    assert_string_equal(f.rest.arguments[3], "-");
    assert_false(f.rest.has_dashes);
    fixture_free(&f);
}

static void letters_come_together(void **state)
{
    struct fixture f;
    assert_int_equal(parse(&f, "-itnfoo x"), 0);
    assert_true(f.options.stdin_open && f.options.tty);
    assert_string_equal(f.options.scope.namespace_, "foo");
    fixture_free(&f);
    assert_int_equal(parse(&f, "-n=bar -ojson"), 0);
    assert_string_equal(f.options.scope.namespace_, "bar");
    assert_string_equal(f.options.output, "json");
    fixture_free(&f);
}

static void booleans_take_values(void **state)
{
    struct fixture f;
    assert_int_equal(parse(&f, "--wait=false --follow=true"), 0);
    assert_false(f.options.wait);
    assert_true(f.options.follow);
    fixture_free(&f);
    assert_int_equal(parse(&f, "--wait=maybe"), -EINVAL);
    assert_string_equal(error_message(&f.err), "--wait: \"maybe\" is neither true nor false");
    fixture_free(&f);
}

static void dashes_end_the_flags(void **state)
{
    struct fixture f;
    assert_int_equal(parse(&f, "etcd -i -- ls -l --tail"), 0);
    assert_int_equal(f.rest.n, 1);
    assert_int_equal(f.rest.n_after, 3);
    assert_true(f.rest.has_dashes);
    assert_string_equal(f.rest.after_dashes[1], "-l");
    fixture_free(&f);
}

static void lists_gather(void **state)
{
    struct fixture f;
    assert_int_equal(parse(&f, "--filename=a --filename b"), 0);
    assert_int_equal(f.options.files.n, 2);
    assert_string_equal(f.options.files.items[1], "b");
    fixture_free(&f);
}

static void mistakes_are_explained(void **state)
{
    static const struct {
        const char *words, *message;
    } mistakes[] = {
        {"--folow", "unknown flag --folow; did you mean --follow?"},
        {"--zebra-crossing", "unknown flag --zebra-crossing"},
        {"-x", "unknown flag -x"},
        {"-ix", "unknown flag -x"},
        {"--tail", "--tail needs a value (N)"},
        {"--tail=-2", "--tail: \"-2\" is not a whole number from -1"},
        {"--tail 1x", "--tail: \"1x\" is not a whole number from -1"},
        {"--since=5", "--since: \"5\" is not a duration such as 30s, 5m or 1h30m"},
        {"--since=-5s", "--since: \"-5s\" is not a duration such as 30s, 5m or 1h30m"},
        {"-o xml", "--output: \"xml\" is not one of json, yaml"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        struct fixture f;
        assert_int_equal(parse(&f, mistakes[i].words), -EINVAL);
        assert_string_equal(error_message(&f.err), mistakes[i].message);
        fixture_free(&f);
    }
}

static void help_is_aligned(void **state)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    options_print_help(table, 5, out);
    fclose(out);
    assert_string_equal(text, "  -f, --follow   Go on\n"
                              "  -i, --stdin    In\n"
                              "  -t, --tty      Terminal\n"
                              "      --wait     Wait\n"
                              "      --tail=N   Last\n");
    free(text);
}

static void flags_go_with_verbs(void **state)
{
    const struct option some = {.name = "keep", .only = "snapshot save,guard"};
    const struct option any = {.name = "socket"};
    assert_true(option_is_for(&some, "guard"));
    assert_true(option_is_for(&some, "snapshot save"));
    assert_false(option_is_for(&some, "snapshot"));
    assert_false(option_is_for(&some, "save"));
    assert_false(option_is_for(&some, "status"));
    assert_true(option_is_for(&some, NULL));
    assert_true(option_is_for(&any, "status"));
}

static void verbs_are_found(void **state)
{
    const char *words[] = {"snapshot", "save", "file"};
    assert_string_equal(command_verb(&command_etcd, words, 3), "snapshot save");
    assert_null(command_verb(&command_etcd, words, 1));
    assert_null(command_verb(&command_etcd, words + 1, 2));
    words[0] = "defrag";
    assert_string_equal(command_verb(&command_etcd, words, 1), "defrag");
    assert_string_equal(command_verb(&command_etcd, words, 3), "defrag");
    assert_null(command_verb(&command_etcd, words, 0));
    assert_null(command_verb(&command_get, words, 1));
}

static bool has_verb(const struct command *command, const char *name, size_t len)
{
    for (size_t i = 0; command->verbs && command->verbs[i]; i++)
        if (strlen(command->verbs[i]) == len && strncmp(command->verbs[i], name, len) == 0)
            return true;
    return false;
}

// What a flag says it goes with is there.
static void tables_name_verbs_that_exist(void **state)
{
    size_t seen = 0;
    for (const struct command *const *c = commands_all(); *c; c++)
        for (size_t i = 0; i < (*c)->n_options; i++) {
            const char *p = (*c)->options[i].only;
            for (size_t len; p && *p; p += len + (p[len] == ','), seen++) {
                len = strcspn(p, ",");
                if (!has_verb(*c, p, len))
                    fail_msg("%s --%s: %s", (*c)->name, (*c)->options[i].name, p);
            }
        }
    assert_true(seen > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_and_arguments_mix),
        cmocka_unit_test(letters_come_together),
        cmocka_unit_test(booleans_take_values),
        cmocka_unit_test(dashes_end_the_flags),
        cmocka_unit_test(lists_gather),
        cmocka_unit_test(mistakes_are_explained),
        cmocka_unit_test(help_is_aligned),
        cmocka_unit_test(flags_go_with_verbs),
        cmocka_unit_test(verbs_are_found),
        cmocka_unit_test(tables_name_verbs_that_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
