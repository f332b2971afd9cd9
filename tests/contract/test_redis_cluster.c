/* SPDX-License-Identifier: MIT
 * The Redis store on a cluster: each key at its node, slots that move, nodes that are lost. */
#include "redis_cluster.h"
#include "stores.h"

#include "store/redis/layout.h"
#include "store/redis/slot.h"

#include <stdio.h>
#include <string.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)
#define MANY 600

static struct redis_cluster cluster;
static struct stores_box box;
static struct stores_answer answers[MANY];

static void use(size_t node) {
    memset(&box, 0, sizeof box);
    (void)snprintf(box.url, sizeof box.url,
                   "redis+cluster://127.0.0.1:%u,127.0.0.1:%u?timeout=2s",
                   redis_free_port(), cluster.nodes[node].port);
}

static int start(void **state) {
    (void)state;
    redis_cluster_start(&cluster);
    return 0;
}

static int stop(void **state) {
    (void)state;
    redis_cluster_remove(&cluster);
    return 0;
}

static int reset(void **state) {
    (void)state;
    use(1);
    return 0;
}

/* Emptied, for tests that leave the nodes as they were. */
static int empty(void **state) {
    for (size_t i = 0; i < REDIS_CLUSTER_MASTERS; i++) {
        (void)redis_tell(&cluster.nodes[i], "FLUSHALL");
    }
    return reset(state);
}

static int tidy(void **state) {
    (void)state;
    stores_close(&box);
    return 0;
}

static unsigned slot_of(uint64_t n) {
    uint8_t key[IDEM_LAYOUT_KEY_SIZE];
    struct idem_digest digest = stores_digest(n);
    idem_layout_key(key, &digest);
    return idem_slot_of(idem_span_of(key, sizeof key));
}

static long long keys_of(size_t node) {
    return redis_tell(&cluster.nodes[node], "DBSIZE");
}

static void slots_are_those_that_redis_computes(void **state) {
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        uint8_t key[IDEM_LAYOUT_KEY_SIZE];
        struct idem_digest digest = stores_digest(i);
        digest.bytes[i % 16] = (uint8_t) "}{\0~"[i / 16 % 4];
        digest.bytes[0] = i % 5 == 0 ? '}' : digest.bytes[0];
        idem_layout_key(key, &digest);
        assert_int_equal(
            idem_slot_of(idem_span_of(key, sizeof key)),
            redis_tell(&cluster.nodes[0], "CLUSTER KEYSLOT %b", key, sizeof key));
    }
}

static void each_key_is_kept_by_the_node_of_its_slot(void **state) {
    long long expected[REDIS_CLUSTER_MASTERS] = {0};
    (void)state;
    stores_open(&box);
    for (size_t i = 0; i < REDIS_CLUSTER_MASTERS; i++) {
        expected[i] = keys_of(i);
    }
    assert_int_equal(expected[0] + expected[1] + expected[2], 1); /* the check value */
    memset(answers, 0, sizeof answers);
    for (uint64_t n = 0; n < MANY; n++) {
        expected[redis_cluster_owner(slot_of(n))]++;
        stores_submit_claim(&box, n, T0, &answers[n]);
    }
    stores_sync(&box);
    for (size_t n = 0; n < MANY; n++) {
        assert_int_equal(answers[n].calls, 1);
        assert_int_equal(answers[n].answer.outcome, IDEM_CLAIM_NEW);
    }
    for (size_t i = 0; i < REDIS_CLUSTER_MASTERS; i++) {
        assert_true(expected[i] > MANY / 6);
        assert_int_equal(keys_of(i), expected[i]);
    }
}

static void every_operation_finds_its_node(void **state) {
    (void)state;
    stores_open(&box);
    for (uint64_t n = 0; n < 60; n += 3) {
        stores_put_done(&box, n, T0, HOUR);
        (void)stores_claim(&box, n + 1, &stores_other, T0, 1000);
        assert_int_equal(stores_claim(&box, n + 1, &stores_me, T0 + 1000, 1000).outcome,
                         IDEM_CLAIM_TAKEN_OVER);
        assert_int_equal(stores_abandon(&box, n + 1, &stores_me), IDEM_OK);
        struct idem_claim claim = stores_claim_of(n, &stores_other, T0 + 1, 1000);
        claim.extend_ms = HOUR;
        assert_int_equal(stores_claim_as(&box, &claim).answer.outcome, IDEM_CLAIM_DONE);
        assert_int_equal(stores_lookup(&box, n, T0 + HOUR).answer.code, IDEM_OK);
        assert_int_equal(stores_forget(&box, n), IDEM_OK);
    }
    assert_int_equal(keys_of(0) + keys_of(1) + keys_of(2), 1);
}

