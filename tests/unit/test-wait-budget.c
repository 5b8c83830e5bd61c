// base/wait-budget: what is waited for, and that it has an end.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/wait-budget.h"

struct fixture {
    int ends[2];
    struct wait_budget budget;
};

static void fill(struct fixture *f)
{
    char block[4096] = {0};
    while (send(f->ends[0], block, sizeof(block), MSG_DONTWAIT) > 0)
        continue;
}

static void drain(struct fixture *f)
{
    char block[4096];
    while (recv(f->ends[1], block, sizeof(block), MSG_DONTWAIT) > 0)
        continue;
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.budget.usec_per_second = 5000};
    *state = &f;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f.ends);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    return close(f->ends[0]) | close(f->ends[1]);
}

static void room_that_is_there_is_taken(void **state)
{
    struct fixture *f = *state;
    assert_true(wait_budget_poll(&f->budget, f->ends[0]));
}

static void a_wait_has_an_end(void **state)
{
    struct fixture *f = *state;
    fill(f);
    assert_false(wait_budget_poll(&f->budget, f->ends[0]));
    assert_true(f->budget.waited_usec >= f->budget.usec_per_second);
}

// One that does not read costs one wait, not one a second.
static void what_hangs_is_not_waited_for_again(void **state)
{
    struct fixture *f = *state;
    fill(f);
    assert_false(wait_budget_poll(&f->budget, f->ends[0]));
    f->budget.second = (monotime){0}; // that second is long over
    int64_t waited = f->budget.waited_usec;
    assert_false(wait_budget_poll(&f->budget, f->ends[0]));
    assert_int_equal(f->budget.waited_usec, waited);
    drain(f);
    wait_budget_progress(&f->budget);
    assert_true(wait_budget_poll(&f->budget, f->ends[0]));
}

#define budget_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        budget_test(room_that_is_there_is_taken),
        budget_test(a_wait_has_an_end),
        budget_test(what_hangs_is_not_waited_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
