/* SPDX-License-Identifier: MIT
 * The table of requests that wait for their response: who is found, who is not, and who has to go. */
#include "pairs.h"

#include "testing.h"

#include <stdio.h>

#define NOW_MS INT64_C(1700000000000)
#define TTL_MS 1000

static struct idem_pairs pairs;

static int set_up(void **state) {
    (void)state;
    idem_pairs_init(&pairs, 4, 1 << 16);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    idem_pairs_fini(&pairs);
    assert_int_equal(pairs.count, 0);
    assert_int_equal(pairs.bytes, 0);
    for (size_t i = 0; i < IDEM_PAIRS_BUCKETS; i++) {
        assert_int_equal(pairs.topics[i], 0);
    }
    return 0;
}

static struct idem_reply_to to(const char *topic, const char *correlation) {
    return (struct idem_reply_to){topic, idem_span_text(correlation)};
}

static struct idem_delivery delivery_of(uint8_t key) {
    return (struct idem_delivery){.verdict = IDEM_VERDICT_DELIVER,
                                  .claimed = true,
                                  .digest = {{key, 1, 2}},
                                  .ttl_ms = TTL_MS};
}

static struct idem_pair *add(const char *topic, const char *correlation, uint8_t key) {
    const struct idem_reply_to reply_to = to(topic, correlation);
    const struct idem_delivery delivery = delivery_of(key);
    return idem_pairs_add(&pairs, &reply_to, &delivery, NOW_MS);
}

static struct idem_pair *find_at(const char *topic, const char *correlation,
                                 int64_t now_ms) {
    const struct idem_reply_to reply_to = to(topic, correlation);
    return idem_pairs_find(&pairs, &reply_to, now_ms);
}

static struct idem_pair *find(const char *topic, const char *correlation) {
    return find_at(topic, correlation, NOW_MS);
}

static struct idem_pair *of(uint8_t key) {
    const struct idem_digest digest = delivery_of(key).digest;
    return idem_pairs_of(&pairs, &digest, NOW_MS);
}

static void a_request_is_found_by_address_and_by_key(void **state) {
    (void)state;
    struct idem_pair *pair = add("a", "c", 1);
    assert_non_null(pair);
    assert_ptr_equal(find("a", "c"), pair);
    assert_ptr_equal(of(1), pair);
    assert_null(find("a", "d"));
    assert_null(find("b", "c"));
    assert_null(find("ac", ""));
    assert_null(of(2));
    assert_true(idem_pairs_may_have(&pairs, "a"));
    assert_false(idem_pairs_may_have(&pairs, "b"));
    assert_true(pair->delivery.completed);
    assert_false(pair->delivery.claimed);
    idem_pairs_remove(&pairs, pair);
    assert_null(find("a", "c"));
    assert_null(of(1));
    assert_false(idem_pairs_may_have(&pairs, "a"));
}

static void correlation_data_may_be_any_bytes(void **state) {
    const struct idem_delivery first = delivery_of(1);
    const struct idem_delivery second = delivery_of(2);
    const struct idem_reply_to one = {"a", idem_span_of("\0x", 2)};
    const struct idem_reply_to other = {"a", idem_span_of("\0y", 2)};
    (void)state;
    struct idem_pair *pair = idem_pairs_add(&pairs, &one, &first, NOW_MS);
    assert_non_null(idem_pairs_add(&pairs, &other, &second, NOW_MS));
    assert_ptr_equal(idem_pairs_find(&pairs, &one, NOW_MS), pair);
}

static void the_same_request_again_is_one(void **state) {
    (void)state;
    struct idem_pair *pair = add("a", "c", 1);
    assert_ptr_equal(add("a", "c", 1), pair);
    assert_int_equal(pairs.count, 1);
}

static void two_requests_of_one_address_are_nobodys(void **state) {
    (void)state;
    assert_non_null(add("a", "c", 1));
    assert_null(add("a", "c", 2));
    assert_null(find("a", "c"));
    assert_null(of(1));
    assert_null(of(2));
    assert_null(add("a", "c", 1)); /* and it stays so */
    assert_null(find("a", "c"));
    assert_non_null(add("a", "d", 3));
    assert_null(find_at("a", "c", NOW_MS + TTL_MS));
    const struct idem_reply_to reply_to = to("a", "c");
    const struct idem_delivery delivery = delivery_of(4);
    assert_non_null(idem_pairs_add(&pairs, &reply_to, &delivery, NOW_MS + TTL_MS));
}

static void a_request_waits_no_longer_than_its_record_lives(void **state) {
    (void)state;
    assert_non_null(add("a", "c", 1));
    assert_non_null(find_at("a", "c", NOW_MS + TTL_MS - 1));
    assert_null(find_at("a", "c", NOW_MS + TTL_MS));
    assert_int_equal(pairs.count, 0);
    assert_int_equal(pairs.evicted, 0);
}

static void the_oldest_goes_first(void **state) {
    (void)state;
    for (uint8_t key = 1; key <= 5; key++) {
        char correlation[] = {(char)('0' + key), '\0'};
        assert_non_null(add("a", correlation, key));
    }
    assert_int_equal(pairs.count, 4);
    assert_int_equal(pairs.evicted, 1);
    assert_null(find("a", "1"));
    assert_non_null(find("a", "2"));
    assert_non_null(find("a", "5"));
}

static void memory_is_bounded_too(void **state) {
    static char topic[40000];
    (void)state;
    memset(topic, 't', sizeof topic - 1);
    assert_non_null(add(topic, "1", 1));
    assert_non_null(add(topic, "2", 2)); /* both together are too much */
    assert_int_equal(pairs.count, 1);
    assert_null(of(1));
    assert_true(pairs.bytes <= pairs.most_bytes);
    pairs.most_bytes = 1000;
    assert_null(add(topic, "3", 3));
    assert_non_null(of(2)); /* what could never fit makes nobody go */
}

static void repeats_wait_in_bounds(void **state) {
    (void)state;
    struct idem_pair *pair = add("a", "c", 1);
    for (int i = 0; i < IDEM_PAIRS_WAITERS_MAX; i++) {
        assert_true(idem_pairs_wait(&pairs, pair, idem_span_text("d"), i % 3, NOW_MS));
    }
    assert_false(idem_pairs_wait(&pairs, pair, idem_span_text("d"), 0, NOW_MS));
    struct idem_pair_waiter *first = STAILQ_FIRST(&pair->waiters);
    assert_int_equal(first->correlation_size, 1);
    assert_int_equal(first->correlation[0], 'd');
    struct idem_pair *other = add("b", "", 2);
    pairs.most_bytes = pairs.bytes;
    assert_true(idem_pairs_wait(&pairs, other, idem_span_text("e"), 1, NOW_MS));
    assert_null(of(1)); /* older than the one that needed the room */
    assert_ptr_equal(of(2), other);
}

#define WITH_PAIRS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PAIRS(a_request_is_found_by_address_and_by_key),
        WITH_PAIRS(correlation_data_may_be_any_bytes),
        WITH_PAIRS(the_same_request_again_is_one),
        WITH_PAIRS(two_requests_of_one_address_are_nobodys),
        WITH_PAIRS(a_request_waits_no_longer_than_its_record_lives),
        WITH_PAIRS(the_oldest_goes_first),
        WITH_PAIRS(memory_is_bounded_too),
        WITH_PAIRS(repeats_wait_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
