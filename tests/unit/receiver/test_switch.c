/* SPDX-License-Identifier: MIT
 * Rules that are taken out while the program runs, and put back. */
#include "receiving.h"

#include <string.h>

static struct idem_rule_counts row_of(struct receiving *fixture, const char *name) {
    struct idem_receiver_counts total;
    struct idem_rule_counts rows[4];
    size_t count = idem_receiver_read_counts(fixture->receiver, &total, rows, 4);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return rows[i];
        }
    }
    fail_msg("no rule %s", name);
    return rows[0];
}

static void set(struct receiving *fixture, const char *name, bool enabled) {
    assert_int_equal(idem_receiver_enable_rule(fixture->receiver, name, enabled),
                     IDEM_OK);
}

static void a_rule_that_is_out_takes_no_messages_and_counts_them(void **state) {
    struct receiving *fixture = *state;
    assert_int_equal(receiving_submit_now(fixture, "K").reason, IDEM_REASON_NEW);
    set(fixture, "orders", false);
    set(fixture, "orders", false);
    for (int i = 0; i < 2; i++) {
        struct idem_delivery delivery = receiving_submit_now(fixture, "K");
        assert_int_equal(delivery.reason, IDEM_REASON_NO_RULE);
        assert_int_equal(delivery.verdict, IDEM_VERDICT_DELIVER);
        assert_false(delivery.claimed);
    }
    assert_true(row_of(fixture, "orders").disabled);
    assert_int_equal(row_of(fixture, "orders").bypassed, 2);
    assert_int_equal(row_of(fixture, "").by_reason[IDEM_REASON_NO_RULE], 2);
}

static void a_rule_that_is_put_back_knows_its_keys(void **state) {
    struct receiving *fixture = *state;
    (void)receiving_submit_now(fixture, "K");
    set(fixture, "orders", false);
    set(fixture, "orders", true);
    assert_int_equal(receiving_submit_now(fixture, "K").reason, IDEM_REASON_IN_FLIGHT);
    assert_false(row_of(fixture, "orders").disabled);
    assert_int_equal(row_of(fixture, "orders").bypassed, 0);
}

static void the_next_rule_that_matches_takes_over(void **state) {
    struct receiving *fixture = *state;
    struct idem_rule rules[2];
    sample_rule(&rules[0], "first");
    sample_rule(&rules[1], "second");
    struct idem_ruleset set_of_two = {.rules = rules, .count = 2};
    idem_secret_default(&set_of_two.secret);
    assert_int_equal(idem_receiver_set_rules(fixture->receiver, &set_of_two, NULL),
                     IDEM_OK);
    assert_string_equal(receiving_submit_now(fixture, "K").rule_name, "first");
    set(fixture, "first", false);
    assert_string_equal(receiving_submit_now(fixture, "K").rule_name, "second");
    set(fixture, "second", false);
    assert_string_equal(receiving_submit_now(fixture, "K").rule_name, "");
    set(fixture, "first", true);
    assert_string_equal(receiving_submit_now(fixture, "K").rule_name, "first");
    assert_int_equal(row_of(fixture, "second").bypassed, 0);
    assert_int_equal(idem_receiver_set_rules(fixture->receiver, &fixture->rules, NULL),
                     IDEM_OK);
    idem_rule_fini(&rules[0]);
    idem_rule_fini(&rules[1]);
}

static void new_rules_are_all_in(void **state) {
    struct receiving *fixture = *state;
    set(fixture, "orders", false);
    assert_int_equal(idem_receiver_set_rules(fixture->receiver, &fixture->rules, NULL),
                     IDEM_OK);
    assert_false(row_of(fixture, "orders").disabled);
    assert_string_equal(receiving_submit_now(fixture, "K").rule_name, "orders");
}

static void a_name_that_no_rule_has_is_told(void **state) {
    struct receiving *fixture = *state;
    assert_int_equal(idem_receiver_enable_rule(fixture->receiver, "order", false),
                     IDEM_ERR_NOT_FOUND);
    assert_int_equal(idem_receiver_enable_rule(fixture->receiver, "", false),
                     IDEM_ERR_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, receiving_open, receiving_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_rule_that_is_out_takes_no_messages_and_counts_them),
        TEST(a_rule_that_is_put_back_knows_its_keys),
        TEST(the_next_rule_that_matches_takes_over),
        TEST(new_rules_are_all_in),
        TEST(a_name_that_no_rule_has_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
