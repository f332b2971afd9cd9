/* SPDX-License-Identifier: MIT
 * What an operation makes of a record: pure, and the same for every backend that holds
 * records itself. */
#ifndef IDEM_STORE_STEP_H
#define IDEM_STORE_STEP_H

#include <idem/store.h>

static inline bool idem_record_live(const struct idem_record *record, int64_t now_ms) {
    return record->state != IDEM_RECORD_NONE && now_ms < record->until_ms;
}

/* When purging may remove a record of this state and end: see idem_record_expired. */
int64_t idem_record_expiry(enum idem_record_state state, int64_t until_ms);

/* *next is the record to write with NEW and TAKEN_OVER, untouched otherwise. found:
 * state NONE where nothing is recorded. */
enum idem_claim_outcome idem_step_claim(struct idem_record *next,
                                        const struct idem_record *found,
                                        const struct idem_claim *claim);

/* Until when a record that a claim has found DONE is to be kept: its own end, or a later one where the
 * claim extends it. Another fingerprint is another message: it extends nothing. */
int64_t idem_step_extended(const struct idem_record *found,
                           const struct idem_claim *claim);

/* IDEM_OK: *changed says whether *next is to be written (a repetition changes
 * nothing, unless it brings the first result). The result in *next is borrowed from the completion. NOT_OWNER, NOT_FOUND:
 * nothing is to be written. */
IDEM_MUST_USE enum idem_code idem_step_complete(struct idem_record *next, bool *changed,
                                                const struct idem_record *found,
                                                const struct idem_completion *completion);

/* IDEM_OK: remove the record. NOT_OWNER, NOT_FOUND: leave it. */
IDEM_MUST_USE enum idem_code
idem_step_abandon(const struct idem_record *found,
                  const struct idem_abandonment *abandonment);

/* A record that comes from another store meets what is found here. Who knows more:
 *
 *   found         given         kept
 *   none, expired any           given
 *   pending       done          given: its delivery is certain
 *   done          pending       found
 *   pending, live pending       found: its holder is about to settle it
 *   pending       pending       the one whose lease ends later
 *   done          done          the one that ends later
 *   sequence      sequence      both: see sequence/merge.h
 *
 * IDEM_OK: *next is to be written; its result is borrowed from what was given, never from what was found.
 * NOT_OWNER: what is found stays as it is. Keys and producers never share a digest: FORMAT where they do.
 * Sequences are idem_number_restore's. */
IDEM_MUST_USE enum idem_code
idem_step_restore(struct idem_record *next, const struct idem_record *found,
                  const struct idem_restoration *restoration);

#endif
