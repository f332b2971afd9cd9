/* SPDX-License-Identifier: MIT
 * No memory: the n-th allocation fails, for every n. Each must be said, none may leak or leave a claim
 * behind; and a message on its usual way needs no allocation at all. */
#include "receiving.h"

#include <idem/identity.h>

#include <stdlib.h>
#include <string.h>

/* The linker sends the allocations of this program here (--wrap, see tests.mk). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

#define NEVER UINT64_MAX

static uint64_t allocations;
static uint64_t failing = NEVER; /* which allocation from here on */

static bool refused(void) {
    allocations++;
    return failing != NEVER && failing-- == 0;
}

void *__wrap_malloc(size_t size) {
    return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
    return refused() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text) {
    return refused() ? NULL : __real_strdup(text);
}

/* Whether the allocation that was to fail was reached; from here on none fails. */
static bool was_reached(void) {
    bool reached = failing == NEVER;
    failing = NEVER;
    return reached;
}

static void opening_a_receiver_fails_cleanly_at_every_allocation(void **state) {
    struct receiving *fixture = *state;
    struct idem_receiver_options options = receiving_options(fixture);
    for (uint64_t n = 0;; n++) {
        struct idem_receiver *receiver = NULL;
        struct idem_error error = IDEM_ERROR_INIT;
        failing = n;
        enum idem_code code = idem_receiver_open(&receiver, &options, &error);
        if (!was_reached()) {
            assert_int_equal(code, IDEM_OK);
            assert_true(n >= 3); /* the receiver, its workspace, its rules */
            idem_receiver_close(receiver);
            return;
        }
        assert_int_equal(code, IDEM_ERR_NOMEM);
        assert_int_equal(error.code, IDEM_ERR_NOMEM);
        assert_null(receiver);
    }
}

static void replacing_rules_without_memory_keeps_the_old_ones(void **state) {
    struct receiving *fixture = *state;
    struct idem_rule rule;
    struct idem_ruleset next;
    sample_rule(&rule, "invoices");
    sample_set(&next, &rule);
    for (uint64_t n = 0; n < 2; n++) {
        failing = n;
        enum idem_code code = idem_receiver_set_rules(fixture->receiver, &next, NULL);
        assert_true(was_reached());
        assert_int_equal(code, IDEM_ERR_NOMEM);
    }
    idem_ruleset_fini(&next);
    assert_string_equal(receiving_submit_now(fixture, "K").rule_name, "orders");
}

static struct idem_delivery submit_sample(struct receiving *fixture) {
    struct idem_delivery delivery;
    unsigned decisions = 0;
    idem_receiver_submit(fixture->receiver, &fixture->sample.message, NOW_MS, &delivery,
                         receiving_decided, &decisions);
    assert_int_equal(decisions, 1);
    return delivery;
}

/* The flight and the text to propagate are allocated for the first copy. */
static void a_copy_without_memory_is_decided_as_a_store_failure(void **state) {
    struct receiving *fixture = *state;
    fixture->rules.rules[0].propagate.as[0] = sample_text("idempotency-key");
    fixture->rules.rules[0].policies.on_store_failure = IDEM_ACTION_REFUSE;
    sample_add(&fixture->sample, "id", "K");
    for (uint64_t n = 0; n < 2; n++) {
        failing = n;
        struct idem_delivery delivery = submit_sample(fixture);
        assert_true(was_reached());
        assert_int_equal(delivery.reason, IDEM_REASON_STORE_FAILURE);
        assert_int_equal(delivery.verdict, IDEM_VERDICT_REFUSE);
        assert_int_equal(delivery.store_code, IDEM_ERR_NOMEM);
        assert_false(delivery.claimed);
        assert_int_equal(scripted_store_operations(fixture->scripted), 0);
    }
    assert_int_equal(submit_sample(fixture).reason, IDEM_REASON_NEW);
}

static void settling_without_memory_says_so_and_leaves_the_claim(void **state) {
    struct receiving *fixture = *state;
    enum idem_code code = IDEM_OK;
    sample_add(&fixture->sample, "id", "K");
    struct idem_delivery delivery = submit_sample(fixture);
    scripted_store_delay(fixture->scripted, true);
    struct idem_delivery other = receiving_submit_now(fixture, "");
    unsigned decisions = 0;
    receiving_submit(fixture, "L", &other, &decisions); /* takes the flight at rest */
    failing = 0;
    idem_receiver_complete(fixture->receiver, &delivery, NOW_MS, receiving_settled,
                           &code);
    assert_true(was_reached());
    assert_int_equal(code, IDEM_ERR_NOMEM);
    assert_false(delivery.claimed);
    assert_int_equal(receiving_totals(fixture).settle_failures, 1);
    scripted_store_delay(fixture->scripted, false);
    scripted_store_release_all(fixture->scripted);
    assert_int_equal(submit_sample(fixture).reason, IDEM_REASON_IN_FLIGHT);
}

/* Duplicates, so that the store needs no memory either. */
static void a_message_on_its_usual_way_allocates_nothing(void **state) {
    struct receiving *fixture = *state;
    fixture->rules.rules[0].propagate.as[0] = sample_text("idempotency-key");
    sample_spec(&fixture->rules.rules[0].key, "property:id|json:/order/id|payload");
    sample_spec(&fixture->rules.rules[0].fingerprint, "payload");
    fixture->sample.message.payload =
        idem_span_text("{\"order\":{\"id\":\"A\\u002d1\"}}");
    for (unsigned i = 0; i < 2; i++) {
        struct idem_delivery delivery = submit_sample(fixture);
        if (delivery.claimed) {
            idem_receiver_complete(fixture->receiver, &delivery, NOW_MS, NULL, NULL);
        }
    }
    uint64_t before = allocations;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(submit_sample(fixture).reason, IDEM_REASON_DUPLICATE);
    }
    assert_int_equal(allocations, before);
}

static void an_extractor_without_memory_is_refused(void **state) {
    (void)state;
    struct idem_extractor extractor;
    struct idem_error error = IDEM_ERROR_INIT;
    failing = 0;
    enum idem_code code = idem_extractor_parse(&extractor, "property:id", &error);
    assert_true(was_reached());
    assert_int_equal(code, IDEM_ERR_NOMEM);
    assert_null(extractor.text);
}

#define WITH_RECEIVER(test)                                                              \
    cmocka_unit_test_setup_teardown(test, receiving_open, receiving_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_RECEIVER(opening_a_receiver_fails_cleanly_at_every_allocation),
        WITH_RECEIVER(replacing_rules_without_memory_keeps_the_old_ones),
        WITH_RECEIVER(a_copy_without_memory_is_decided_as_a_store_failure),
        WITH_RECEIVER(settling_without_memory_says_so_and_leaves_the_claim),
        WITH_RECEIVER(a_message_on_its_usual_way_allocates_nothing),
        WITH_RECEIVER(an_extractor_without_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
