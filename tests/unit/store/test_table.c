/* SPDX-License-Identifier: MIT
 * The hash table of digests: against a naive model, while it grows, shrinks and is
 * swept. */
#include "store/table.h"

#include "stores.h"

#include <stdlib.h>
#include <string.h>

struct item {
    struct idem_table_entry head;
    uint64_t number;
};

static struct item *put(struct idem_table *table, uint64_t n) {
    struct idem_digest digest = stores_digest(n);
    bool fresh = false;
    struct item *item = idem_table_obtain(table, &digest, &fresh);
    assert_non_null(item);
    assert_true(fresh);
    assert_int_equal(item->number, 0);
    item->number = n + 1;
    return item;
}

static struct item *get(const struct idem_table *table, uint64_t n) {
    struct idem_digest digest = stores_digest(n);
    struct item *item = idem_table_find(table, &digest);
    if (item != NULL) {
        assert_true(idem_digest_equal(&item->head.digest, &digest));
        assert_int_equal(item->number, n + 1);
    }
    return item;
}

static void make(struct idem_table *table, uint32_t shards) {
    assert_int_equal(idem_digest_init(NULL), IDEM_OK);
    assert_true(idem_table_init(table, sizeof(struct item), shards));
}

static void what_was_put_in_is_found(void **state) {
    (void)state;
    enum { COUNT = 50000 };
    struct idem_table table;
    make(&table, 16);
    for (uint64_t n = 0; n < COUNT; n++) {
        assert_null(get(&table, n));
        (void)put(&table, n);
    }
    assert_int_equal(table.count, COUNT);
    for (uint64_t n = 0; n < COUNT; n++) {
        assert_non_null(get(&table, n));
    }
    assert_null(get(&table, COUNT));
    idem_table_fini(&table);
}

/* Also where the table is so full that one more would make it grow. */
static void what_is_there_is_obtained_as_it_is(void **state) {
    (void)state;
    struct idem_table table;
    make(&table, 1);
    for (uint64_t n = 0; n < 1000; n++) {
        struct item *item = put(&table, n);
        struct idem_digest digest = stores_digest(n);
        size_t bytes = table.bytes;
        bool fresh = true;
        assert_ptr_equal(idem_table_obtain(&table, &digest, &fresh), item);
        assert_false(fresh);
        assert_int_equal(item->number, n + 1);
        assert_int_equal(table.count, n + 1);
        assert_int_equal(table.bytes, bytes);
    }
    idem_table_fini(&table);
}

static void an_empty_table_finds_nothing(void **state) {
    (void)state;
    struct idem_table table;
    struct idem_table_cursor cursor = {0, 0};
    make(&table, 4);
    assert_null(get(&table, 1));
    assert_null(idem_table_next(&table, &cursor));
    (void)put(&table, 1);
    idem_table_remove(&table, get(&table, 1));
    assert_null(get(&table, 1));
    idem_table_fini(&table);
}

static void a_digest_of_zeroes_is_a_digest(void **state) {
    (void)state;
    struct idem_table table;
    struct idem_digest zero = {{0}};
    make(&table, 4);
    assert_null(idem_table_find(&table, &zero));
    bool fresh = false;
    assert_non_null(idem_table_obtain(&table, &zero, &fresh));
    assert_true(fresh);
    assert_non_null(idem_table_find(&table, &zero));
    assert_int_equal(table.count, 1);
    idem_table_fini(&table);
}

/* Insertions and removals at random, in one small shard, so that clusters form and
 * wrap around. */
static void random_changes_are_as_in_the_model(void **state) {
    (void)state;
    enum { KEYS = 200, STEPS = 200000 };
    bool present[KEYS] = {false};
    struct idem_table table;
    uint64_t random = 88172645463325252U;
    size_t count = 0;
    make(&table, 1);
    for (int i = 0; i < STEPS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t n = (random >> 20) % KEYS;
        struct item *item = get(&table, n);
        assert_int_equal(item != NULL, present[n]);
        if (item != NULL) {
            idem_table_remove(&table, item);
            count--;
        } else {
            (void)put(&table, n);
            count++;
        }
        present[n] = item == NULL;
        assert_int_equal(table.count, count);
        if (i % 1000 == 0) {
            for (uint64_t k = 0; k < KEYS; k++) {
                assert_int_equal(get(&table, k) != NULL, present[k]);
            }
        }
    }
    idem_table_fini(&table);
}

/* Tombstones would fill the table, or make it grow for ever. */
static void a_thousand_turnovers_take_no_more_memory(void **state) {
    (void)state;
    enum { LIVE = 100 };
    struct idem_table table;
    make(&table, 1);
    for (uint64_t n = 0; n < LIVE; n++) {
        (void)put(&table, n);
    }
    size_t bytes = table.bytes;
    for (uint64_t n = LIVE; n < 1000 * LIVE; n++) {
        idem_table_remove(&table, get(&table, n - LIVE));
        (void)put(&table, n);
    }
    assert_int_equal(table.count, LIVE);
    assert_int_equal(table.bytes, bytes);
    idem_table_fini(&table);
}

static void a_walk_meets_each_entry_once(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    int met[COUNT] = {0};
    struct idem_table table;
    struct idem_table_cursor cursor = {0, 0};
    make(&table, 8);
    for (uint64_t n = 0; n < COUNT; n++) {
        (void)put(&table, n);
    }
    const struct item *item;
    while ((item = idem_table_next(&table, &cursor)) != NULL) {
        met[item->number - 1]++;
    }
    for (int n = 0; n < COUNT; n++) {
        assert_int_equal(met[n], 1);
    }
    idem_table_fini(&table);
}

