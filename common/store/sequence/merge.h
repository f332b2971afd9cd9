/* SPDX-License-Identifier: MIT
 * What two stores know of one producer, in one state. Pure. */
#ifndef IDEM_STORE_SEQUENCE_MERGE_H
#define IDEM_STORE_SEQUENCE_MERGE_H

#include "store/sequence/state.h"

/* Of two epochs the later one counts, whole. Within an epoch a number that either of them knows to be
 * delivered is delivered, and one that either knows to be open stays open, unless the other knows that it was
 * delivered. What is below both windows counts as delivered. Where more numbers are open than there is room
 * for, those of other that find none are judged by mark and window. Changes sequence. */
void idem_sequence_merge(struct idem_sequence *sequence,
                         const struct idem_sequence *other);

#endif
