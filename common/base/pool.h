/* SPDX-License-Identifier: MIT
 * Blocks of one size that rest between two uses: a thousand operations under way are more than the C library
 * keeps at hand. */
#ifndef IDEM_BASE_POOL_H
#define IDEM_BASE_POOL_H

#include <stddef.h>

struct idem_pool {
    void *resting; /* each begins with a pointer to the next */
    size_t count;
    size_t size; /* of a block, at least that of a pointer */
};

void idem_pool_init(struct idem_pool *pool, size_t size);

/* Frees what rests; blocks in use go back by idem_pool_rest before that. */
void idem_pool_fini(struct idem_pool *pool);

/* A block of zeros; NULL: no memory. */
void *idem_pool_take(struct idem_pool *pool);

/* NULL does nothing. */
void idem_pool_rest(struct idem_pool *pool, void *block);

#endif
