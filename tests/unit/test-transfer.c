// The sealed file: what comes out is what went in, under its key alone, and nothing that was
// changed, cut, too large or badly named.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "pki/transfer.h"

static const unsigned char key[TRANSFER_KEY_SIZE] = "a key of thirty-two bytes, as is";

static void add(struct transfer *t, const char *name, const void *data, size_t len)
{
    struct transfer_file *file = LIST_APPEND(&t->files);
    file->name = xstrdup(name);
    buffer_add(&file->data, data, len);
}

static struct transfer make_transfer(const char *node)
{
    struct transfer t = {.node = xstrdup(node)};
    add(&t, "ca.key", "secret\0with a zero", 18);
    add(&t, "etcd/ca.crt", "public", 6);
    add(&t, "empty", "", 0);
    return t;
}

static struct buffer sealed_file(void)
{
    _cleanup_transfer_ struct transfer t = make_transfer("m1");
    struct buffer out = BUFFER_EMPTY;
    assert_int_equal(transfer_seal(&t, key, &out, NULL), 0);
    return out;
}

static void what_went_in_comes_out(void **state)
{
    _cleanup_buffer_ struct buffer sealed = sealed_file();
    _cleanup_transfer_ struct transfer t = {0};
    assert_null(memmem(sealed.data, sealed.len, "secret", 6));
    assert_int_equal(transfer_open(sealed.data, sealed.len, key, &t, NULL), 0);
    assert_string_equal(t.node, "m1");
    assert_int_equal(t.files.n, 3);
    assert_string_equal(t.files.items[0].name, "ca.key");
    assert_int_equal(t.files.items[0].data.len, 18);
    assert_memory_equal(t.files.items[0].data.data, "secret\0with a zero", 18);
    assert_string_equal(t.files.items[1].name, "etcd/ca.crt");
    assert_int_equal(t.files.items[2].data.len, 0);
}

static void the_same_is_sealed_in_another_way_each_time(void **state)
{
    _cleanup_buffer_ struct buffer one = sealed_file(), two = sealed_file();
    assert_int_equal(one.len, two.len);
    assert_memory_not_equal(one.data, two.data, one.len);
}

// The header is in the clear, but not to be changed: neither the node nor the version.
static void every_bit_counts(void **state)
{
    _cleanup_buffer_ struct buffer sealed = sealed_file();
    for (size_t i = 0; i < sealed.len; i++) {
        struct transfer t = {0};
        sealed.data[i] ^= 0x20;
        assert_true(transfer_open(sealed.data, sealed.len, key, &t, NULL) < 0);
        assert_null(t.node);
        sealed.data[i] ^= 0x20;
    }
    for (size_t len = 0; len < sealed.len; len++) {
        struct transfer t = {0};
        assert_int_equal(transfer_open(sealed.data, len, key, &t, NULL), -EINVAL);
    }
}

static void other_keys_and_versions_are_told(void **state)
{
    _cleanup_buffer_ struct buffer sealed = sealed_file();
    _cleanup_error_ struct error err = ERROR_NONE;
    struct transfer t = {0};
    unsigned char other[TRANSFER_KEY_SIZE] = {0};
    assert_int_equal(transfer_open(sealed.data, sealed.len, other, &t, &err), -EBADMSG);
    assert_non_null(strstr(error_message(&err), "this is not its key"));
    sealed.data[strlen("MAINSTAY-PKI")] = 2;
    assert_int_equal(transfer_open(sealed.data, sealed.len, key, &t, &err), -EPROTONOSUPPORT);
    assert_non_null(strstr(error_message(&err), "format 2, not 1"));
    buffer_add_char(&sealed, 'x');
    sealed.data[strlen("MAINSTAY-PKI")] = 1;
    assert_int_equal(transfer_open(sealed.data, sealed.len, key, &t, &err), -EINVAL);
}

static void bad_names_do_not_travel(void **state)
{
    static const char *const bad[] = {"",   "/etc/passwd", "../x", "a/../b", "a//b",
                                      "a/", ".hidden",     "a/.x", "."};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_transfer_ struct transfer t = {.node = xstrdup("m1")};
        _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
        add(&t, bad[i], "x", 1);
        assert_int_equal(transfer_seal(&t, key, &out, NULL), -EINVAL);
        assert_int_equal(out.len, 0);
        // And arriving from somebody who has the key.
        _cleanup_buffer_ struct buffer plain = BUFFER_EMPTY;
        struct transfer arrived = {0};
        buffer_add_char(&plain, (char)strlen(bad[i]));
        buffer_add_str(&plain, bad[i]);
        buffer_add(&plain, "\0\0\0\1x", 5);
        assert_int_equal(transfer_decode(plain.data, plain.len, &arrived, NULL), -EINVAL);
        transfer_free(&arrived);
    }
}

static void too_much_is_refused(void **state)
{
    _cleanup_transfer_ struct transfer large = {.node = xstrdup("m1")},
                                       many = {.node = xstrdup("m")};
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    _cleanup_free_ char *data = xcalloc(1, TRANSFER_FILE_MAX + 1);
    add(&large, "large", data, TRANSFER_FILE_MAX + 1);
    assert_int_equal(transfer_seal(&large, key, &out, NULL), -EFBIG);
    for (int i = 0; i <= TRANSFER_FILES_MAX; i++) {
        _cleanup_free_ char *name = xasprintf("f%d", i);
        add(&many, name, "", 0);
    }
    assert_int_equal(transfer_seal(&many, key, &out, NULL), -EFBIG);
    assert_int_equal(out.len, 0);
    // A length that says more than there is.
    struct transfer arrived = {0};
    assert_int_equal(transfer_decode("\1a\xff\xff\xff\xff", 6, &arrived, NULL), -EINVAL);
    transfer_free(&arrived);
    assert_int_equal(transfer_decode("\1a\0\0\0\2x", 7, &arrived, NULL), -EINVAL);
    transfer_free(&arrived);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_went_in_comes_out),
        cmocka_unit_test(the_same_is_sealed_in_another_way_each_time),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(other_keys_and_versions_are_told),
        cmocka_unit_test(bad_names_do_not_travel),
        cmocka_unit_test(too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
