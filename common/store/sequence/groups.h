/* SPDX-License-Identifier: MIT
 * The open numbers of a sequence: claimed and not settled, or given back and not come again. Pure. */
#ifndef IDEM_STORE_SEQUENCE_GROUPS_H
#define IDEM_STORE_SEQUENCE_GROUPS_H

#include "store/sequence/state.h"

/* The group that holds the number; NULL: none does. */
struct idem_group_of_numbers *idem_groups_find(struct idem_sequence *sequence,
                                               uint64_t number, bool given_back);

/* Puts a number, from whichever group it may be in, into one of the owner's, whose lease lasts lease_ms
 * from now at least. Where that needs a group more than there may be, those make room that nobody has
 * touched for long. False: there is none, and the number is where it was. Groups may have moved. */
IDEM_MUST_USE bool idem_groups_claim(struct idem_sequence *sequence, uint64_t number,
                                     const struct idem_owner *owner, int64_t now_ms,
                                     int64_t lease_ms);

/* The same, among those given back; until_ms is of the claim that it was. */
IDEM_MUST_USE bool idem_groups_give_back(struct idem_sequence *sequence, uint64_t number,
                                         int64_t until_ms);

/* Takes a number out of the group that holds it. Groups may have moved. */
void idem_groups_remove(struct idem_sequence *sequence,
                        struct idem_group_of_numbers *group, uint64_t number);

/* How many numbers are claimed, or given back. */
size_t idem_groups_count(const struct idem_sequence *sequence, bool given_back);

#endif
