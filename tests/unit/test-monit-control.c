// monit's control file as text: what monit's language can say, and what it cannot.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "monit/control-text.h"
#include "monit/control.h"

static char *command(const char *const *words, int *ret_code)
{
    _cleanup_string_list_ struct string_list list = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    struct buffer out = BUFFER_EMPTY;
    for (; *words; words++)
        string_list_add(&list, *words);
    *ret_code = monit_text_command(&list, &out, &err);
    assert_int_equal(*ret_code, err.code);
    return buffer_take(&out);
}
#define COMMAND(code, ...) command((const char *const[]){__VA_ARGS__, NULL}, code)

static void commands_are_quoted_as_monit_reads_them(void **state)
{
    int code;
    _cleanup_free_ char *plain = COMMAND(&code, "/bin/a", "--b=c", "it's");
    assert_int_equal(code, 0);
    assert_string_equal(plain, "\"/bin/a --b=c it's\"");
    _cleanup_free_ char *blanks = COMMAND(&code, "/a b/c", "d", "--e=f g");
    assert_int_equal(code, 0);
    assert_string_equal(blanks, "\"'/a b/c' d '--e=f g'\"");
}

static void what_has_no_way_to_be_written_is_refused(void **state)
{
    static const char *const words[] = {"a\"b", "a\nb", "a\tb", "a 'b", "'a", "", "a\x7f"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        int code;
        _cleanup_free_ char *text = COMMAND(&code, "/bin/a", words[i]);
        if (code != -EINVAL)
            fail_msg("%s was written as %s", words[i], text);
    }
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    _cleanup_string_list_ struct string_list many = {0}, long_one = {0};
    for (int i = 0; i < 63; i++)
        string_list_add(&many, "x");
    assert_int_equal(monit_text_command(&many, &out, NULL), 0);
    string_list_add(&many, "x");
    assert_int_equal(monit_text_command(&many, &out, NULL), -EINVAL);
    char *word = xcalloc(1, 9000);
    memset(word, 'x', 8999);
    string_list_add_owned(&long_one, word);
    assert_int_equal(monit_text_command(&long_one, &out, NULL), -EINVAL);
    assert_int_equal(monit_text_string(word, &out, NULL), -EINVAL);
    buffer_truncate(&out, 0);
    assert_int_equal(monit_text_string("a\"b", &out, NULL), -EINVAL);
    assert_int_equal(monit_text_string("a 'b", &out, NULL), 0);
    assert_string_equal(buffer_str(&out), "\"a 'b\"");
}

static void comments_are_broken_between_words(void **state)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    char word[121];
    memset(word, 'x', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    _cleanup_free_ char *text = xasprintf("one two\n\n%s three", word);
    monit_text_comment("  ", text, &out);
    _cleanup_free_ char *expected = xasprintf("  # one two\n  #\n  # %s\n  # three\n", word);
    assert_string_equal(buffer_str(&out), expected);
}

