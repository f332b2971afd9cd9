/* SPDX-License-Identifier: MIT
 * What an operation on a number makes of what is known of its producer: pure, and the same for every
 * backend. All that a number can be, and what a claim of it is answered:
 *
 *   its epoch is over                    FENCED
 *   claimed, and the lease runs          IN_FLIGHT
 *   claimed, and its holder is dead      TAKEN_OVER: ours now. Number by number: of a dead owner's claims
 *                                        each is in doubt until its own copy comes
 *   given back                           NEW, whatever has been completed after it
 *   seen, or below the window            DONE
 *   not seen, in the window              NEW, once
 *   the next one                         NEW
 *   beyond that: it leaves others out    by the terms: NEW, with skipped; or GAP
 *   of a newer epoch                     NEW, or by the terms where it does not begin with 0; all that was
 *                                        known of the older epoch is forgotten, its open claims included
 *
 * Nothing here moves the mark but a completion, so a claim, of whatever number, takes nothing away from
 * others: a crash after it leaves that one number in doubt and no other one lost. */
#ifndef IDEM_STORE_SEQUENCE_SEQUENCE_H
#define IDEM_STORE_SEQUENCE_SEQUENCE_H

#include "store/sequence/state.h"

/* Each changes the sequence in place and says by *changed whether it is to be written; other codes than
 * IDEM_OK leave *changed false. */

/* IDEM_ERR_FULL: no room for one more open number so far from the others, or, of those that wrap, beyond
 * what 64 bits can count. *answer is all set but for its code. */
IDEM_MUST_USE enum idem_code idem_sequence_claim(struct idem_sequence *sequence,
                                                 const struct idem_claim *claim,
                                                 struct idem_answer *answer,
                                                 bool *changed);

IDEM_MUST_USE enum idem_code
idem_sequence_complete(struct idem_sequence *sequence,
                       const struct idem_completion *completion, bool *changed);

/* IDEM_ERR_FULL: no room to remember it; the claim stays until its lease ends, and is in doubt then. */
IDEM_MUST_USE enum idem_code
idem_sequence_abandon(struct idem_sequence *sequence,
                      const struct idem_abandonment *abandonment, bool *changed);

/* The number as it counts, where the producer starts at 0 again after some bits: the one next to the
 * highest that was claimed, as in RFC 1982. False: 64 bits are used up. */
IDEM_MUST_USE bool idem_sequence_unwrap(const struct idem_sequence *sequence,
                                        const struct idem_number *number,
                                        uint64_t *value);

#endif
