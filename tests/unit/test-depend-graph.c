// Who depends on whom: cycles, priorities and the order in which all stop.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "supervisor/depend-graph.h"

// "ab bc": a depends on b, b on c. Nodes are letters from a on.
static struct depend_graph *make_graph(size_t n, const char *edges)
{
    struct depend_graph *g = depend_graph_new(n);
    for (const char *e = edges; *e; e += e[2] ? 3 : 2)
        depend_graph_add(g, (size_t)(e[0] - 'a'), (size_t)(e[1] - 'a'));
    return g;
}

static void expect_cycle(size_t n, const char *edges, char from, const char *expected)
{
    _cleanup_(cleanup_depend_graph_free) struct depend_graph *g = make_graph(n, edges);
    _cleanup_free_ size_t *cycle = NULL;
    char found[32] = "";
    size_t length = depend_graph_cycle(g, (size_t)(from - 'a'), &cycle);
    assert_true(length < sizeof(found));
    for (size_t i = 0; i < length; i++)
        found[i] = (char)('a' + cycle[i]);
    assert_string_equal(found, expected);
    if (length > 0)
        assert_true(depend_graph_has_cycle(g));
}

static void a_graph_knows_whether_it_has_any(void **state)
{
    static const struct {
        const char *edges;
        bool cyclic;
    } cases[] = {
        {"", false}, {"ab bc cd", false}, {"ab ac bd cd", false}, {"da ab ba", true}, {"cc", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(cleanup_depend_graph_free) struct depend_graph *g = make_graph(4, cases[i].edges);
        assert_int_equal(depend_graph_has_cycle(g), cases[i].cyclic);
    }
}

static void cycles_are_found_by_their_members_only(void **state)
{
    expect_cycle(1, "", 'a', "");
    expect_cycle(1, "aa", 'a', "a");
    expect_cycle(2, "ab", 'a', "");
    expect_cycle(2, "ab ba", 'a', "ab");
    expect_cycle(2, "ab ba", 'b', "ba");
    expect_cycle(4, "ab bc ca da", 'a', "abc");
    expect_cycle(4, "ab bc ca da", 'c', "cab");
    expect_cycle(4, "ab bc ca da", 'd', ""); // waits for a cycle, is in none
    expect_cycle(4, "ab ac bd cd", 'a', ""); // a diamond
    expect_cycle(5, "ab bc cd da ce ea", 'a', "abcd");
    expect_cycle(5, "ab bc cd de ea ca", 'a', "abc"); // the shortest
    expect_cycle(3, "ab ab bb", 'a', "");
}

static void what_is_needed_is_worth_as_much(void **state)
{
    _cleanup_(cleanup_depend_graph_free) struct depend_graph *g = make_graph(5, "ab bc dc");
    int64_t priorities[] = {1000, 5, -3, 2000, 7};
    depend_graph_raise(g, priorities);
    assert_int_equal(priorities[0], 1000);
    assert_int_equal(priorities[1], 1000);
    assert_int_equal(priorities[2], 2000);
    assert_int_equal(priorities[3], 2000);
    assert_int_equal(priorities[4], 7);
}

static void a_cycle_does_not_raise_for_ever(void **state)
{
    _cleanup_(cleanup_depend_graph_free) struct depend_graph *g = make_graph(3, "ab ba bc");
    int64_t priorities[] = {1, 9, 0};
    depend_graph_raise(g, priorities);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(priorities[i], 9);
}

// Stops all, as fast as the rules allow; what stops together is one word.
static void expect_order(size_t n, const char *edges, const int64_t *own, const char *expected)
{
    _cleanup_(cleanup_depend_graph_free) struct depend_graph *g = make_graph(n, edges);
    _cleanup_buffer_ struct buffer order = BUFFER_EMPTY;
    _cleanup_free_ int64_t *priorities = xcalloc(n, sizeof(*priorities));
    _cleanup_free_ bool *gone = xcalloc(n, sizeof(*gone));
    if (own)
        memcpy(priorities, own, n * sizeof(*own));
    depend_graph_raise(g, priorities);
    for (size_t left = n; left > 0;) {
        _cleanup_free_ bool *next = xcalloc(n, sizeof(*next));
        size_t told = 0;
        for (size_t i = 0; i < n; i++)
            next[i] = !gone[i] && depend_graph_may_stop(g, priorities, gone, i);
        if (order.len > 0)
            buffer_add_char(&order, ' ');
        for (size_t i = 0; i < n; i++) {
            if (!next[i])
                continue;
            buffer_add_char(&order, (char)('a' + i));
            gone[i] = true;
            told++;
        }
        if (told == 0) {
            buffer_add_str(&order, "stuck");
            break;
        }
        left -= told;
    }
    assert_string_equal(buffer_str(&order), expected);
}

static void dependents_stop_first(void **state)
{
    expect_order(3, "", NULL, "abc"); // no relation: together
    expect_order(3, "ab bc", NULL, "a b c");
    expect_order(4, "ab ac bd cd", NULL, "a bc d");
    expect_order(4, "ab cd", NULL, "ac bd");
}

static void then_priority_decides(void **state)
{
    const int64_t critical = 2000000000, node = 2000001000;
    expect_order(4, "", (int64_t[]){0, node, critical, -5}, "d a c b");
    // An apiserver that is critical keeps an etcd of no priority until it is gone itself.
    expect_order(3, "ab", (int64_t[]){node, 0, 100}, "c a b");
    // What depends on something critical is not critical for it.
    expect_order(3, "ab", (int64_t[]){0, node, 100}, "a c b");
}

static void a_cycle_is_stuck_and_the_caller_must_see_to_it(void **state)
{
    expect_order(3, "ab ba", NULL, "c stuck");
}

static void steps_that_follow_are_counted(void **state)
{
    _cleanup_(cleanup_depend_graph_free) struct depend_graph *g =
        make_graph(6, "ab bc ad dc ce ff");
    int64_t priorities[] = {1, 1, 1, 1, 2, 1};
    assert_int_equal(depend_graph_behind(g, priorities, 0), 2);
    assert_int_equal(depend_graph_behind(g, priorities, 1), 1);
    assert_int_equal(depend_graph_behind(g, priorities, 2), 0); // e belongs to a later group
    assert_int_equal(depend_graph_behind(g, priorities, 5), 0);
}

static void expect_steps(size_t n, const char *edges, const int64_t *own, const char *expected)
{
    _cleanup_(cleanup_depend_graph_free) struct depend_graph *g = make_graph(n, edges);
    _cleanup_free_ int64_t *priorities = xcalloc(n, sizeof(*priorities));
    _cleanup_free_ size_t *steps = xcalloc(n, sizeof(*steps));
    char found[32] = "";
    if (own)
        memcpy(priorities, own, n * sizeof(*own));
    depend_graph_raise(g, priorities);
    depend_graph_steps(g, priorities, steps);
    for (size_t i = 0; i < n; i++)
        found[i] = (char)('0' + steps[i]);
    assert_string_equal(found, expected);
}

static void steps_are_numbered(void **state)
{
    expect_steps(3, "", NULL, "000");
    expect_steps(4, "ab ac bd cd", NULL, "0112");
    expect_steps(4, "ab", (int64_t[]){5, 0, 0, 9}, "1203");
    expect_steps(3, "ab ba", NULL, "210"); // whatever, but it ends
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph_knows_whether_it_has_any),
        cmocka_unit_test(cycles_are_found_by_their_members_only),
        cmocka_unit_test(what_is_needed_is_worth_as_much),
        cmocka_unit_test(a_cycle_does_not_raise_for_ever),
        cmocka_unit_test(dependents_stop_first),
        cmocka_unit_test(then_priority_decides),
        cmocka_unit_test(a_cycle_is_stuck_and_the_caller_must_see_to_it),
        cmocka_unit_test(steps_that_follow_are_counted),
        cmocka_unit_test(steps_are_numbered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
