/* SPDX-License-Identifier: MIT
 * The sample of duplicates and conflicts: what is in it, what is not, and who may read it when. */
#include "receiver/sightings.h"
#include "receiving.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct idem_sighting list[IDEM_SIGHTINGS_MAX + 1];

static size_t read_all(const struct receiving *fixture) {
    return idem_receiver_sightings(fixture->receiver, list, IDEM_SIGHTINGS_MAX + 1);
}

static void deliver(struct receiving *fixture, const char *key) {
    struct idem_delivery delivery = receiving_submit_now(fixture, key);
    assert_int_equal(delivery.reason, IDEM_REASON_NEW);
    idem_receiver_complete(fixture->receiver, &delivery, NOW_MS, NULL, NULL);
}

/* A copy of key that says the amount. */
static struct idem_delivery submit_amount(struct receiving *fixture, const char *amount,
                                          int64_t now_ms) {
    struct idem_delivery delivery;
    unsigned decisions = 0;
    sample_init(&fixture->sample);
    sample_add(&fixture->sample, "id", "K");
    sample_add(&fixture->sample, "amount", amount);
    idem_receiver_submit(fixture->receiver, &fixture->sample.message, now_ms, &delivery,
                         receiving_decided, &decisions);
    assert_int_equal(decisions, 1);
    return delivery;
}

static void submit_at(struct receiving *fixture, int64_t now_ms,
                      enum idem_reason reason) {
    assert_int_equal(submit_amount(fixture, "1", now_ms).reason, reason);
}

static void a_first_copy_leaves_no_trace(void **state) {
    struct receiving *fixture = *state;
    deliver(fixture, "K");
    assert_int_equal(read_all(fixture), 0);
}

static void a_duplicate_is_seen_with_its_rule_its_times_and_how_often(void **state) {
    struct receiving *fixture = *state;
    deliver(fixture, "K");
    submit_at(fixture, NOW_MS + 10, IDEM_REASON_DUPLICATE);
    submit_at(fixture, NOW_MS + 20, IDEM_REASON_DUPLICATE);
    assert_int_equal(read_all(fixture), 1);
    assert_int_equal(list[0].reason, IDEM_REASON_DUPLICATE);
    assert_string_equal(list[0].rule, "orders");
    assert_int_equal(list[0].first_seen_ms, NOW_MS);
    assert_int_equal(list[0].last_seen_ms, NOW_MS + 20);
    assert_int_equal(list[0].count, 2);
    assert_true(idem_digest_equal(&list[0].digest,
                                  &scripted_store_claim(fixture->scripted)->digest));
}

static void a_conflict_is_told_apart_from_a_duplicate_of_the_same_key(void **state) {
    struct receiving *fixture = *state;
    sample_spec(&fixture->rules.rules[0].fingerprint, "property:amount");
    struct idem_delivery first = submit_amount(fixture, "1", NOW_MS);
    idem_receiver_complete(fixture->receiver, &first, NOW_MS, NULL, NULL);
    submit_at(fixture, NOW_MS + 1, IDEM_REASON_DUPLICATE);
    struct idem_delivery conflict = submit_amount(fixture, "2", NOW_MS + 2);
    assert_int_equal(conflict.reason, IDEM_REASON_CONFLICT);
    assert_int_equal(read_all(fixture), 2);
    assert_int_equal(list[0].reason, IDEM_REASON_CONFLICT);
    assert_int_equal(list[1].reason, IDEM_REASON_DUPLICATE);
    assert_true(idem_digest_equal(&list[0].digest, &list[1].digest));
}

static void a_claim_that_is_taken_over_is_seen(void **state) {
    struct receiving *fixture = *state;
    (void)receiving_submit_now(fixture, "K");
    submit_at(fixture, NOW_MS + 5000, IDEM_REASON_IN_DOUBT);
    assert_int_equal(read_all(fixture), 1);
    assert_int_equal(list[0].reason, IDEM_REASON_IN_DOUBT);
    assert_int_equal(list[0].first_seen_ms, NOW_MS);
}

static void a_copy_that_is_held_is_not(void **state) {
    struct receiving *fixture = *state;
    (void)receiving_submit_now(fixture, "K");
    submit_at(fixture, NOW_MS + 1, IDEM_REASON_IN_FLIGHT);
    assert_int_equal(read_all(fixture), 0);
}

/* The sample itself, with copies that nobody had to decide. */

struct stage {
    struct idem_sightings sightings;
    struct idem_counter_row row;
};

