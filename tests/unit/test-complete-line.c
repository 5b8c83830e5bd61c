// What a half-typed command line means, in the ways that bash and zsh split it.
#include "cli/complete-line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/string-list.h"

struct expected {
    const char *words[8]; // NULL-terminated
    const char *command, *current, *value_of;
    const char *arguments[4];
    const char *namespace_, *socket;
    bool unknown, after_dashes;
};

static const struct expected lines[] = {
    {.words = {""}, .current = ""},
    {.words = {"ge"}, .current = "ge"},
    {.words = {"get", "p"}, .command = "get", .current = "p"},
    {.words = {"get", "pods", ""}, .command = "get", .current = "", .arguments = {"pods"}},
    {.words = {"nonsense", ""}, .unknown = true, .current = ""},
    // flags in front of the command, and between its arguments
    {.words = {"--socket", "/s", "logs", ""}, .command = "logs", .socket = "/s", .current = ""},
    {.words = {"--socket", ""}, .value_of = "socket", .current = ""},
    {.words = {"--socket=/s", "logs", "e"}, .command = "logs", .socket = "/s", .current = "e"},
    {.words = {"-n", "a", "logs", ""}, .command = "logs", .namespace_ = "a", .current = ""},
    {.words = {"logs", "-na", ""}, .command = "logs", .namespace_ = "a", .current = ""},
    {.words = {"logs", "-n=a", ""}, .command = "logs", .namespace_ = "a", .current = ""},
    {.words = {"logs", "-fp", "-n", "a", "x", ""},
     .command = "logs",
     .namespace_ = "a",
     .arguments = {"x"},
     .current = ""},
    // the value of a flag, in one word (zsh) and in three (bash)
    {.words = {"wait", "--for=re"}, .command = "wait", .value_of = "for", .current = "re"},
    {.words = {"wait", "--for", "=", "re"}, .command = "wait", .value_of = "for", .current = "re"},
    {.words = {"wait", "--for", "="}, .command = "wait", .value_of = "for", .current = ""},
    {.words = {"wait", "--for", "re"}, .command = "wait", .value_of = "for", .current = "re"},
    {.words = {"wait", "--for", "=", "ready", "e"}, .command = "wait", .current = "e"},
    {.words = {"logs", "-c", "e"}, .command = "logs", .value_of = "container", .current = "e"},
    {.words = {"logs", "-fc", "e"}, .command = "logs", .value_of = "container", .current = "e"},
    // a flag that is on or off has no value to wait for
    {.words = {"delete", "--wait", "=", "false", "w"}, .command = "delete", .current = "w"},
    {.words = {"logs", "-f", "e"}, .command = "logs", .current = "e"},
    // what nobody knows is passed over
    {.words = {"logs", "--nonsense", "e"}, .command = "logs", .current = "e"},
    {.words = {"logs", "-Z", "e"}, .command = "logs", .current = "e"},
    {.words = {"logs", "--nonsense=x"}, .command = "logs", .current = "--nonsense=x"},
    // behind two dashes everything is the container's
    {.words = {"exec", "etcd", "--", "ls", "-"},
     .command = "exec",
     .arguments = {"etcd"},
     .after_dashes = true,
     .current = "-"},
    {.words = {"exec", "etcd", "--", "--for=x"},
     .command = "exec",
     .arguments = {"etcd"},
     .after_dashes = true,
     .current = "--for=x"},
};

static void assert_same(const char *a, const char *b)
{
    assert_string_equal(a ? a : "(null)", b ? b : "(null)");
}

static void check(const struct expected *expected)
{
    _cleanup_complete_line_ struct complete_line line = {0};
    size_t n = 0, n_arguments = 0;
    while (expected->words[n])
        n++;
    while (expected->arguments[n_arguments])
        n_arguments++;
    complete_line_parse(expected->words, n, &line);
    assert_same(line.command ? line.command->name : NULL, expected->command);
    assert_same(line.current, expected->current);
    assert_same(line.value_of ? line.value_of->name : NULL, expected->value_of);
    assert_same(line.namespace_, expected->namespace_);
    assert_same(line.socket, expected->socket);
    assert_int_equal(line.unknown, expected->unknown);
    assert_int_equal(line.after_dashes, expected->after_dashes);
    assert_int_equal(line.n_arguments, n_arguments);
    for (size_t i = 0; i < n_arguments; i++)
        assert_same(line.arguments[i], expected->arguments[i]);
}

static void test_lines(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        check(&lines[i]);
}

static void test_no_words(void **state)
{
    _cleanup_complete_line_ struct complete_line line = {0};
    complete_line_parse(NULL, 0, &line);
    assert_null(line.command);
    assert_string_equal(line.current, "");
}

static void test_flags_are_kept(void **state)
{
    static const char *const words[] = {"logs", "-fp", "--tail", "5", "--timestamps", ""};
    _cleanup_complete_line_ struct complete_line line = {0};
    complete_line_parse(words, ARRAY_SIZE(words), &line);
    assert_int_equal(line.n_flags, 4);
    assert_string_equal(line.flags[0]->name, "follow");
    assert_string_equal(line.flags[1]->name, "previous");
    assert_string_equal(line.flags[2]->name, "tail");
    assert_string_equal(line.flags[3]->name, "timestamps");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_no_words),
        cmocka_unit_test(test_flags_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
