/* SPDX-License-Identifier: MIT
 * What a receiver recognised lately: for people who ask what happened to a message. A sample of bounded size
 * in memory, which holds digests and figures, never keys or payloads, and is empty after a restart. */
#ifndef IDEM_SIGHTINGS_H
#define IDEM_SIGHTINGS_H

#include <idem/receiver.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As many as a receiver keeps: half of them duplicates, half of them what needs a person more, so that a
 * flood of duplicates does not wash conflicts away. The latest of each are kept, nearly: one that was seen
 * long ago can outlast one that was seen a little later. */
#define IDEM_SIGHTINGS_MAX 256

/* One key under one rule and for one reason: DUPLICATE, CONFLICT, IN_DOUBT or FENCED. */
struct idem_sighting {
    struct idem_digest digest;
    enum idem_reason reason;
    char rule[IDEM_NAME_MAX + 1];
    int64_t
        first_seen_ms; /* wall clock: of the first copy, as the record has it; 0: not known */
    int64_t last_seen_ms; /* wall clock: of the latest copy that is meant here */
    uint64_t count;       /* of these copies, since it is in the sample */
};

/* Any thread, while the receiver is open; never waits. Fills in up to max of them, those that were seen last
 * first, and returns how many. One that is being written again and again while it is read is left out. */
IDEM_API size_t idem_receiver_sightings(const struct idem_receiver *receiver,
                                        struct idem_sighting *sightings, size_t max);

#ifdef __cplusplus
}
#endif

#endif
