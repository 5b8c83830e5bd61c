// What a probe's question is made from, and what an answer's bytes mean; the asking itself is
// tested against real servers (tests/integration/test_probes.py).
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "supervisor/probe-question.h"

static void assert_url(const char *host, const char *path, const char *expected)
{
    _cleanup_free_ char *url = probe_url("http", host, 80, path);
    assert_string_equal(url, expected);
}

static void urls_are_made_from_parts(void **state)
{
    assert_url("10.0.0.1", "/healthz", "http://10.0.0.1:80/healthz");
    assert_url("10.0.0.1", "healthz", "http://10.0.0.1:80/healthz");
    assert_url("10.0.0.1", "/a?b=c&d=/e", "http://10.0.0.1:80/a?b=c&d=/e");
    assert_url("10.0.0.1", "/a#b", "http://10.0.0.1:80/a");
    assert_url("10.0.0.1", "/a b%20c\xc3\xa9", "http://10.0.0.1:80/a%20b%20c%C3%A9");
    assert_url("10.0.0.1", "/\r\nHost: x", "http://10.0.0.1:80/%0D%0AHost:%20x");
    assert_url("::1", "/", "http://[::1]:80/");
    assert_url("[::1]", "/", "http://[::1]:80/");
    assert_url("h", "http://other/", "http://h:80/http://other/");
}

static void ports_have_numbers_and_names(void **state)
{
    struct container_port ports[] = {{.name = (char *)"web", .containerPort = 8080},
                                     {.name = (char *)"9", .containerPort = 90}};
    struct container c = {.ports = {ports, 2}};
    static const struct {
        struct int_or_string port;
        int expected;
    } cases[] = {
        {{.is_set = true, .number = 443}, 443},
        {{.is_set = true, .number = 0}, -ERANGE},
        {{.is_set = true, .number = 65536}, -ERANGE},
        {{.is_set = true, .is_string = true, .string = (char *)"web"}, 8080},
        {{.is_set = true, .is_string = true, .string = (char *)"9"}, 90}, // a name first
        {{.is_set = true, .is_string = true, .string = (char *)"81"}, 81},
        {{.is_set = true, .is_string = true, .string = (char *)"no"}, -ENOENT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int port = 0;
        int r = probe_port(&c, &cases[i].port, &port, NULL);
        assert_int_equal(r < 0 ? r : port, cases[i].expected);
    }
}

static void text_is_cut_and_trimmed(void **state)
{
    char longer[PROBE_TEXT_MAX + 10];
    _cleanup_free_ char *trimmed = probe_text("no\n\n", 4), *none = probe_text(NULL, 0);
    memset(longer, 'x', sizeof(longer));
    memcpy(longer + PROBE_TEXT_MAX - 1, "\xc3\xa9", 2);
    _cleanup_free_ char *cut = probe_text(longer, sizeof(longer));
    assert_string_equal(trimmed, "no");
    assert_string_equal(none, "");
    assert_int_equal(strlen(cut), PROBE_TEXT_MAX - 1); // not in the middle of a character
}

static void health_requests_are_framed(void **state)
{
    _cleanup_buffer_ struct buffer all = BUFFER_EMPTY, one = BUFFER_EMPTY;
    probe_grpc_encode(NULL, &all);
    assert_int_equal(all.len, 5);
    assert_memory_equal(all.data, "\0\0\0\0\0", 5);
    probe_grpc_encode("web", &one);
    assert_int_equal(one.len, 10);
    assert_memory_equal(one.data, "\0\0\0\0\5\x0a\3web", 10);
    char *service = xmalloc(301);
    memset(service, 's', 300);
    service[300] = '\0';
    buffer_truncate(&one, 0);
    probe_grpc_encode(service, &one);
    assert_memory_equal(one.data, "\0\0\0\1\x2f\x0a\xac\2s", 9); // a length of two bytes
    free(service);
}

#define DECODE(bytes) decode(bytes, sizeof(bytes) - 1)

static int64_t decode(const char *bytes, size_t len)
{
    int64_t status = 99;
    int r = probe_grpc_decode(bytes, len, &status);
    return r < 0 ? r : status;
}

static void health_answers_are_read(void **state)
{
    assert_int_equal(DECODE("\0\0\0\0\2\x08\1"), 1);
    assert_int_equal(DECODE("\0\0\0\0\2\x08\2"), 2);
    assert_int_equal(DECODE("\0\0\0\0\0"), 0); // the default is not sent
    // Fields of a later protocol: a number, eight bytes, a string, four bytes.
    assert_int_equal(DECODE("\0\0\0\0\x17\x10\x80\x01\x19"
                            "12345678"
                            "\x22\2ab\x2d"
                            "1234"
                            "\x08\1"),
                     1);
}

static void damaged_health_answers_are_refused(void **state)
{
    assert_int_equal(DECODE(""), -EBADMSG);
    assert_int_equal(DECODE("\0\0\0"), -EBADMSG);
    assert_int_equal(DECODE("\1\0\0\0\2\x08\1"), -EBADMSG); // compressed
    assert_int_equal(DECODE("\0\0\0\0\3\x08\1"), -EBADMSG); // cut off
    assert_int_equal(DECODE("\0\xff\xff\xff\xff\x08\1"), -EBADMSG);
    assert_int_equal(DECODE("\0\0\0\0\2\x08\x80"), -EBADMSG); // a number without an end
    assert_int_equal(DECODE("\0\0\0\0\2\x12\x7f"), -EBADMSG); // a string longer than the rest
    assert_int_equal(DECODE("\0\0\0\0\1\x0b"), -EBADMSG);     // an unknown kind of value
    assert_int_equal(DECODE("\0\0\0\0\x0c\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1"),
                     -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_made_from_parts),
        cmocka_unit_test(ports_have_numbers_and_names),
        cmocka_unit_test(text_is_cut_and_trimmed),
        cmocka_unit_test(health_requests_are_framed),
        cmocka_unit_test(health_answers_are_read),
        cmocka_unit_test(damaged_health_answers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
