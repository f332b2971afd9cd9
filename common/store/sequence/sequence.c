/* SPDX-License-Identifier: MIT
 * What an operation on a number makes of what is known of its producer. */
#include "store/sequence/sequence.h"

#include "store/sequence/groups.h"
#include "store/sequence/window.h"

/* A claim on its way through the cases. */
struct attempt {
    struct idem_sequence *sequence;
    const struct idem_claim *claim;
    struct idem_answer *answer;
    uint64_t value; /* of the number, unwrapped */
    bool fresh;     /* nothing is known of the producer in this epoch */
    bool changed;
};

static bool same_owner(const struct idem_owner *a, const struct idem_owner *b) {
    return a->instance == b->instance && a->incarnation == b->incarnation;
}

bool idem_sequence_unwrap(const struct idem_sequence *sequence,
                          const struct idem_number *number, uint64_t *value) {
    if (number->wrap == 0) {
        *value = number->value;
        return true;
    }
    const uint64_t round = UINT64_C(1) << number->wrap;
    bool fresh =
        !sequence->known || number->epoch > sequence->epoch || !sequence->has_top;
    if (fresh) {
        *value = round + number->value; /* a round below it, for numbers that are late */
        return true;
    }
    *value = sequence->top - sequence->top % round + number->value;
    if (*value > sequence->top && *value - sequence->top > round / 2 && *value >= round) {
        *value -= round;
    } else if (*value < sequence->top && sequence->top - *value >= round / 2) {
        *value += round;
        return *value >= round;
    }
    return true;
}

static void start_epoch(struct attempt *attempt) {
    struct idem_sequence *sequence = attempt->sequence;
    if (attempt->fresh) {
        idem_sequence_clear(sequence);
        sequence->known = true;
        sequence->epoch = attempt->claim->number.epoch;
        sequence->window = attempt->claim->number.window;
        attempt->fresh = false;
    }
}

static enum idem_code answer_as(struct attempt *attempt, enum idem_claim_outcome outcome,
                                enum idem_record_state state) {
    attempt->answer->outcome = outcome;
    attempt->answer->record.state = state;
    return IDEM_OK;
}

/* The number is ours now, whatever it was before. */
static enum idem_code take(struct attempt *attempt, enum idem_claim_outcome outcome,
                           enum idem_record_state state) {
    struct idem_sequence *sequence = attempt->sequence;
    const struct idem_claim *claim = attempt->claim;
    start_epoch(attempt);
    if (!idem_groups_claim(sequence, attempt->value, &claim->owner, claim->now_ms,
                           claim->lease_ms)) {
        return IDEM_ERR_FULL;
    }
    if (sequence->window != claim->number.window) {
        idem_window_resize(sequence, claim->number.window);
    }
    if (!sequence->has_top || attempt->value > sequence->top) {
        sequence->has_top = true;
        sequence->top = attempt->value;
        sequence->gap_since_ms = 0;
    }
    attempt->changed = true;
    return answer_as(attempt, outcome, state);
}

/* An owner with the claimer's instance and another incarnation is the claimer itself before a crash. */
static bool is_dead(const struct idem_group_of_numbers *group,
                    const struct idem_claim *claim) {
    bool left_by_ourselves = group->owner.instance == claim->owner.instance &&
                             group->owner.incarnation != claim->owner.incarnation;
    return left_by_ourselves || claim->now_ms >= group->until_ms;
}

static enum idem_code claim_pending(struct attempt *attempt,
                                    const struct idem_group_of_numbers *group) {
    struct idem_record *record = &attempt->answer->record;
    record->owner = group->owner;
    record->first_seen_ms = group->opened_ms;
    record->until_ms = group->until_ms;
    return is_dead(group, attempt->claim)
               ? take(attempt, IDEM_CLAIM_TAKEN_OVER, IDEM_RECORD_PENDING)
               : answer_as(attempt, IDEM_CLAIM_IN_FLIGHT, IDEM_RECORD_PENDING);
}

/* How many numbers it leaves out that were never claimed; 0: none, or it is not the newest. */
static uint64_t skipped_by(const struct attempt *attempt) {
    const struct idem_sequence *sequence = attempt->sequence;
    if (attempt->fresh || !sequence->has_top) {
        return attempt->claim->terms.require_zero ? attempt->claim->number.value : 0;
    }
    return attempt->value > sequence->top ? attempt->value - sequence->top - 1 : 0;
}

/* Whether the number has to wait for those that it leaves out. The first one that has to starts the clock,
 * for all that wait: in the record, so that no program's restart starts it again. */
static bool waits(struct attempt *attempt) {
    const struct idem_sequence_terms *terms = &attempt->claim->terms;
    int64_t now_ms = attempt->claim->now_ms;
    int64_t since_ms = attempt->fresh ? 0 : attempt->sequence->gap_since_ms;
    bool running = since_ms > 0 && since_ms <= now_ms;
    if (attempt->answer->skipped > terms->hold_numbers ||
        (running && now_ms - since_ms >= terms->hold_ms)) {
        return false;
    }
    if (!running) {
        start_epoch(attempt);
        attempt->sequence->gap_since_ms = now_ms;
        attempt->changed = true;
    }
    attempt->answer->record.first_seen_ms = attempt->sequence->gap_since_ms;
    attempt->answer->record.until_ms = attempt->sequence->gap_since_ms + terms->hold_ms;
    return true;
}