static void add(struct stage *stage, enum idem_reason reason, uint64_t number,
                int64_t now_ms) {
    struct idem_delivery delivery = {.reason = reason, .has_identity = true};
    memcpy(delivery.digest.bytes, &number, sizeof number);
    delivery.first_seen_ms = now_ms;
    idem_sightings_add(&stage->sightings, &delivery, &stage->row, now_ms);
}

static void the_latest_come_first_and_older_ones_make_room(void **state) {
    (void)state;
    struct stage *stage = calloc(1, sizeof *stage);
    assert_non_null(stage);
    for (uint64_t i = 0; i < 1000; i++) {
        add(stage, IDEM_REASON_DUPLICATE, i, (int64_t)i + 1);
    }
    size_t count = idem_sightings_read(&stage->sightings, list, IDEM_SIGHTINGS_MAX + 1);
    assert_int_equal(count, IDEM_SIGHTINGS_MAX / 2);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(list[i].last_seen_ms, 1000 - (int64_t)i);
    }
    assert_int_equal(idem_sightings_read(&stage->sightings, list, 3), 3);
    assert_int_equal(list[2].last_seen_ms, 998);
    assert_int_equal(idem_sightings_read(&stage->sightings, list, 0), 0);
    free(stage);
}

static void a_flood_of_duplicates_leaves_conflicts_where_they_are(void **state) {
    (void)state;
    struct stage *stage = calloc(1, sizeof *stage);
    assert_non_null(stage);
    add(stage, IDEM_REASON_CONFLICT, 7, 1);
    add(stage, IDEM_REASON_FENCED, 8, 2);
    for (uint64_t i = 0; i < 10000; i++) {
        add(stage, IDEM_REASON_DUPLICATE, i, 10);
    }
    size_t count = idem_sightings_read(&stage->sightings, list, IDEM_SIGHTINGS_MAX + 1);
    assert_int_equal(count, IDEM_SIGHTINGS_MAX / 2 + 2);
    assert_int_equal(list[count - 2].reason, IDEM_REASON_FENCED);
    assert_int_equal(list[count - 1].reason, IDEM_REASON_CONFLICT);
    free(stage);
}

struct reading {
    struct stage *stage;
    _Atomic bool stop;
    unsigned torn;
    unsigned reads;
};

/* What is written below holds the same number in four places. */
static void *read_on(void *arg) {
    struct reading *reading = arg;
    struct idem_sighting *seen = calloc(IDEM_SIGHTINGS_MAX, sizeof *seen);
    while (seen != NULL && !atomic_load(&reading->stop)) {
        size_t count =
            idem_sightings_read(&reading->stage->sightings, seen, IDEM_SIGHTINGS_MAX);
        for (size_t i = 0; i < count; i++) {
            uint64_t number = 0;
            memcpy(&number, seen[i].digest.bytes, sizeof number);
            reading->torn += seen[i].first_seen_ms != seen[i].last_seen_ms ||
                             seen[i].first_seen_ms != (int64_t)number ||
                             strcmp(seen[i].rule, "orders") != 0;
        }
        reading->reads++;
    }
    free(seen);
    return NULL;
}

static void what_is_read_while_it_is_written_is_whole(void **state) {
    (void)state;
    struct reading reading = {.stage = calloc(1, sizeof *reading.stage)};
    pthread_t thread;
    assert_non_null(reading.stage);
    memcpy(reading.stage->row.name, "orders", sizeof "orders");
    assert_int_equal(pthread_create(&thread, NULL, read_on, &reading), 0);
    for (uint64_t i = 1; i < 2000000; i++) {
        add(reading.stage, IDEM_REASON_DUPLICATE, i, (int64_t)i);
    }
    atomic_store(&reading.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(reading.torn, 0);
    assert_true(reading.reads > 0);
    free(reading.stage);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_first_copy_leaves_no_trace, receiving_open,
                                        receiving_close),
        cmocka_unit_test_setup_teardown(
            a_duplicate_is_seen_with_its_rule_its_times_and_how_often, receiving_open,
            receiving_close),
        cmocka_unit_test_setup_teardown(
            a_conflict_is_told_apart_from_a_duplicate_of_the_same_key, receiving_open,
            receiving_close),
        cmocka_unit_test_setup_teardown(a_claim_that_is_taken_over_is_seen,
                                        receiving_open, receiving_close),
        cmocka_unit_test_setup_teardown(a_copy_that_is_held_is_not, receiving_open,
                                        receiving_close),
        cmocka_unit_test(the_latest_come_first_and_older_ones_make_room),
        cmocka_unit_test(a_flood_of_duplicates_leaves_conflicts_where_they_are),
        cmocka_unit_test(what_is_read_while_it_is_written_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
