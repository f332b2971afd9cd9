/* SPDX-License-Identifier: MIT
 * What is known of one producer: the state of a sequence record, and its bytes.
 *
 * A state is bounded, however many numbers there are:
 *
 *   mark      the highest number that was delivered for certain. It moves when a number is completed, and
 *             only then.
 *   seen      a bit for each number of the window, mark - window < n <= mark: whether it was delivered.
 *             What is at or below the mark and outside the window counts as delivered.
 *   groups    numbers that are neither: claimed and not settled yet, or given back and not come again.
 *             They are kept apart from mark and window, which move on without them: a number that is
 *             open stays open, whatever is completed after it.
 *   top       the highest number that was ever claimed in this epoch: what comes next is top + 1.
 *
 * A group stands for claims that one owner made within a quarter of the lease: one bit for each number, and
 * one end of their leases for all, that of the newest. So a thousand numbers in flight take some 170
 * bytes, a number that is completed needs no new room, and no claim of a dead owner is kept out for more
 * than a quarter longer than its lease.
 *
 * Version 1, little endian, no padding:
 *
 *   offset  bytes
 *        0      1  flags: 1 there is a mark, 2 there is a top
 *        1      1  number of groups
 *        2      2  window
 *        4      8  epoch
 *       12      8  mark
 *       20      8  top
 *       28      6  gap_since_ms
 *       34         seen: window / 8 bytes, rounded up, with a mark only; bit i stands for mark - i
 *                  groups
 *
 *   group, 0    1  kind (0 claimed, 1 given back)
 *        1      2  bytes of bits
 *        3      8  owner.instance       19      6  opened_ms       31      8  first
 *       11      8  owner.incarnation    25      6  until_ms        39         bits
 *
 * To change it, see record.h: the record around it carries the version. */
#ifndef IDEM_STORE_SEQUENCE_STATE_H
#define IDEM_STORE_SEQUENCE_STATE_H

#include <idem/store.h>

/* Groups that claims may open, and those that only giving back may: what was claimed must be able to end. */
#define IDEM_GROUPS_MAX          16
#define IDEM_GROUPS_FOR_CLAIMS   12
#define IDEM_GROUP_BYTES_MAX     256
#define IDEM_GROUP_NUMBERS_MAX   (8 * IDEM_GROUP_BYTES_MAX)
#define IDEM_SEQUENCE_SIZE_FIXED 34
#define IDEM_GROUP_SIZE_FIXED    39
#define IDEM_SEQUENCE_SIZE_MAX                                                           \
    (IDEM_SEQUENCE_SIZE_FIXED + IDEM_WINDOW_MAX / 8 +                                    \
     IDEM_GROUPS_MAX * (IDEM_GROUP_SIZE_FIXED + IDEM_GROUP_BYTES_MAX))

_Static_assert(IDEM_SEQUENCE_SIZE_MAX <= IDEM_SEQUENCE_STATE_MAX, "told to everybody");

struct idem_group_of_numbers {
    bool given_back;         /* the owner means nothing then */
    struct idem_owner owner; /* who claimed them */
    int64_t opened_ms;       /* the first claim of them */
    int64_t until_ms; /* their leases' end; given back: of the claims that they were */
    uint64_t first;   /* of bit 0; a multiple of 8 */
    size_t size;      /* bytes; the first one and the last one are not 0 */
    uint8_t bits[IDEM_GROUP_BYTES_MAX];
};

struct idem_sequence {
    bool known; /* false: nothing is known of the producer; all else is zero */
    uint64_t epoch;
    bool has_mark;
    bool has_top;
    uint64_t mark;
    uint64_t top;
    /* When the first number came that is held for others; 0: none is. */
    int64_t gap_since_ms;
    unsigned window;
    uint64_t seen[IDEM_WINDOW_MAX / 64];
    size_t group_count;
    struct idem_group_of_numbers groups[IDEM_GROUPS_MAX];
};

/* As new: what of the struct counts is zeroed, which is less than all of it. */
void idem_sequence_clear(struct idem_sequence *sequence);

/* Writes at most IDEM_SEQUENCE_SIZE_MAX bytes; returns how many. The times must fit 48 bits. */
size_t idem_sequence_encode(uint8_t *out, const struct idem_sequence *sequence);

/* The bytes may come from anywhere. False: they are no state; then it is as new. */
IDEM_MUST_USE bool idem_sequence_decode(struct idem_sequence *sequence,
                                        struct idem_span bytes);

#endif