static void cycles_are_counted_upwards_within_what_monit_takes(void **state)
{
    struct monit_control control = {.interval_sec = 30};
    static const int cases[][2] = {{0, 1},  {1, 1},  {30, 1},    {31, 2},
                                   {60, 2}, {61, 3}, {1920, 64}, {100000, 64}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(monit_cycles(&control, cases[i][0]), cases[i][1]);
}

static void fill(struct monit_control *control)
{
    *control = (struct monit_control){.command = xstrdup("test"), .interval_sec = 10};
    control->agent = (struct monit_agent){
        .service = xstrdup("mainstayd"),
        .pid_file = xstrdup("/run/x.pid"),
        .socket = xstrdup("/run/x.sock"),
        .start_timeout_sec = 90,
        .stop_timeout_sec = 5,
        .patience_sec = 25,
    };
    string_list_add(&control->agent.start, "/start");
    string_list_add(&control->agent.stop, "/stop");
    struct monit_pod *pod = LIST_APPEND(&control->pods);
    pod->name = xstrdup("web");
    pod->patience_sec = 40;
    pod->state = (struct monit_program){
        .name = xstrdup("web"), .timeout_sec = 30, .patience_sec = 40, .period_sec = 0};
    string_list_add(&pod->state.command, "/check");
    struct monit_url *url = LIST_APPEND(&pod->urls);
    *url = (struct monit_url){.host = xstrdup("::1"),
                              .port = 443,
                              .path = xstrdup("/a?b=c"),
                              .https = true,
                              .timeout_sec = 7};
    struct monit_header *header = LIST_APPEND(&url->headers);
    header->name = xstrdup("Host");
    header->value = xstrdup("a b, c:d");
    url = LIST_APPEND(&pod->urls);
    *url = (struct monit_url){
        .host = xstrdup("10.0.0.1"), .port = 80, .path = xstrdup("/"), .timeout_sec = 1};
}

static void assert_has(const struct buffer *text, const char *part)
{
    if (!strstr(buffer_str(text), part))
        fail_msg("\"%s\" is not in:\n%s", part, buffer_str(text));
}

static void services_are_written_whole(void **state)
{
    _cleanup_monit_control_ struct monit_control control;
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY, again = BUFFER_EMPTY;
    fill(&control);
    assert_int_equal(monit_control_render(&control, &out, NULL), 0);
    assert_has(&out, "check process \"mainstayd\" with pidfile \"/run/x.pid\"\n"
                     "    group mainstay\n    group kubelet\n    group docker\n"
                     "    start program = \"/start\" with timeout 90 seconds\n"
                     "    stop program = \"/stop\" with timeout 5 seconds\n"
                     "    if does not exist then start\n"
                     "    if failed unixsocket \"/run/x.sock\" protocol http request \"/healthz\" "
                     "with timeout 10 seconds for 3 cycles then restart\n\n");
    assert_has(&out, "check program \"web\" with path \"/check\" with timeout 30 seconds\n"
                     "    group mainstay\n    if status != 0 for 4 cycles then alert\n\n");
    assert_has(&out,
               "check host \"web_url\" with address \"::1\"\n    group mainstay\n"
               "    if failed port 443 protocol https with http headers [Host: \"a b, c:d\"] "
               "request \"/a?b=c\" with ssl options {verify: disable, selfsigned: allow} with "
               "timeout 7 seconds for 4 cycles then alert\n"
               "    if failed host \"10.0.0.1\" port 80 protocol http request \"/\" with timeout 1 "
               "seconds for 4 cycles then alert\n");
    assert_int_equal(monit_control_render(&control, &again, NULL), 0);
    assert_string_equal(buffer_str(&out), buffer_str(&again));
}

static void a_service_manager_has_the_first_turn(void **state)
{
    _cleanup_monit_control_ struct monit_control control;
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    fill(&control);
    control.agent.has_service_manager = true;
    control.agent.url = xcalloc(1, sizeof(*control.agent.url));
    *control.agent.url = (struct monit_url){
        .host = xstrdup("127.0.0.1"), .port = 10248, .path = xstrdup("/healthz"), .timeout_sec = 9};
    assert_int_equal(monit_control_render(&control, &out, NULL), 0);
    assert_has(&out, "    if does not exist for 2 cycles then start\n"
                     "    if failed host \"127.0.0.1\" port 10248 protocol http request "
                     "\"/healthz\" with timeout 9 seconds for 3 cycles then restart\n");
}

static void what_is_wrong_is_named(void **state)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_monit_control_ struct monit_control control;
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    fill(&control);
    free(control.pods.items[0].urls.items[0].headers.items[0].name);
    control.pods.items[0].urls.items[0].headers.items[0].name = xstrdup("a]b");
    assert_int_equal(monit_control_render(&control, &out, &err), -EINVAL);
    assert_string_equal(error_message(&err), "pod web: monit takes no HTTP header of the name a]b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_quoted_as_monit_reads_them),
        cmocka_unit_test(what_has_no_way_to_be_written_is_refused),
        cmocka_unit_test(comments_are_broken_between_words),
        cmocka_unit_test(cycles_are_counted_upwards_within_what_monit_takes),
        cmocka_unit_test(services_are_written_whole),
        cmocka_unit_test(a_service_manager_has_the_first_turn),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
