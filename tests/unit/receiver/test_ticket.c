/* SPDX-License-Identifier: MIT
 * Claims that are settled by their ticket, by whoever has it. */
#include "receiving.h"

#include <idem/ticket.h>

static struct idem_ticket take_ticket(struct receiving *fixture,
                                      const struct idem_delivery *delivery) {
    struct idem_ticket ticket;
    assert_true(idem_receiver_ticket(fixture->receiver, delivery, &ticket));
    return ticket;
}

static void a_ticket_completes_the_claim_with_its_result(void **state) {
    struct receiving *fixture = *state;
    enum idem_code code = IDEM_CODE_COUNT;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    struct idem_ticket ticket = take_ticket(fixture, &delivery);
    idem_receiver_complete_ticket(fixture->receiver, &ticket, NOW_MS,
                                  idem_span_text("answer"), receiving_settled, &code);
    assert_int_equal(code, IDEM_OK);
    assert_int_equal(receiving_totals(fixture).completed, 1);
    assert_int_equal(receiving_totals(fixture).results, 1);
    assert_int_equal(scripted_store_completion(fixture->scripted)->ttl_ms, 10000);
    assert_false(scripted_store_completion(fixture->scripted)->deferrable);
    assert_int_equal(receiving_submit_now(fixture, "K").reason, IDEM_REASON_DUPLICATE);
}

static void a_ticket_abandons_the_claim(void **state) {
    struct receiving *fixture = *state;
    enum idem_code code = IDEM_CODE_COUNT;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    struct idem_ticket ticket = take_ticket(fixture, &delivery);
    idem_receiver_abandon_ticket(fixture->receiver, &ticket, receiving_settled, &code);
    assert_int_equal(code, IDEM_OK);
    assert_int_equal(receiving_submit_now(fixture, "K").reason, IDEM_REASON_NEW);
}

/* A ticket proves nothing: the store knows whose claim it is. */
static void a_ticket_of_another_owner_ends_nothing(void **state) {
    struct receiving *fixture = *state;
    enum idem_code code = IDEM_OK;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    struct idem_ticket ticket = take_ticket(fixture, &delivery);
    ticket.owner.incarnation++;
    idem_receiver_complete_ticket(fixture->receiver, &ticket, NOW_MS,
                                  idem_span_text("answer"), receiving_settled, &code);
    assert_int_equal(code, IDEM_ERR_NOT_OWNER);
    idem_receiver_abandon_ticket(fixture->receiver, &ticket, receiving_settled, &code);
    assert_int_equal(code, IDEM_ERR_NOT_OWNER);
    assert_int_equal(receiving_submit_now(fixture, "K").reason, IDEM_REASON_IN_FLIGHT);
}

static void what_is_not_claimed_has_no_ticket(void **state) {
    struct receiving *fixture = *state;
    struct idem_ticket ticket;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    idem_receiver_complete(fixture->receiver, &delivery, NOW_MS, NULL, NULL);
    delivery = receiving_submit_now(fixture, "K");
    assert_false(idem_receiver_ticket(fixture->receiver, &delivery, &ticket));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, receiving_open, receiving_close)
    const struct CMUnitTest tests[] = {
        TEST(a_ticket_completes_the_claim_with_its_result),
        TEST(a_ticket_abandons_the_claim),
        TEST(a_ticket_of_another_owner_ends_nothing),
        TEST(what_is_not_claimed_has_no_ticket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
