/* SPDX-License-Identifier: MIT
 * Maps of a cluster as a server may draw them that is broken, or hostile. */
#include "testing.h"

#include "store/redis/nodes.h"

#include <string.h>

#define RANGES_MAX 400

static struct idem_log silent;
static struct idem_redis_location location;
static struct idem_session_options options;
static struct idem_nodes nodes;

/* A range as a reply: [first, last, [host, port]]. */
struct range {
    redisReply numbers[3];
    redisReply host;
    redisReply master;
    redisReply whole;
    redisReply *of_master[2];
    redisReply *of_whole[3];
};

static struct range ranges[RANGES_MAX];
static redisReply *elements[RANGES_MAX];

static int setup(void **state) {
    (void)state;
    location = (struct idem_redis_location){
        .kind = IDEM_REDIS_CLUSTER,
        .endpoints = {{.host = "10.0.0.1", .port = 7000}},
        .endpoint_count = 1,
    };
    options = (struct idem_session_options){
        .location = &location, .log = &silent, .nodes = &nodes, .epoll_fd = -1};
    return idem_nodes_init(&nodes, &options, 1) == IDEM_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    idem_nodes_fini(&nodes);
    return 0;
}

static void draw(size_t i, long long first, long long last, long long port) {
    struct range *range = &ranges[i];
    const long long values[] = {first, last, port};
    for (size_t n = 0; n < 3; n++) {
        range->numbers[n] =
            (redisReply){.type = REDIS_REPLY_INTEGER, .integer = values[n]};
    }
    range->host = (redisReply){.type = REDIS_REPLY_STRING,
                               .str = (char *)(uintptr_t) "10.0.0.9",
                               .len = strlen("10.0.0.9")};
    range->of_master[0] = &range->host;
    range->of_master[1] = &range->numbers[2];
    range->master = (redisReply){
        .type = REDIS_REPLY_ARRAY, .element = range->of_master, .elements = 2};
    range->of_whole[0] = &range->numbers[0];
    range->of_whole[1] = &range->numbers[1];
    range->of_whole[2] = &range->master;
    range->whole = (redisReply){
        .type = REDIS_REPLY_ARRAY, .element = range->of_whole, .elements = 3};
    elements[i] = &range->whole;
}

static void learn(int type, size_t count) {
    const redisReply map = {.type = type, .element = elements, .elements = count};
    idem_nodes_learn(&nodes, &location.endpoints[0], &map);
}

static size_t owned(void) {
    size_t count = 0;
    for (size_t slot = 0; slot < IDEM_SLOTS; slot++) {
        count += nodes.owner[slot] != 0;
        assert_true(nodes.owner[slot] == 0 ||
                    nodes.sessions[nodes.owner[slot] - 1] != NULL);
    }
    return count;
}

static void more_masters_than_there_is_room_for_leave_slots_without_one(void **state) {
    (void)state;
    for (size_t i = 0; i < RANGES_MAX; i++) {
        draw(i, (long long)i, (long long)i, 1000 + (long long)i);
    }
    learn(REDIS_REPLY_ARRAY, RANGES_MAX);
    assert_int_equal(owned(), IDEM_NODES_MAX - 1); /* the seed has a place as well */
    assert_false(nodes.whole);
}

static void ranges_that_overlap_count_once(void **state) {
    (void)state;
    draw(0, 0, IDEM_SLOTS - 2, 7001);
    draw(1, 0, IDEM_SLOTS - 2, 7002);
    learn(REDIS_REPLY_ARRAY, 2);
    assert_int_equal(owned(), IDEM_SLOTS - 1);
    assert_false(nodes.whole);
    draw(1, IDEM_SLOTS - 1, IDEM_SLOTS - 1, 7002);
    learn(REDIS_REPLY_ARRAY, 2);
    assert_true(nodes.whole);
}

static void ranges_that_make_no_sense_are_passed_over(void **state) {
    (void)state;
    draw(0, 0, 99, 7001);
    draw(1, 100, INT64_MAX, 7001);
    draw(2, -1, 200, 7001);
    draw(3, 300, 200, 7001);
    draw(4, 300, 399, 70000);
    draw(5, 400, 499, 7002);
    learn(REDIS_REPLY_ARRAY, 6);
    assert_int_equal(owned(), 200);
}

static void an_answer_that_is_no_map_changes_nothing(void **state) {
    (void)state;
    draw(0, 0, IDEM_SLOTS - 1, 7001);
    learn(REDIS_REPLY_ARRAY, 1);
    unsigned moves = nodes.moves;
    learn(REDIS_REPLY_ERROR, 0);
    learn(REDIS_REPLY_NIL, 0);
    assert_true(nodes.whole);
    learn(REDIS_REPLY_ARRAY, 0); /* a node that has lost its memory: others may know */
    assert_int_equal(owned(), IDEM_SLOTS);
    assert_int_equal(nodes.moves, moves);
    assert_false(nodes.whole);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    static const struct CMUnitTest tests[] = {
        CASE(more_masters_than_there_is_room_for_leave_slots_without_one),
        CASE(ranges_that_overlap_count_once),
        CASE(ranges_that_make_no_sense_are_passed_over),
        CASE(an_answer_that_is_no_map_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
