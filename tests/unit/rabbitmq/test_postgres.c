/* SPDX-License-Identifier: MIT
 * The PostgreSQL sink without a server: what errors mean, how statements are counted, names, claims. */
#include "postgres/inbox.h"
#include "postgres/sqlstate.h"
#include "postgres/statement.h"
#include "postgres/table.h"

#include "testing.h"

static void what_a_message_is_the_reason_for_is_refused(void **state) {
    static const char *const refused[] = {"22P02", "22003", "23505", "23503", "23514",
                                          "44000", "54000", "P0001", "MY001"};
    static const char *const again[] = {"40001", "40P01", "42P01", "42501",
                                        "53100", "55P03", "57014", "XX000"};
    static const char *const lost[] = {"08006", "57P01", "25006", "0A000", "", NULL};
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(idem_sqlstate_class(refused[i]), IDEM_SQLSTATE_REFUSED);
    }
    for (size_t i = 0; i < sizeof again / sizeof again[0]; i++) {
        assert_int_equal(idem_sqlstate_class(again[i]), IDEM_SQLSTATE_AGAIN);
    }
    for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) {
        assert_int_equal(idem_sqlstate_class(lost[i]), IDEM_SQLSTATE_LOST);
    }
}

static void parameters_are_counted_outside_of_quotes(void **state) {
    (void)state;
    assert_int_equal(idem_statement_parameters("SELECT 1"), 0);
    assert_int_equal(idem_statement_parameters("SELECT $2, $1, $2::text"), 2);
    assert_int_equal(idem_statement_parameters("SELECT $1, '$2''$3', \"$4\""), 1);
    assert_int_equal(idem_statement_parameters("SELECT $1 -- $2\n, $3 /* $4 */"), 3);
    assert_int_equal(idem_statement_parameters("SELECT '$1"), 0);
    assert_int_equal(idem_statement_parameters("SELECT $99999999999999999999"), 99999);
}

static void names_of_tables_are_words(void **state) {
    (void)state;
    assert_true(idem_pg_table_name_valid("idem_inbox"));
    assert_true(idem_pg_table_name_valid("billing.order"));
    assert_false(idem_pg_table_name_valid(""));
    assert_false(idem_pg_table_name_valid("a.b.c"));
    assert_false(idem_pg_table_name_valid("1a"));
    assert_false(idem_pg_table_name_valid("a\"; DROP TABLE b; --"));
}

struct answers {
    int count;
    struct idem_answer last;
};

static void answered(void *arg, const struct idem_answer *answer) {
    struct answers *answers = arg;
    answers->count++;
    answers->last = *answer;
}

static struct idem_claim claim_of(uint8_t number) {
    struct idem_claim claim = {.now_ms = 1000, .lease_ms = 10, .ttl_ms = 100};
    claim.digest.bytes[0] = number;
    return claim;
}

static void ask(struct idem_pg_inbox *inbox, uint8_t number, struct answers *answers) {
    const struct idem_claim claim = claim_of(number);
    idem_store_claim(&inbox->store, &claim, answered, answers);
}

static void claims_are_answered_when_the_table_has_said(void **state) {
    struct idem_pg_inbox inbox = {.mask = 0};
    struct answers ours = {0};
    struct answers copy = {0};
    struct answers taken = {0};
    const struct idem_claim first = claim_of(1);
    const struct idem_claim second = claim_of(2);
    struct idem_record record = {.state = IDEM_RECORD_DONE, .until_ms = 1001};
    (void)state;
    assert_int_equal(idem_pg_inbox_init(&inbox, 10), IDEM_OK);
    ask(&inbox, 1, &ours);
    ask(&inbox, 1, &copy);
    ask(&inbox, 2, &taken);
    assert_int_equal(copy.last.outcome, IDEM_CLAIM_IN_FLIGHT);
    idem_pg_inbox_begin(&inbox, 10);
    assert_true(idem_pg_inbox_unresolved(&inbox));
    idem_pg_inbox_inserted(&inbox, &first.digest);
    idem_pg_inbox_found(&inbox, &first.digest, &record); /* LOOK sees our own row, too */
    record.until_ms = 1000;
    idem_pg_inbox_found(&inbox, &second.digest, &record);
    assert_true(idem_pg_inbox_unresolved(&inbox)); /* expired: to be removed first */
    record.until_ms = 1001;
    idem_pg_inbox_found(&inbox, &second.digest, &record);
    assert_false(idem_pg_inbox_unresolved(&inbox));
    assert_int_equal(ours.count + taken.count, 0);
    idem_pg_inbox_answer(&inbox);
    assert_int_equal(ours.last.outcome, IDEM_CLAIM_NEW);
    assert_int_equal(taken.last.outcome, IDEM_CLAIM_DONE);
    assert_non_null(idem_pg_inbox_ours(&inbox, &first.digest));
    assert_null(idem_pg_inbox_ours(&inbox, &second.digest));
    idem_pg_inbox_committed(&inbox);
    assert_null(idem_pg_inbox_ours(&inbox, &first.digest));
    idem_pg_inbox_fini(&inbox);
}

static void a_claim_that_was_rolled_back_can_be_lost(void **state) {
    struct idem_pg_inbox inbox = {.mask = 0};
    struct answers ours = {0};
    struct answers late = {0};
    const struct idem_claim claim = claim_of(1);
    const struct idem_record record = {.state = IDEM_RECORD_DONE, .until_ms = 5000};
    (void)state;
    assert_int_equal(idem_pg_inbox_init(&inbox, 10), IDEM_OK);
    ask(&inbox, 1, &ours);
    idem_pg_inbox_begin(&inbox, 10);
    idem_pg_inbox_inserted(&inbox, &claim.digest);
    idem_pg_inbox_answer(&inbox);
    ask(&inbox, 2, &late);
    idem_pg_inbox_begin(&inbox, 10); /* again: and nothing new joins it */
    assert_int_equal(inbox.open_count, 1);
    idem_pg_inbox_found(&inbox, &claim.digest, &record);
    idem_pg_inbox_answer(&inbox);
    assert_int_equal(ours.count, 1);
    assert_null(idem_pg_inbox_ours(&inbox, &claim.digest));
    idem_store_close(&inbox.store);
    assert_int_equal(late.last.code, IDEM_ERR_UNAVAILABLE);
    idem_pg_inbox_fini(&inbox);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_message_is_the_reason_for_is_refused),
        cmocka_unit_test(parameters_are_counted_outside_of_quotes),
        cmocka_unit_test(names_of_tables_are_words),
        cmocka_unit_test(claims_are_answered_when_the_table_has_said),
        cmocka_unit_test(a_claim_that_was_rolled_back_can_be_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
