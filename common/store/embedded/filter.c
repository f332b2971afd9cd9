/* SPDX-License-Identifier: MIT
 * The blocked Bloom filter. */
#include "store/embedded/filter.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_MOST (64U * 1024 * 1024)
#define BIT_OF     5 /* bits of a digest that choose one of a word's 32 */

static struct idem_filter_block *block_of(const struct idem_filter *filter,
                                          const struct idem_digest *digest) {
    uint32_t high = 0;
    for (size_t i = 0; i < sizeof high; i++) {
        high = high << 8 | digest->bytes[i];
    }
    return &filter->blocks[(uint64_t)high * filter->block_count >> 32];
}

static void bits_of(const struct idem_digest *digest, struct idem_filter_block *bits) {
    uint64_t choice;
    memcpy(&choice, digest->bytes + IDEM_DIGEST_SIZE - sizeof choice, sizeof choice);
    for (size_t i = 0; i < IDEM_FILTER_WORDS; i++) {
        bits->words[i] = UINT32_C(1) << (choice & 31);
        choice >>= BIT_OF;
    }
}

/* One thread adds while another one looks. In which order it sees what does not matter
 * (filter.h); that each word is read and written as a whole does. */
static uint32_t word_of(const uint32_t *word) {
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* Bits of wanted that are missing in block. */
static uint32_t missing(const struct idem_filter_block *block,
                        const struct idem_filter_block *wanted) {
    uint32_t bits = 0;
    for (size_t i = 0; i < IDEM_FILTER_WORDS; i++) {
        bits |= wanted->words[i] & ~word_of(&block->words[i]);
    }
    return bits;
}

bool idem_filter_init(struct idem_filter *filter, size_t room) {
    size_t bytes = room < BYTES_MOST ? room : BYTES_MOST;
    uint32_t count = (uint32_t)(bytes / sizeof *filter->blocks) + 1;
    *filter = (struct idem_filter){
        .blocks = calloc(count, sizeof *filter->blocks),
        .block_count = count,
        .room = room,
    };
    return filter->blocks != NULL;
}

void idem_filter_fini(struct idem_filter *filter) {
    free(filter->blocks);
    *filter = (struct idem_filter){.blocks = NULL};
}

void idem_filter_add(struct idem_filter *filter, const struct idem_digest *digest) {
    struct idem_filter_block bits;
    if (filter->blocks == NULL) {
        return;
    }
    struct idem_filter_block *block = block_of(filter, digest);
    bits_of(digest, &bits);
    if (missing(block, &bits) == 0) {
        return;
    }
    for (size_t i = 0; i < IDEM_FILTER_WORDS; i++) {
        uint32_t word = block->words[i] | bits.words[i];
        __atomic_store_n(&block->words[i], word, __ATOMIC_RELAXED);
    }
    filter->added++;
}

bool idem_filter_excludes(const struct idem_filter *filter,
                          const struct idem_digest *digest) {
    struct idem_filter_block bits;
    if (filter->blocks == NULL) {
        return false;
    }
    bits_of(digest, &bits);
    return missing(block_of(filter, digest), &bits) != 0;
}

void idem_filter_fetch(const struct idem_filter *filter,
                       const struct idem_digest *digest) {
    if (filter->blocks != NULL) {
        __builtin_prefetch(block_of(filter, digest));
    }
}

bool idem_filter_full(const struct idem_filter *filter) {
    return filter->added >= filter->room;
}

size_t idem_filter_bytes(const struct idem_filter *filter) {
    return filter->blocks == NULL ? 0 : filter->block_count * sizeof *filter->blocks;
}
