/* SPDX-License-Identifier: MIT
 * Which messages a transaction of the PostgreSQL sink takes: no server, and no source. */
#include "postgres.h"
#include "worker_state.h"

#include "testing.h"

#include <stdlib.h>

#define NOW_MS 1000

static struct idem_config config;
static struct idem_bridge_options options;
static struct idem_worker worker;
static struct idem_postgres postgres;
static struct idem_parcel parcels[4];

static int set_up(void **state) {
    (void)state;
    memset(&config, 0, sizeof config);
    memset(&options, 0, sizeof options);
    memset(&worker, 0, sizeof worker);
    memset(&postgres, 0, sizeof postgres);
    memset(parcels, 0, sizeof parcels);
    config.bridge.sink.batch = 100;
    options.config = &config;
    worker.options = &options;
    worker.routes[IDEM_ROUTE_SINK] = &postgres.sink;
    postgres.worker = &worker;
    TAILQ_INIT(&postgres.sink.line);
    return idem_pg_inbox_init(&postgres.inbox, 16) == IDEM_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    idem_pg_inbox_fini(&postgres.inbox);
    free(postgres.items);
    return 0;
}

static void ignore(void *arg, const struct idem_answer *answer) {
    (void)arg;
    (void)answer;
}

static struct idem_digest digest_of(size_t number) {
    struct idem_digest digest = {{(uint8_t)(number + 1)}};
    return digest;
}

/* Its claim waits for a transaction. */
static void claim(size_t number) {
    const struct idem_claim claim = {.digest = digest_of(number),
                                     .now_ms = NOW_MS,
                                     .lease_ms = 10,
                                     .terms = {.ttl_ms = 100}};
    idem_store_claim(&postgres.inbox.store, &claim, ignore, NULL);
}

/* A transaction has asked for all that waited, and they are ours. */
static void answer_claims(void) {
    idem_pg_inbox_begin(&postgres.inbox, 100);
    for (size_t i = 0; i < sizeof parcels / sizeof parcels[0]; i++) {
        const struct idem_digest digest = digest_of(i);
        idem_pg_inbox_inserted(&postgres.inbox, &digest);
    }
    idem_pg_inbox_answer(&postgres.inbox);
}

static struct idem_parcel *arrive(size_t number) {
    struct idem_parcel *parcel = &parcels[number];
    parcel->worker = &worker;
    parcel->delivery.digest = digest_of(number);
    (void)idem_transfer_step(&parcel->transfer, IDEM_ON_ARRIVED, &options.policy,
                             &worker.counts);
    idem_parcel_join_line(parcel, false);
    return parcel;
}

static void become_ready(struct idem_parcel *parcel) {
    parcel->transfer.claimed = true;
    (void)idem_transfer_step(&parcel->transfer, IDEM_ON_DELIVER, &options.policy,
                             &worker.counts);
}

static void messages_are_taken_in_the_order_of_the_line(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        claim(i);
    }
    answer_claims();
    for (size_t i = 0; i < 3; i++) {
        become_ready(arrive(i));
    }
    assert_true(idem_postgres_pick(&postgres));
    assert_int_equal(postgres.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(postgres.items[i].parcel, &parcels[i]);
        assert_int_equal(parcels[i].transfer.state, IDEM_TRANSFER_PUBLISHED);
    }
    assert_true(TAILQ_EMPTY(&postgres.sink.line));
}

/* Message 0 was there first. Then came 1, whose claim waits for the next transaction; 2, a copy that had been
 * held, was claimed before that, and joined the line after it. */
static void
a_claim_that_is_ours_finds_its_message_behind_one_that_is_not_claimed_yet(void **state) {
    (void)state;
    claim(0);
    claim(2);
    answer_claims();
    claim(1);
    become_ready(arrive(0));
    (void)arrive(1);
    become_ready(arrive(2));
    assert_true(idem_postgres_pick(&postgres));
    assert_int_equal(postgres.count, 2);
    assert_ptr_equal(postgres.items[0].parcel, &parcels[0]);
    assert_ptr_equal(postgres.items[1].parcel, &parcels[2]);
    assert_ptr_equal(TAILQ_FIRST(&postgres.sink.line), &parcels[1]);
    assert_null(TAILQ_NEXT(&parcels[1], line));
    assert_int_equal(parcels[1].transfer.state, IDEM_TRANSFER_CLAIMING);
}

/* Messages without a key keep their order: they wait for what is in front of them. */
static void a_message_without_a_claim_does_not_overtake(void **state) {
    (void)state;
    claim(0);
    answer_claims();
    claim(1);
    become_ready(arrive(0));
    (void)arrive(1);
    struct idem_parcel *keyless = arrive(2);
    (void)idem_transfer_step(&keyless->transfer, IDEM_ON_DELIVER, &options.policy,
                             &worker.counts);
    assert_true(idem_postgres_pick(&postgres));
    assert_int_equal(postgres.count, 1);
    assert_int_equal(keyless->transfer.state, IDEM_TRANSFER_READY);
}

static void a_claim_without_its_message_is_not_committed(void **state) {
    (void)state;
    claim(0);
    claim(3);
    answer_claims();
    become_ready(arrive(0));
    assert_false(idem_postgres_pick(&postgres));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(messages_are_taken_in_the_order_of_the_line),
        TEST(a_claim_that_is_ours_finds_its_message_behind_one_that_is_not_claimed_yet),
        TEST(a_message_without_a_claim_does_not_overtake),
        TEST(a_claim_without_its_message_is_not_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