static void another_secret_is_refused_whichever_node_knows(void **state) {
    struct idem_secret secret;
    struct idem_store *store = NULL;
    struct idem_error error = IDEM_ERROR_INIT;
    (void)state;
    stores_open(&box);
    memset(&secret, 0x5a, sizeof secret);
    struct idem_store_options options = {.url = box.url, .secret = &secret};
    assert_int_equal(idem_store_open(&store, &options, &error), IDEM_ERR_FORMAT);
    assert_non_null(strstr(error.text, "another secret"));
}

static void a_wrong_kind_of_url_is_refused_with_the_right_one(void **state) {
    struct idem_store *store = NULL;
    struct idem_error error;
    (void)state;
    (void)snprintf(box.url, sizeof box.url, "redis://127.0.0.1:%u",
                   cluster.nodes[0].port);
    assert_int_equal(stores_try(&box, false, &store, &error), IDEM_ERR_INVALID);
    assert_non_null(strstr(error.text, "redis+cluster://"));
}

static bool count_visit(void *arg, const struct idem_digest *digest,
                        const struct idem_record *record) {
    int *visits = arg;
    (void)record;
    for (uint64_t n = 0; n < MANY; n++) {
        struct idem_digest one = stores_digest(n);
        visits[n] += idem_digest_equal(&one, digest) ? 1 : 0;
    }
    return true;
}

static void a_walk_visits_the_records_of_all_nodes_once(void **state) {
    static int visits[MANY];
    (void)state;
    memset(visits, 0, sizeof visits);
    memset(answers, 0, sizeof answers);
    stores_open(&box);
    for (uint64_t n = 0; n < MANY; n++) {
        stores_submit_claim(&box, n, T0, &answers[n]);
    }
    stores_sync(&box);
    assert_int_equal(idem_store_iterate(box.store, T0, count_visit, visits, NULL),
                     IDEM_OK);
    for (size_t n = 0; n < MANY; n++) {
        assert_int_equal(visits[n], 1);
    }
}

/* The next number from *n on whose key is in the slot. */
static uint64_t in_slot(uint64_t *n, unsigned slot) {
    while (slot_of(*n) != slot) {
        ++*n;
    }
    return (*n)++;
}

#define MOVED 12

static void a_slot_moves_while_claims_go_on(void **state) {
    uint64_t keys[3 * MOVED];
    uint64_t next = 0;
    unsigned slot = slot_of(0);
    size_t from = redis_cluster_owner(slot);
    size_t to = (from + 1) % REDIS_CLUSTER_MASTERS;
    (void)state;
    stores_open(&box);
    for (size_t i = 0; i < 3 * MOVED; i++) {
        keys[i] = in_slot(&next, slot);
    }
    for (size_t i = 0; i < MOVED; i++) {
        stores_put_done(&box, keys[i], T0, HOUR);
    }
    redis_cluster_move_begin(&cluster, slot, from, to);
    for (size_t i = MOVED; i < 2 * MOVED; i++) {
        stores_put_done(&box, keys[i], T0, HOUR); /* ASK: they are made at the target */
        assert_int_equal(
            stores_claim(&box, keys[i - MOVED], &stores_me, T0, 1000).outcome,
            IDEM_CLAIM_DONE);
        (void)redis_cluster_move_keys(&cluster, slot, from, to, 1);
    }
    assert_int_equal(redis_cluster_move_keys(&cluster, slot, from, to, 100), 0);
    redis_cluster_move_end(&cluster, slot, from, to);
    for (size_t i = 2 * MOVED; i < 3 * MOVED; i++) {
        stores_put_done(&box, keys[i], T0, HOUR);
    }
    for (size_t i = 0; i < 3 * MOVED; i++) {
        assert_int_equal(stores_claim(&box, keys[i], &stores_other, T0, 1000).outcome,
                         IDEM_CLAIM_DONE);
    }
    assert_int_equal(redis_tell(&cluster.nodes[to], "CLUSTER COUNTKEYSINSLOT %u", slot),
                     3 * MOVED);
}

