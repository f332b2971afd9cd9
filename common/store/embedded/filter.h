/* SPDX-License-Identifier: MIT
 * Which digests are certainly not in the store: most messages bring a new key, and to
 * learn that from tables and a B-tree costs a cache miss for each of them, and faults.
 *
 * A Bloom filter of blocks: all bits of a digest are in one block of half a cache line,
 * a bit in each of its words (F. Putze, P. Sanders, J. Singler: "Cache-, hash- and
 * space-efficient Bloom filters", 2007). Digests are uniform, so their own bits choose
 * block and bits; and blocks follow each other in the order of digests, so that filling
 * it in that order walks through memory. Who knows the secret can find keys whose
 * digests share a block: they are looked up as if there were no filter.
 *
 * Nothing is ever removed from a filter: when it has become too full, the store fills
 * another one (known.h).
 *
 * Threads: one adds, and others may ask meanwhile. What has just been added they may not
 * see yet, until something else orders them: in the store, the mutex under which a group
 * is let go of that held all that was added. */
#ifndef IDEM_STORE_EMBEDDED_FILTER_H
#define IDEM_STORE_EMBEDDED_FILTER_H

#include <idem/digest.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IDEM_FILTER_WORDS 8

struct idem_filter_block {
    uint32_t words[IDEM_FILTER_WORDS];
};

struct idem_filter {
    struct idem_filter_block *blocks; /* NULL: nothing can be excluded */
    uint32_t block_count;
    size_t room;  /* digests that it is meant for */
    size_t added; /* digests that it has learnt */
};

/* An empty one, with a byte for each digest of room: one look-up in a hundred is in vain
 * when it is half full, four when it is full. Beyond 64 MiB it does not grow, and
 * becomes the less useful. False: no memory. */
bool idem_filter_init(struct idem_filter *filter, size_t room);
void idem_filter_fini(struct idem_filter *filter);

void idem_filter_add(struct idem_filter *filter, const struct idem_digest *digest);

/* Has the processor fetch what add and excludes look at. */
void idem_filter_fetch(const struct idem_filter *filter,
                       const struct idem_digest *digest);

/* True: was never added. */
bool idem_filter_excludes(const struct idem_filter *filter,
                          const struct idem_digest *digest);

/* Has learnt as much as it was meant to. */
bool idem_filter_full(const struct idem_filter *filter);

size_t idem_filter_bytes(const struct idem_filter *filter);

#endif