static enum idem_code claim_new(struct attempt *attempt) {
    uint64_t skipped = skipped_by(attempt);
    attempt->answer->skipped = skipped;
    if (skipped > 0) {
        switch (attempt->claim->terms.on_gap) {
        case IDEM_GAP_ACCEPT:
            break;
        case IDEM_GAP_HOLD:
            if (waits(attempt)) {
                return answer_as(attempt, IDEM_CLAIM_GAP, IDEM_RECORD_SEQUENCE);
            }
            break;
        case IDEM_GAP_REJECT:
            return answer_as(attempt, IDEM_CLAIM_GAP, IDEM_RECORD_SEQUENCE);
        }
    }
    return take(attempt, IDEM_CLAIM_NEW, IDEM_RECORD_NONE);
}

static enum idem_code claim_known(struct attempt *attempt) {
    struct idem_sequence *sequence = attempt->sequence;
    const struct idem_group_of_numbers *group =
        idem_groups_find(sequence, attempt->value, false);
    if (group != NULL) {
        return claim_pending(attempt, group);
    }
    if (idem_groups_find(sequence, attempt->value, true) != NULL) {
        return take(attempt, IDEM_CLAIM_NEW, IDEM_RECORD_NONE);
    }
    if (idem_window_done(sequence, attempt->value)) {
        return answer_as(attempt, IDEM_CLAIM_DONE, IDEM_RECORD_DONE);
    }
    return claim_new(attempt);
}

enum idem_code idem_sequence_claim(struct idem_sequence *sequence,
                                   const struct idem_claim *claim,
                                   struct idem_answer *answer, bool *changed) {
    struct attempt attempt = {.sequence = sequence, .claim = claim, .answer = answer};
    enum idem_code code = IDEM_OK;
    *answer = (struct idem_answer){.outcome = IDEM_CLAIM_FENCED};
    *changed = false;
    if (sequence->known && claim->number.epoch < sequence->epoch) {
        return answer_as(&attempt, IDEM_CLAIM_FENCED, IDEM_RECORD_SEQUENCE);
    }
    attempt.fresh = !sequence->known || claim->number.epoch > sequence->epoch;
    if (!idem_sequence_unwrap(sequence, &claim->number, &attempt.value)) {
        return IDEM_ERR_FULL;
    }
    code = attempt.fresh ? claim_new(&attempt) : claim_known(&attempt);
    *changed = code == IDEM_OK && attempt.changed;
    return code;
}

/* The claim of the number; or NULL, and what an operation that needs one has to answer. */
static struct idem_group_of_numbers *
find_claim(struct idem_sequence *sequence, uint64_t value, const struct idem_owner *owner,
           enum idem_code if_done, enum idem_code *code) {
    struct idem_group_of_numbers *group = idem_groups_find(sequence, value, false);
    if (group != NULL) {
        *code = same_owner(&group->owner, owner) ? IDEM_OK : IDEM_ERR_NOT_OWNER;
        return *code == IDEM_OK ? group : NULL;
    }
    bool done = idem_groups_find(sequence, value, true) == NULL &&
                idem_window_done(sequence, value);
    *code = done ? if_done : IDEM_ERR_NOT_FOUND;
    return NULL;
}

enum idem_code idem_sequence_complete(struct idem_sequence *sequence,
                                      const struct idem_completion *completion,
                                      bool *changed) {
    uint64_t value = 0;
    enum idem_code code = IDEM_ERR_NOT_FOUND;
    *changed = false;
    if (!sequence->known || completion->number.epoch > sequence->epoch) {
        return IDEM_ERR_NOT_FOUND;
    }
    if (completion->number.epoch < sequence->epoch) {
        return IDEM_OK; /* delivered, and every copy of it is fenced */
    }
    if (!idem_sequence_unwrap(sequence, &completion->number, &value)) {
        return IDEM_ERR_NOT_FOUND;
    }
    struct idem_group_of_numbers *group =
        find_claim(sequence, value, &completion->owner, IDEM_OK, &code);
    if (group != NULL) {
        idem_groups_remove(sequence, group, value);
        idem_window_set(sequence, value);
        *changed = true;
    }
    return code;
}

enum idem_code idem_sequence_abandon(struct idem_sequence *sequence,
                                     const struct idem_abandonment *abandonment,
                                     bool *changed) {
    uint64_t value = 0;
    enum idem_code code = IDEM_ERR_NOT_FOUND;
    *changed = false;
    if (!sequence->known || abandonment->number.epoch != sequence->epoch ||
        !idem_sequence_unwrap(sequence, &abandonment->number, &value)) {
        return IDEM_ERR_NOT_FOUND;
    }
    const struct idem_group_of_numbers *group =
        find_claim(sequence, value, &abandonment->owner, IDEM_ERR_NOT_OWNER, &code);
    if (group != NULL) {
        *changed = idem_groups_give_back(sequence, value, group->until_ms);
        code = *changed ? IDEM_OK : IDEM_ERR_FULL;
    }
    return code;
}
