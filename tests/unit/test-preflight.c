// What preflight reads out of texts and numbers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/monotime.h"
#include "cli/preflight-facts.h"
#include "cli/preflight.h"

static const char tcp[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n"
    "   0: 0100007F:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
    "4711 1 0000000000000000 100 0 0 10 0\n"
    "   1: 0100007F:094B 0100007F:A0F2 01 00000000:00000000 00:00000000 00000000     0        0 "
    "4712 1 0000000000000000 20 4 30 10 -1\n"
    "   2: 00000000:094C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
    "4713 1 0000000000000000 100 0 0 10 0\n";

static const char tcp6[] =
    "  sl  local_address                         remote_address                        st tx_queue "
    "rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 00000000000000000000000000000000:094B 00000000000000000000000000000000:0000 0A "
    "00000000:00000000 00:00000000 00000000     0        0 99 1 0000000000000000 100 0 0 10 0";

static void only_sockets_that_listen_at_the_port(void **state)
{
    _cleanup_listeners_ struct listeners found = {0};
    facts_listeners(tcp, "127.0.0.1", 2379, &found);
    facts_listeners(tcp6, "127.0.0.1", 2379, &found);
    assert_int_equal(found.list.n, 2);
    assert_int_equal(found.list.items[0].inode, 4711);
    assert_int_equal(found.list.items[1].inode, 99);
    facts_listeners("garbage\n\n: : :\n", "0.0.0.0", 2379, &found);
    facts_listeners(tcp, "127.0.0.1", 22, &found);
    assert_int_equal(found.list.n, 2);
    // Somebody at another address is not in the way, unless one of both wants them all.
    facts_listeners(tcp, "127.0.0.2", 2379, &found);
    facts_listeners(tcp, "::1", 2379, &found);
    assert_int_equal(found.list.n, 2);
    facts_listeners(tcp, "0.0.0.0", 2379, &found);
    facts_listeners(tcp, "127.0.0.2", 2380, &found);
    assert_int_equal(found.list.n, 4);
    assert_int_equal(found.list.items[3].inode, 4713);
}

static void swap_is_summed(void **state)
{
    static const char head[] = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
    assert_int_equal(facts_swap(head), 0);
    assert_int_equal(facts_swap(""), 0);
    _cleanup_free_ char *two =
        xasprintf("%s/dev/dm-1 partition 1024 0 -2\n/swap file 2048 1 -3\n", head);
    assert_int_equal(facts_swap(two), 3072 * 1024);
}

static void meminfo_by_field(void **state)
{
    static const char text[] = "MemTotal:       16384 kB\nMemAvailable:    8192 kB\nMem:  1 kB\n";
    assert_int_equal(facts_meminfo(text, "MemAvailable"), 8192 * 1024);
    assert_int_equal(facts_meminfo(text, "MemTotal"), 16384 * 1024);
    assert_int_equal(facts_meminfo(text, "SwapFree"), 0);
}

static void percentiles_by_nearest_rank(void **state)
{
    int64_t hundred[100], one[] = {7}, three[] = {30, 10, 20};
    for (size_t i = 0; i < 100; i++)
        hundred[i] = (int64_t)(100 - i);
    assert_int_equal(facts_percentile(hundred, 100, 99), 99);
    assert_int_equal(facts_percentile(hundred, 100, 50), 50);
    assert_int_equal(facts_percentile(one, 1, 99), 7);
    assert_int_equal(facts_percentile(three, 3, 99), 30);
    assert_int_equal(facts_percentile(three, 3, 0), 10);
}

static void assert_version(const char *text, long long major, long long minor, long long patch)
{
    struct facts_version v = {0};
    assert_true(facts_version(text, &v));
    assert_int_equal(v.major, major);
    assert_int_equal(v.minor, minor);
    assert_int_equal(v.patch, patch);
}

static void versions_of_all_programs(void **state)
{
    struct facts_version v = {0};
    assert_version("Kubernetes v1.20.2", 1, 20, 2);
    assert_version("etcd Version: 3.4.23\nGit SHA: Not provided\nGo Version: go1.19.4\n", 3, 4, 23);
    assert_version("3.4.13-0", 3, 4, 13);
    assert_version("v1.20.2-alpha.1+abc", 1, 20, 2);
    assert_false(facts_version("latest", &v));
    assert_false(facts_version("go1.19.4", &v));
    assert_false(facts_version("", &v));
    assert_false(facts_version("3.4", &v));
}

static void skew_is_measured_from_the_middle(void **state)
{
    int64_t doubt = 0;
    // Asked at 10.0 s, answered at 10.2 s, dated 10: they agree.
    int64_t skew = facts_skew(10, 10 * USEC_PER_SEC, 10 * USEC_PER_SEC + 200000, &doubt);
    assert_true(skew > -doubt && skew < doubt);
    assert_int_equal(doubt, 600000);
    assert_int_equal(facts_skew(10, 3610 * USEC_PER_SEC, 3610 * USEC_PER_SEC, &doubt),
                     3600 * USEC_PER_SEC - USEC_PER_SEC / 2);
    assert_true(facts_skew(3610, 10 * USEC_PER_SEC, 10 * USEC_PER_SEC, &doubt) < 0);
}

static void assert_url(const char *url, const char *host, int port)
{
    _cleanup_free_ char *got = NULL;
    int got_port = 0;
    assert_true(facts_url(url, &got, &got_port));
    assert_string_equal(got, host);
    assert_int_equal(got_port, port);
}

static void urls_with_ports(void **state)
{
    char *host = NULL;
    int port = 0;
    assert_url("https://10.0.0.1:2379", "10.0.0.1", 2379);
    assert_url("https://[fd00::1]:2380/x", "fd00::1", 2380);
    assert_url("http://localhost:2381/", "localhost", 2381);
    assert_false(facts_url("10.0.0.1:2379", &host, &port));
    assert_false(facts_url("https://10.0.0.1", &host, &port));
    assert_false(facts_url("https://:2379", &host, &port));
    assert_false(facts_url("https://a:65536", &host, &port));
    assert_false(facts_url("https://a:x", &host, &port));
}

static void findings_by_name(void **state)
{
    assert_true(facts_is_named("Port-2380", "Port-2380"));
    assert_true(facts_is_named("swap,port-2380", "Port-2380"));
    assert_true(facts_is_named("Port", "Port-2380"));
    assert_true(facts_is_named("ALL", "Swap"));
    assert_false(facts_is_named("Port-2379", "Port-2380"));
    assert_false(facts_is_named("Por", "Port-2380"));
    assert_false(facts_is_named("", "Swap"));
    assert_false(facts_is_named("Swap-x", "Swap"));
}

static void unknown_names_are_told(void **state)
{
    char good[] = "Port-2380,swap,NumCPU,all", bad[] = "Swap,Prot-2380";
    char *goods[] = {good}, *bads[] = {good, bad};
    assert_null(preflight_unknown_name(&(struct string_list){goods, 1}));
    _cleanup_free_ char *name = preflight_unknown_name(&(struct string_list){bads, 2});
    assert_string_equal(name, "Prot-2380");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_sockets_that_listen_at_the_port),
        cmocka_unit_test(swap_is_summed),
        cmocka_unit_test(meminfo_by_field),
        cmocka_unit_test(percentiles_by_nearest_rank),
        cmocka_unit_test(versions_of_all_programs),
        cmocka_unit_test(skew_is_measured_from_the_middle),
        cmocka_unit_test(urls_with_ports),
        cmocka_unit_test(findings_by_name),
        cmocka_unit_test(unknown_names_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
