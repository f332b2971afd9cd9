/* SPDX-License-Identifier: MIT
 * What recent keys are kept in, and what is owed to the store behind: bounded, whatever comes. */
#include "stores.h"

#include "store/recent/debts.h"
#include "store/recent/generations.h"

#include <stdlib.h>

#define T0 INT64_C(1700000000000)

static void the_memory_is_bounded_and_keeps_the_latest(void **state) {
    (void)state;
    struct idem_generations generations;
    struct idem_record record = {.state = IDEM_RECORD_DONE, .until_ms = T0};
    assert_true(idem_generations_init(&generations, 100));
    for (uint64_t n = 0; n < 1000; n++) {
        struct idem_digest digest = stores_digest(n);
        idem_generations_put(&generations, &digest, &record);
        assert_in_range(idem_generations_count(&generations), 1, 100);
    }
    for (uint64_t n = 950; n < 1000; n++) {
        struct idem_digest digest = stores_digest(n);
        assert_int_equal(idem_generations_find(&generations, &digest).state,
                         IDEM_RECORD_DONE);
    }
    idem_generations_fini(&generations);
}

static void debts_are_paid_oldest_first_and_bounded(void **state) {
    (void)state;
    struct idem_debts debts;
    struct idem_debt debt = {.until_ms = 0};
    idem_debts_init(&debts, 200, 0);
    for (int64_t i = 0; i < 300; i++) {
        debt.until_ms = i;
        (void)idem_debts_add(&debts, &debt);
        if (i == 50) {
            assert_true(idem_debts_take(&debts, &debt));
            assert_int_equal(debt.until_ms, 0);
        }
    }
    assert_int_equal(debts.count, 200);
    assert_int_equal(debts.lost, 99);
    for (int64_t i = 1; i <= 200; i++) {
        assert_true(idem_debts_take(&debts, &debt));
        assert_int_equal(debt.until_ms, i);
    }
    assert_false(idem_debts_take(&debts, &debt));
    idem_debts_fini(&debts);
}

static struct idem_debt debt_with(size_t result_len) {
    struct idem_debt debt = {.result = malloc(result_len), .result_len = result_len};
    assert_non_null(debt.result);
    return debt;
}

static void results_are_owed_as_long_as_there_is_room(void **state) {
    struct idem_debts debts;
    struct idem_debt first = debt_with(60);
    struct idem_debt second = debt_with(60);
    struct idem_debt third = debt_with(40);
    struct idem_debt taken;
    (void)state;
    idem_debts_init(&debts, 10, 100);
    assert_true(idem_debts_add(&debts, &first));
    assert_null(first.result);
    assert_false(idem_debts_add(&debts, &second)); /* its key is owed all the same */
    assert_true(idem_debts_add(&debts, &third));
    assert_int_equal(debts.count, 3);
    assert_int_equal(debts.bytes, 100);
    assert_int_equal(debts.results_lost, 1);
    assert_true(idem_debts_take(&debts, &taken));
    assert_int_equal(taken.result_len, 60);
    assert_int_equal(debts.bytes, 40);
    free(taken.result);
    assert_true(idem_debts_take(&debts, &taken));
    assert_null(taken.result);
    idem_debts_fini(&debts); /* the third's goes with it */
}

static void a_key_without_room_takes_its_result_with_it(void **state) {
    struct idem_debts debts;
    struct idem_debt debt = debt_with(1);
    (void)state;
    idem_debts_init(&debts, 0, 100);
    assert_false(idem_debts_add(&debts, &debt));
    assert_null(debt.result);
    assert_int_equal(debts.lost, 1);
    assert_int_equal(debts.results_lost, 1);
    assert_int_equal(debts.bytes, 0);
    idem_debts_fini(&debts);
}

static void a_debt_that_is_forgiven_gives_its_room_back(void **state) {
    struct idem_debts debts;
    struct idem_debt debt = debt_with(80);
    struct idem_debt other = debt_with(80);
    (void)state;
    debt.digest = stores_digest(1);
    other.digest = stores_digest(2);
    idem_debts_init(&debts, 10, 100);
    assert_true(idem_debts_add(&debts, &debt));
    const struct idem_digest digest = stores_digest(1);
    idem_debts_forget(&debts, &digest);
    assert_int_equal(debts.count, 0);
    assert_true(idem_debts_add(&debts, &other));
    idem_debts_fini(&debts);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_memory_is_bounded_and_keeps_the_latest),
        cmocka_unit_test(debts_are_paid_oldest_first_and_bounded),
        cmocka_unit_test(results_are_owed_as_long_as_there_is_room),
        cmocka_unit_test(a_key_without_room_takes_its_result_with_it),
        cmocka_unit_test(a_debt_that_is_forgiven_gives_its_room_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
