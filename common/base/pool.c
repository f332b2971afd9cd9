/* SPDX-License-Identifier: MIT
 * Blocks that rest between two uses. */
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

#define RESTING_MOST 2048 /* a burst's memory is given back */

void idem_pool_init(struct idem_pool *pool, size_t size) {
    *pool = (struct idem_pool){.size = size};
}

void idem_pool_fini(struct idem_pool *pool) {
    while (pool->resting != NULL) {
        void *block = pool->resting;
        memcpy(&pool->resting, block, sizeof pool->resting);
        free(block);
    }
    pool->count = 0;
}

void *idem_pool_take(struct idem_pool *pool) {
    void *block = pool->resting;
    if (block == NULL) {
        return calloc(1, pool->size);
    }
    memcpy(&pool->resting, block, sizeof pool->resting);
    pool->count--;
    return memset(block, 0, pool->size);
}

void idem_pool_rest(struct idem_pool *pool, void *block) {
    if (block == NULL || pool->count >= RESTING_MOST) {
        free(block);
        return;
    }
    memcpy(block, &pool->resting, sizeof pool->resting);
    pool->resting = block;
    pool->count++;
}