/* Those of a node that is well are never touched by the loss of another. */
static void claim_elsewhere(uint64_t *n, size_t lost) {
    while (redis_cluster_owner(slot_of(*n)) == lost) {
        ++*n;
    }
    assert_int_equal(stores_claim(&box, (*n)++, &stores_me, T0, 1000).outcome,
                     IDEM_CLAIM_NEW);
}

static void a_lost_master_is_replaced_by_its_replica(void **state) {
    uint64_t n = 0;
    uint64_t fresh = 100000;
    (void)state;
    stores_open(&box);
    while (redis_cluster_owner(slot_of(n)) != 0) {
        n++;
    }
    stores_put_done(&box, n, T0, HOUR);
    assert_int_equal(redis_tell(&cluster.nodes[0], "WAIT 1 5000"), 1);
    redis_kill(&cluster.nodes[0]);
    int64_t deadline = testing_deadline();
    struct idem_answer answer = {.code = IDEM_ERR_UNAVAILABLE};
    while ((answer = stores_claim(&box, n, &stores_me, T0, 1000)).code != IDEM_OK) {
        if (testing_remaining_ms(deadline) == 0) {
            redisReply *nodes = redis_ask(&cluster.nodes[1], "CLUSTER NODES");
            fail_msg("no fail-over (%s): %s", idem_code_text(answer.code), nodes->str);
        }
        claim_elsewhere(&fresh, 0);
        testing_pause();
        idem_store_dispatch(box.store);
    }
    assert_int_equal(answer.outcome, IDEM_CLAIM_DONE);
    assert_true(keys_of(REDIS_CLUSTER_NODES - 1) >= 1);
}

static void a_lost_master_without_replica_takes_its_own_slots_only(void **state) {
    uint64_t n = 0;
    uint64_t fresh = 100000;
    struct idem_store_stats stats;
    (void)state;
    use(0); /* the one of the URL that is there stays */
    stores_open(&box);
    redis_kill(&cluster.nodes[1]);
    while (redis_cluster_owner(slot_of(n)) != 1) {
        n++;
    }
    enum idem_code code = stores_claim(&box, n, &stores_me, T0, 1000).code;
    assert_true(code == IDEM_ERR_UNAVAILABLE || code == IDEM_ERR_TIMEOUT);
    for (int i = 0; i < 50; i++) {
        claim_elsewhere(&fresh, 1);
    }
    idem_store_read_stats(box.store, &stats);
    assert_true(stats.failing);
    for (uint64_t i = 0; i < 50; i++) { /* and what is owed to the others can be paid */
        struct idem_digest digest = stores_digest(i);
        assert_int_equal(box.store->ops->refuses(box.store, &digest),
                         redis_cluster_owner(slot_of(i)) == 1);
    }
    redis_start(&cluster.nodes[1], cluster.options[1]);
    int64_t deadline = testing_deadline();
    while (stores_claim(&box, n, &stores_me, T0, 1000).code != IDEM_OK) {
        assert_true(testing_remaining_ms(deadline) > 0);
        testing_pause();
        idem_store_dispatch(box.store);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, empty, tidy)
#define LAST(name) cmocka_unit_test_setup_teardown(name, reset, tidy)

int main(void) {
    const struct CMUnitTest one_cluster[] = {
        CASE(slots_are_those_that_redis_computes),
        CASE(each_key_is_kept_by_the_node_of_its_slot),
        CASE(every_operation_finds_its_node),
        CASE(another_secret_is_refused_whichever_node_knows),
        CASE(a_wrong_kind_of_url_is_refused_with_the_right_one),
        CASE(a_walk_visits_the_records_of_all_nodes_once),
        CASE(a_lost_master_without_replica_takes_its_own_slots_only),
        CASE(a_slot_moves_while_claims_go_on),
        LAST(a_lost_master_is_replaced_by_its_replica),
    };
    return cmocka_run_group_tests(one_cluster, start, stop);
}
