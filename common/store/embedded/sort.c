/* SPDX-License-Identifier: MIT
 * Sorting of digests.
 *
 * They are uniform, so their first bits tell where they belong: dealt out into about as
 * many piles as there are digests, most piles hold one or two. Whoever knows the secret
 * (the default one is public) can search for keys whose digests begin alike; a high pile
 * is sorted as anything else would be. */
#include "store/embedded/sort.h"

#include "base/little.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BITS_MOST 16 /* 65536 piles: their ends stay in the processor's cache */
#define HIGH      16 /* beyond that, comparing each with all before it takes longer */

/* The first half tells nearly all of them apart. */
static int compare(const void *a, const void *b) {
    uint64_t first = idem_big_get(a);
    uint64_t second = idem_big_get(b);
    return first != second ? (first > second) - (first < second)
                           : memcmp(a, b, IDEM_DIGEST_SIZE);
}

static void sort_pile(struct idem_digest *digests, size_t count) {
    if (count > HIGH) {
        qsort(digests, count, sizeof *digests, compare);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct idem_digest digest = digests[i];
        size_t to = i;
        for (; to > 0 && compare(&digests[to - 1], &digest) > 0; to--) {
            digests[to] = digests[to - 1];
        }
        digests[to] = digest;
    }
}

static size_t pile_of(const struct idem_digest *digest, unsigned bits) {
    return (size_t)(idem_big_get(digest->bytes) >> (64 - bits));
}

/* Leaves the piles one behind the other, and in ends where each of them ends. */
static void deal(const struct idem_digest *digests, size_t count, unsigned bits,
                 struct idem_digest *dealt, size_t *ends) {
    size_t start = 0;
    for (size_t i = 0; i < count; i++) {
        ends[pile_of(&digests[i], bits)]++;
    }
    for (size_t pile = 0; pile < (size_t)1 << bits; pile++) {
        size_t height = ends[pile];
        ends[pile] = start;
        start += height;
    }
    for (size_t i = 0; i < count; i++) {
        dealt[ends[pile_of(&digests[i], bits)]++] = digests[i];
    }
}

void idem_digests_sort(struct idem_digest *digests, size_t count) {
    unsigned bits = 1;
    while (bits < BITS_MOST && (size_t)2 << bits <= count) {
        bits++;
    }
    struct idem_digest *dealt = malloc((count + 1) * sizeof *dealt);
    size_t *ends = calloc((size_t)1 << bits, sizeof *ends);
    if (dealt == NULL || ends == NULL) {
        qsort(digests, count, sizeof *digests, compare);
    } else {
        size_t start = 0;
        deal(digests, count, bits, dealt, ends);
        for (size_t pile = 0; pile < (size_t)1 << bits; pile++) {
            sort_pile(dealt + start, ends[pile] - start);
            start = ends[pile];
        }
        memcpy(digests, dealt, count * sizeof *digests);
    }
    free(dealt);
    free(ends);
}
