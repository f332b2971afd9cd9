/* SPDX-License-Identifier: MIT
 * The filter of digests: never wrong about what it has learnt, seldom in vain. */
#include "store/embedded/filter.h"

#include "stores.h"

#include <string.h>

static void make(struct idem_filter *filter, size_t room) {
    assert_int_equal(idem_digest_init(NULL), IDEM_OK);
    assert_true(idem_filter_init(filter, room));
}

static void add(struct idem_filter *filter, uint64_t from, uint64_t to) {
    for (uint64_t n = from; n < to; n++) {
        struct idem_digest digest = stores_digest(n);
        idem_filter_add(filter, &digest);
    }
}

static uint64_t excluded(const struct idem_filter *filter, uint64_t from, uint64_t to) {
    uint64_t count = 0;
    for (uint64_t n = from; n < to; n++) {
        struct idem_digest digest = stores_digest(n);
        count += idem_filter_excludes(filter, &digest);
    }
    return count;
}

static void what_was_added_is_never_excluded(void **state) {
    (void)state;
    enum { ROOM = 10000 };
    struct idem_filter filter;
    make(&filter, ROOM);
    for (uint64_t n = 0; n < 4 * (uint64_t)ROOM; n += ROOM) { /* far beyond its room */
        add(&filter, n, n + ROOM);
        assert_int_equal(excluded(&filter, 0, n + ROOM), 0);
    }
    idem_filter_fini(&filter);
}

static void most_of_the_rest_is_excluded(void **state) {
    (void)state;
    enum { ROOM = 100000 };
    struct idem_filter filter;
    make(&filter, ROOM);
    add(&filter, 0, ROOM / 2);
    assert_false(idem_filter_full(&filter));
    assert_true(excluded(&filter, ROOM, 2 * ROOM) > ROOM / 100 * 98);
    add(&filter, ROOM / 2, ROOM);
    assert_true(excluded(&filter, ROOM, 2 * ROOM) > ROOM / 100 * 92);
    idem_filter_fini(&filter);
}

static void an_empty_one_excludes_everything(void **state) {
    (void)state;
    struct idem_filter filter;
    struct idem_digest zero = {{0}};
    make(&filter, 0);
    assert_true(idem_filter_excludes(&filter, &zero));
    assert_int_equal(excluded(&filter, 0, 1000), 1000);
    idem_filter_add(&filter, &zero);
    assert_false(idem_filter_excludes(&filter, &zero));
    idem_filter_fini(&filter);
}

static void without_memory_nothing_is_excluded(void **state) {
    (void)state;
    struct idem_filter none = {.blocks = NULL};
    struct idem_digest digest = stores_digest(1);
    assert_false(idem_filter_excludes(&none, &digest));
    idem_filter_add(&none, &digest);
    assert_int_equal(none.added, 0);
    assert_int_equal(idem_filter_bytes(&none), 0);
}

static void what_is_added_again_takes_no_room(void **state) {
    (void)state;
    struct idem_filter filter;
    make(&filter, 100);
    for (int i = 0; i < 100; i++) {
        add(&filter, 0, 10);
    }
    assert_int_equal(filter.added, 10);
    assert_false(idem_filter_full(&filter));
    add(&filter, 10, 200);
    assert_true(idem_filter_full(&filter));
    idem_filter_fini(&filter);
}

/* First and last block: digests of ones reach the end of the memory, not beyond it. */
static void the_ends_of_the_range_are_within(void **state) {
    (void)state;
    struct idem_filter filter;
    struct idem_digest ones;
    memset(&ones, 0xff, sizeof ones);
    make(&filter, 1000);
    idem_filter_add(&filter, &ones);
    assert_false(idem_filter_excludes(&filter, &ones));
    assert_true(filter.blocks[filter.block_count - 1].words[0] != 0);
    idem_filter_fini(&filter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_never_excluded),
        cmocka_unit_test(most_of_the_rest_is_excluded),
        cmocka_unit_test(an_empty_one_excludes_everything),
        cmocka_unit_test(without_memory_nothing_is_excluded),
        cmocka_unit_test(what_is_added_again_takes_no_room),
        cmocka_unit_test(the_ends_of_the_range_are_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
