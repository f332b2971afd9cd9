/* SPDX-License-Identifier: MIT
 * What an operation on a number makes of its producer's record: step.h for records of state SEQUENCE. */
#ifndef IDEM_STORE_SEQUENCE_STEP_H
#define IDEM_STORE_SEQUENCE_STEP_H

#include "store/sequence/state.h"

/* The caller's storage; large, and not to be initialised. */
struct idem_number_step {
    bool changed;
    struct idem_record next; /* to be written where changed; its state is in bytes */
    struct idem_sequence sequence;
    uint8_t bytes[IDEM_SEQUENCE_SIZE_MAX];
};

/* found: state NONE where nothing is recorded. IDEM_ERR_FORMAT: it is no sequence; else as sequence.h says.
 * Whatever the code, *answer is set, code included. */
IDEM_MUST_USE enum idem_code idem_number_claim(struct idem_number_step *step,
                                               const struct idem_record *found,
                                               const struct idem_claim *claim,
                                               struct idem_answer *answer);
IDEM_MUST_USE enum idem_code
idem_number_complete(struct idem_number_step *step, const struct idem_record *found,
                     const struct idem_completion *completion);
IDEM_MUST_USE enum idem_code
idem_number_abandon(struct idem_number_step *step, const struct idem_record *found,
                    const struct idem_abandonment *abandonment);

/* A sequence that comes from another store joins what is found: see merge.h. The codes of
 * idem_step_restore; IDEM_ERR_INVALID: what is given is no sequence. */
IDEM_MUST_USE enum idem_code
idem_number_restore(struct idem_number_step *step, const struct idem_record *found,
                    const struct idem_restoration *restoration);

#endif
