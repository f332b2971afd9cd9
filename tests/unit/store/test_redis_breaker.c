/* SPDX-License-Identifier: MIT
 * The circuit breaker of the Redis store: every state with every event, and the waiting times. */
#include "testing.h"

#include "store/redis/breaker.h"

#define LEAST 100
#define MOST  5000

static const struct {
    enum idem_breaker_state state;
    enum idem_breaker_event event;
    bool waited; /* retry_at_ms has come */
    enum idem_breaker_state next;
} rows[] = {
    {IDEM_BREAKER_CLOSED, IDEM_BREAKER_ANSWERED, true, IDEM_BREAKER_CLOSED},
    {IDEM_BREAKER_CLOSED, IDEM_BREAKER_FAILED, true, IDEM_BREAKER_OPEN},
    {IDEM_BREAKER_CLOSED, IDEM_BREAKER_DUE, true, IDEM_BREAKER_CLOSED},
    {IDEM_BREAKER_CLOSED, IDEM_BREAKER_PROBED, true, IDEM_BREAKER_CLOSED},
    {IDEM_BREAKER_OPEN, IDEM_BREAKER_ANSWERED, true, IDEM_BREAKER_OPEN},
    {IDEM_BREAKER_OPEN, IDEM_BREAKER_FAILED, true, IDEM_BREAKER_OPEN},
    {IDEM_BREAKER_OPEN, IDEM_BREAKER_DUE, false, IDEM_BREAKER_OPEN},
    {IDEM_BREAKER_OPEN, IDEM_BREAKER_DUE, true, IDEM_BREAKER_HALF_OPEN},
    {IDEM_BREAKER_OPEN, IDEM_BREAKER_PROBED, true, IDEM_BREAKER_OPEN},
    {IDEM_BREAKER_HALF_OPEN, IDEM_BREAKER_ANSWERED, true, IDEM_BREAKER_HALF_OPEN},
    {IDEM_BREAKER_HALF_OPEN, IDEM_BREAKER_FAILED, true, IDEM_BREAKER_OPEN},
    {IDEM_BREAKER_HALF_OPEN, IDEM_BREAKER_DUE, true, IDEM_BREAKER_HALF_OPEN},
    {IDEM_BREAKER_HALF_OPEN, IDEM_BREAKER_PROBED, true, IDEM_BREAKER_CLOSED},
};

static void every_event_in_every_state_does_as_the_table_says(void **state) {
    bool covered[IDEM_BREAKER_STATE_COUNT][IDEM_BREAKER_EVENT_COUNT] = {{false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct idem_breaker breaker;
        idem_breaker_init(&breaker, LEAST, MOST, i);
        breaker.state = rows[i].state;
        breaker.retry_at_ms = 1000;
        idem_breaker_event(&breaker, rows[i].event, rows[i].waited ? 1000 : 999);
        assert_int_equal(breaker.state, rows[i].next);
        covered[rows[i].state][rows[i].event] = true;
    }
    for (int s = 0; s < IDEM_BREAKER_STATE_COUNT; s++) {
        for (int e = 0; e < IDEM_BREAKER_EVENT_COUNT; e++) {
            assert_true(covered[s][e]);
        }
    }
}

/* One failed probe after the other; returns the last waiting time. */
static int64_t fail_again(struct idem_breaker *breaker, int64_t *now_ms) {
    if (breaker->state == IDEM_BREAKER_OPEN) {
        *now_ms = breaker->retry_at_ms;
        idem_breaker_event(breaker, IDEM_BREAKER_DUE, *now_ms);
    }
    idem_breaker_event(breaker, IDEM_BREAKER_FAILED, *now_ms);
    assert_int_equal(breaker->state, IDEM_BREAKER_OPEN);
    return breaker->retry_at_ms - *now_ms;
}

static void waiting_times_double_up_to_the_limit_with_jitter(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct idem_breaker breaker;
        int64_t now_ms = 5;
        idem_breaker_init(&breaker, LEAST, MOST, seed);
        for (int64_t interval = LEAST; interval < 100 * MOST; interval *= 2) {
            int64_t limit = interval < MOST ? interval : MOST;
            assert_in_range(fail_again(&breaker, &now_ms), limit / 2, limit);
        }
    }
}

static void instances_wait_for_different_times(void **state) {
    struct idem_breaker a;
    struct idem_breaker b;
    int64_t now_ms = 0;
    int different = 0;
    (void)state;
    idem_breaker_init(&a, LEAST, MOST, 12345);
    idem_breaker_init(&b, LEAST, MOST, 98765);
    for (int i = 0; i < 20; i++) {
        int64_t at_ms = now_ms;
        different += fail_again(&a, &now_ms) != fail_again(&b, &at_ms);
    }
    assert_true(different > 10);
}

static void an_answered_probe_alone_does_not_shorten_the_next_wait(void **state) {
    struct idem_breaker breaker;
    int64_t now_ms = 0;
    (void)state;
    idem_breaker_init(&breaker, LEAST, MOST, 7);
    for (int i = 0; i < 10; i++) {
        (void)fail_again(&breaker, &now_ms);
    }
    idem_breaker_event(&breaker, IDEM_BREAKER_DUE, breaker.retry_at_ms);
    idem_breaker_event(&breaker, IDEM_BREAKER_PROBED, breaker.retry_at_ms);
    assert_int_equal(breaker.state, IDEM_BREAKER_CLOSED);
    assert_true(fail_again(&breaker, &now_ms) >= MOST / 2);
}

static void an_answered_operation_starts_the_waits_anew(void **state) {
    struct idem_breaker breaker;
    int64_t now_ms = 0;
    (void)state;
    idem_breaker_init(&breaker, LEAST, MOST, 7);
    for (int i = 0; i < 10; i++) {
        (void)fail_again(&breaker, &now_ms);
    }
    idem_breaker_event(&breaker, IDEM_BREAKER_DUE, breaker.retry_at_ms);
    idem_breaker_event(&breaker, IDEM_BREAKER_PROBED, breaker.retry_at_ms);
    idem_breaker_event(&breaker, IDEM_BREAKER_ANSWERED, breaker.retry_at_ms);
    assert_in_range(fail_again(&breaker, &now_ms), LEAST / 2, LEAST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_in_every_state_does_as_the_table_says),
        cmocka_unit_test(waiting_times_double_up_to_the_limit_with_jitter),
        cmocka_unit_test(instances_wait_for_different_times),
        cmocka_unit_test(an_answered_probe_alone_does_not_shorten_the_next_wait),
        cmocka_unit_test(an_answered_operation_starts_the_waits_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