static bool drop_odd(void *arg, void *entry) {
    const struct item *item = entry;
    ++*(size_t *)arg;
    return item->number % 2 == 1;
}

static void sweeping_removes_what_is_to_go_and_nothing_else(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    struct idem_table table;
    struct idem_table_cursor cursor = {0, 0};
    size_t looked = 0;
    make(&table, 8);
    for (uint64_t n = 0; n < COUNT; n++) {
        (void)put(&table, n);
    }
    for (int i = 0; i < 2 * COUNT; i++) {
        idem_table_sweep(&table, &cursor, 4, drop_odd, &looked);
    }
    for (uint64_t n = 0; n < COUNT; n++) {
        assert_int_equal(get(&table, n) != NULL, n % 2 == 1);
    }
    assert_int_equal(table.count, COUNT / 2);
    idem_table_fini(&table);
}

static void one_sweep_looks_at_no_more_than_its_budget(void **state) {
    (void)state;
    struct idem_table table;
    struct idem_table_cursor cursor = {0, 0};
    make(&table, 1);
    for (uint64_t n = 0; n < 100; n++) {
        (void)put(&table, n);
    }
    for (int i = 0; i < 100; i++) {
        size_t looked = 0;
        idem_table_sweep(&table, &cursor, 5, drop_odd, &looked);
        assert_in_range(looked, 0, 5);
    }
    idem_table_fini(&table);
}

static bool drop_all(void *arg, void *entry) {
    (void)arg;
    (void)entry;
    return true;
}

static void sweeping_gives_memory_back(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    struct idem_table table;
    struct idem_table_cursor cursor = {0, 0};
    make(&table, 4);
    size_t empty = table.bytes;
    for (uint64_t n = 0; n < COUNT; n++) {
        (void)put(&table, n);
    }
    assert_true(table.bytes >= COUNT * sizeof(struct item));
    idem_table_sweep(&table, &cursor, 10 * COUNT, drop_all, NULL);
    assert_int_equal(table.count, 0);
    assert_int_equal(table.bytes, empty);
    (void)put(&table, 1);
    assert_non_null(get(&table, 1));
    idem_table_fini(&table);
}

static bool drop_most(void *arg, void *entry) {
    (void)arg;
    return ((const struct item *)entry)->number % 10 != 0;
}

static void a_shrinking_table_keeps_what_is_left(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    struct idem_table table;
    struct idem_table_cursor cursor = {0, 0};
    make(&table, 4);
    for (uint64_t n = 0; n < COUNT; n++) {
        (void)put(&table, n);
    }
    size_t bytes = table.bytes;
    idem_table_sweep(&table, &cursor, 10 * COUNT, drop_most, NULL);
    assert_int_equal(table.count, COUNT / 10);
    assert_true(table.bytes < bytes / 2);
    for (uint64_t n = 0; n < COUNT; n++) {
        assert_int_equal(get(&table, n) != NULL, (n + 1) % 10 == 0);
    }
    idem_table_fini(&table);
}

static void a_cleared_table_is_empty_and_usable(void **state) {
    (void)state;
    struct idem_table table;
    struct idem_table_cursor cursor = {0, 0};
    make(&table, 4);
    for (uint64_t n = 0; n < 1000; n++) {
        (void)put(&table, n);
    }
    size_t bytes = table.bytes;
    idem_table_clear(&table);
    assert_int_equal(table.bytes, bytes); /* it was full: the next round needs as much */
    assert_int_equal(table.count, 0);
    assert_null(idem_table_next(&table, &cursor));
    for (uint64_t n = 0; n < 8; n++) {
        assert_null(get(&table, n));
        (void)put(&table, n);
    }
    idem_table_clear(&table);
    assert_true(table.bytes < bytes); /* it was nearly empty */
    idem_table_fini(&table);
}

/* At 48 bytes an entry: no more than 96 in all, half of them free, while growing by a
 * half. */
static void memory_stays_in_proportion(void **state) {
    (void)state;
    struct idem_table table;
    make(&table, 16);
    for (uint64_t n = 0; n < 100000; n++) {
        (void)put(&table, n);
        if (n >= 10000 && n % 1000 == 0) {
            assert_true(table.bytes < 2 * sizeof(struct item) * table.count + 4096);
        }
    }
    idem_table_fini(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_in_is_found),
        cmocka_unit_test(what_is_there_is_obtained_as_it_is),
        cmocka_unit_test(an_empty_table_finds_nothing),
        cmocka_unit_test(a_digest_of_zeroes_is_a_digest),
        cmocka_unit_test(random_changes_are_as_in_the_model),
        cmocka_unit_test(a_thousand_turnovers_take_no_more_memory),
        cmocka_unit_test(a_walk_meets_each_entry_once),
        cmocka_unit_test(sweeping_removes_what_is_to_go_and_nothing_else),
        cmocka_unit_test(one_sweep_looks_at_no_more_than_its_budget),
        cmocka_unit_test(sweeping_gives_memory_back),
        cmocka_unit_test(a_shrinking_table_keeps_what_is_left),
        cmocka_unit_test(a_cleared_table_is_empty_and_usable),
        cmocka_unit_test(memory_stays_in_proportion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
