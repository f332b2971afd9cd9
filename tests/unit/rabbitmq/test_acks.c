/* SPDX-License-Identifier: MIT
 * Acknowledgements in batches, and publishes by number. */
#include "acks.h"
#include "confirms.h"

#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAGS 64

static struct idem_acks acks;
static struct idem_ack_node nodes[TAGS];
static char sent[512]; /* "3* 5 " : multiple up to 3, then 5 alone */
static char told_tags[512];
static bool channel_works;

static int fresh(void **state) {
    (void)state;
    idem_acks_init(&acks);
    memset(nodes, 0, sizeof nodes);
    sent[0] = '\0';
    told_tags[0] = '\0';
    channel_works = true;
    return 0;
}

static bool send_ack(void *arg, uint64_t tag, bool multiple) {
    size_t at = strlen(sent);
    (void)arg;
    (void)snprintf(sent + at, sizeof sent - at, "%u%s ", (unsigned)tag,
                   multiple ? "*" : "");
    return channel_works;
}

static void told(void *arg, struct idem_ack_node *node) {
    size_t at = strlen(told_tags);
    (void)arg;
    (void)snprintf(told_tags + at, sizeof told_tags - at, "%u ", (unsigned)node->tag);
}

static void open_tags(unsigned first, unsigned last) {
    for (unsigned tag = first; tag <= last; tag++) {
        idem_acks_open(&acks, &nodes[tag], tag);
    }
}

static bool flush(void) {
    const struct idem_acks_sink sink = {send_ack, told, NULL};
    sent[0] = '\0';
    told_tags[0] = '\0';
    return idem_acks_flush(&acks, &sink);
}

static void settle(unsigned tag) {
    idem_acks_settle(&acks, &nodes[tag]);
}

static void nothing_settled_sends_nothing(void **state) {
    (void)state;
    open_tags(1, 3);
    assert_true(flush());
    assert_string_equal(sent, "");
}

static void a_run_from_the_front_is_one_multiple(void **state) {
    (void)state;
    open_tags(1, 4);
    settle(2);
    settle(1);
    settle(3);
    assert_true(flush());
    assert_string_equal(sent, "3* ");
    assert_string_equal(told_tags, "1 2 3 ");
}

static void one_alone_is_not_multiple(void **state) {
    (void)state;
    open_tags(1, 2);
    settle(1);
    assert_true(flush());
    assert_string_equal(sent, "1 ");
}

static void beyond_a_gap_each_is_single(void **state) {
    (void)state;
    open_tags(1, 6);
    settle(1);
    settle(2);
    settle(6);
    settle(4);
    assert_true(flush());
    assert_string_equal(sent, "2* 6 4 ");
}

/* A multiple names a delivery that is outstanding; those before it that are acknowledged already are not
 * acknowledged again. */
static void a_gap_that_closes_joins_the_rest(void **state) {
    (void)state;
    open_tags(1, 5);
    settle(2);
    settle(4);
    assert_true(flush());
    assert_string_equal(sent, "2 4 ");
    settle(1);
    settle(3);
    assert_true(flush());
    assert_string_equal(sent, "3* ");
    assert_string_equal(told_tags, "1 3 ");
    settle(5);
    assert_true(flush());
    assert_string_equal(sent, "5 ");
}

static void a_withdrawn_one_is_no_gap(void **state) {
    (void)state;
    open_tags(1, 3);
    idem_acks_withdraw(&acks, &nodes[2]);
    settle(1);
    settle(3);
    assert_true(flush());
    assert_string_equal(sent, "3* ");
}

static void a_broken_channel_leaves_the_rest_as_it_was(void **state) {
    (void)state;
    open_tags(1, 4);
    settle(1);
    settle(3);
    channel_works = false;
    assert_false(flush());
    assert_string_equal(told_tags, "");
    channel_works = true;
    assert_true(flush());
    assert_string_equal(sent, "1 3 ");
}

/* Whatever is settled in whatever order: each delivery is told once, and no acknowledgement covers one
 * that is not settled. */
static void random_orders_cover_each_once(void **state) {
    uint32_t random = 7;
    (void)state;
    for (int run = 0; run < 500; run++) {
        unsigned times[TAGS] = {0};
        (void)fresh(NULL);
        open_tags(1, TAGS - 1);
        for (unsigned left = TAGS - 1; left > 0;) {
            random = random * 1664525u + 1013904223u;
            unsigned tag = 1 + (random >> 16) % (TAGS - 1);
            if (nodes[tag].settled) {
                continue;
            }
            settle(tag);
            left--;
            if (random % 3 == 0 || left == 0) {
                assert_true(flush());
                for (const char *at = told_tags; *at != '\0';) {
                    char *end;
                    unsigned long number = strtoul(at, &end, 10);
                    assert_true(nodes[number].settled);
                    times[number]++;
                    at = end + 1;
                }
            }
        }
        for (unsigned tag = 1; tag < TAGS; tag++) {
            assert_int_equal(times[tag], 1);
        }
        assert_null(acks.first);
        assert_null(acks.settled_first);
    }
}

