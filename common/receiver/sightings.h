/* SPDX-License-Identifier: MIT
 * The sample behind idem_receiver_sightings: one thread writes, any thread reads, and nobody waits.
 *
 * Each slot has a version, odd while it is written (a seqlock): a reader that finds it odd, or changed, looks
 * again. All words are atomic and in order of release and acquire, so that there is no race by the
 * standard's letter either; on common processors that costs nothing. */
#ifndef IDEM_RECEIVER_SIGHTINGS_H
#define IDEM_RECEIVER_SIGHTINGS_H

#include "receiver/counters.h"

#include <idem/sightings.h>

#define IDEM_SIGHTING_WAYS 8 /* slots where a digest may stand */
#define IDEM_SIGHTING_SETS (IDEM_SIGHTINGS_MAX / IDEM_SIGHTING_WAYS)

enum idem_sighting_word {
    IDEM_SIGHTING_DIGEST_LOW,
    IDEM_SIGHTING_DIGEST_HIGH,
    IDEM_SIGHTING_REASON,
    IDEM_SIGHTING_ROW, /* the rule's counters, which have its name; 0: the slot is free */
    IDEM_SIGHTING_FIRST_SEEN,
    IDEM_SIGHTING_LAST_SEEN,
    IDEM_SIGHTING_COUNT,
    IDEM_SIGHTING_WORDS
};

struct idem_sighting_slot {
    _Atomic uint64_t version;
    _Atomic uint64_t words[IDEM_SIGHTING_WORDS];
};

/* Zeroed: empty. The first half of the sets is for duplicates, the second for the rest. */
struct idem_sightings {
    struct idem_sighting_slot slots[IDEM_SIGHTINGS_MAX];
};

/* A copy that was decided; what is no repetition is not kept. row must live as long as the sample. */
void idem_sightings_add(struct idem_sightings *sightings,
                        const struct idem_delivery *delivery,
                        const struct idem_counter_row *row, int64_t now_ms);

/* See idem_receiver_sightings. */
size_t idem_sightings_read(const struct idem_sightings *sightings,
                           struct idem_sighting *list, size_t max);

#endif
