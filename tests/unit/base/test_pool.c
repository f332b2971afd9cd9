/* SPDX-License-Identifier: MIT
 * Blocks that rest between two uses. */
#include "testing.h"

#include "base/pool.h"

#include <stdint.h>
#include <string.h>

enum { SIZE = 100, MANY = 5000 };

static void a_block_that_has_rested_is_used_again_and_is_zero(void **state) {
    static const uint8_t zero[SIZE];
    struct idem_pool pool;
    (void)state;
    idem_pool_init(&pool, SIZE);
    void *first = idem_pool_take(&pool);
    assert_memory_equal(first, zero, SIZE);
    memset(first, 0xff, SIZE);
    idem_pool_rest(&pool, first);
    void *second = idem_pool_take(&pool);
    assert_ptr_equal(second, first);
    assert_memory_equal(second, zero, SIZE);
    idem_pool_rest(&pool, second);
    idem_pool_fini(&pool);
    assert_null(pool.resting);
}

static void a_bursts_blocks_are_given_back(void **state) {
    static void *blocks[MANY];
    struct idem_pool pool;
    (void)state;
    idem_pool_init(&pool, SIZE);
    for (size_t i = 0; i < MANY; i++) {
        blocks[i] = idem_pool_take(&pool);
        assert_non_null(blocks[i]);
    }
    for (size_t i = 0; i < MANY; i++) {
        idem_pool_rest(&pool, blocks[i]);
    }
    assert_true(pool.count > 0 && pool.count < MANY);
    idem_pool_rest(&pool, NULL);
    idem_pool_fini(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_that_has_rested_is_used_again_and_is_zero),
        cmocka_unit_test(a_bursts_blocks_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