static struct idem_confirms confirms;
static int items[5000];

static int open_confirms(void **state) {
    (void)state;
    return idem_confirms_init(&confirms) == IDEM_OK ? 0 : -1;
}

static int close_confirms(void **state) {
    (void)state;
    idem_confirms_fini(&confirms);
    return 0;
}

static void add(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(idem_confirms_add(&confirms, &items[confirms.next]), IDEM_OK);
    }
}

static void a_multiple_takes_all_up_to_it_in_order(void **state) {
    (void)state;
    add(4);
    assert_ptr_equal(idem_confirms_take(&confirms, 2, false), &items[2]);
    assert_ptr_equal(idem_confirms_take(&confirms, 3, true), &items[1]);
    assert_ptr_equal(idem_confirms_take(&confirms, 3, true), &items[3]);
    assert_null(idem_confirms_take(&confirms, 3, true));
    assert_int_equal(confirms.open, 1);
}

static void numbers_that_were_never_given_cover_nothing(void **state) {
    (void)state;
    add(2);
    assert_null(idem_confirms_take(&confirms, 0, true));
    assert_null(idem_confirms_take(&confirms, 3, false));
    assert_null(idem_confirms_take(&confirms, 3, true));
    assert_null(idem_confirms_take(&confirms, UINT64_MAX, true));
    assert_ptr_equal(idem_confirms_take(&confirms, 1, false), &items[1]);
    assert_null(idem_confirms_take(&confirms, 1, false));
    assert_int_equal(confirms.open, 1);
}

static void a_late_one_does_not_stop_the_others(void **state) {
    (void)state;
    for (unsigned number = 1; number < 4000; number++) {
        add(1);
        if (number > 1) {
            assert_ptr_equal(idem_confirms_take(&confirms, number, false),
                             &items[number]);
        }
    }
    assert_int_equal(confirms.open, 1);
    assert_ptr_equal(idem_confirms_take(&confirms, 3999, true), &items[1]);
    assert_int_equal(confirms.first, 4000);
}

static void a_lost_channel_gives_them_back_last_first(void **state) {
    (void)state;
    add(4);
    assert_ptr_equal(idem_confirms_take(&confirms, 3, false), &items[3]);
    assert_ptr_equal(idem_confirms_take_last(&confirms), &items[4]);
    assert_ptr_equal(idem_confirms_take_last(&confirms), &items[2]);
    assert_ptr_equal(idem_confirms_take_last(&confirms), &items[1]);
    assert_null(idem_confirms_take_last(&confirms));
    assert_int_equal(confirms.open, 0);
}

static void each_visits_what_is_open(void **state) {
    uint64_t at = 0;
    (void)state;
    add(3);
    assert_ptr_equal(idem_confirms_take(&confirms, 2, false), &items[2]);
    assert_ptr_equal(idem_confirms_each(&confirms, &at), &items[1]);
    assert_ptr_equal(idem_confirms_each(&confirms, &at), &items[3]);
    assert_null(idem_confirms_each(&confirms, &at));
}

int main(void) {
#define TEST(name)    cmocka_unit_test_setup(name, fresh)
#define CONFIRM(name) cmocka_unit_test_setup_teardown(name, open_confirms, close_confirms)
    const struct CMUnitTest tests[] = {
        TEST(nothing_settled_sends_nothing),
        TEST(a_run_from_the_front_is_one_multiple),
        TEST(one_alone_is_not_multiple),
        TEST(beyond_a_gap_each_is_single),
        TEST(a_gap_that_closes_joins_the_rest),
        TEST(a_withdrawn_one_is_no_gap),
        TEST(a_broken_channel_leaves_the_rest_as_it_was),
        TEST(random_orders_cover_each_once),
        CONFIRM(a_multiple_takes_all_up_to_it_in_order),
        CONFIRM(numbers_that_were_never_given_cover_nothing),
        CONFIRM(a_late_one_does_not_stop_the_others),
        CONFIRM(a_lost_channel_gives_them_back_last_first),
        CONFIRM(each_visits_what_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
