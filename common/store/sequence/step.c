/* SPDX-License-Identifier: MIT
 * What an operation on a number makes of its producer's record. */
#include "store/sequence/step.h"

#include "store/sequence/groups.h"
#include "store/sequence/merge.h"
#include "store/sequence/sequence.h"
#include "store/step.h"

/* A producer that has been idle for its ttl is unknown again. */
static enum idem_code read_found(struct idem_number_step *step,
                                 const struct idem_record *found, int64_t now_ms) {
    step->changed = false;
    if (!idem_record_live(found, now_ms)) {
        idem_sequence_clear(&step->sequence);
        return IDEM_OK;
    }
    return found->state == IDEM_RECORD_SEQUENCE &&
                   idem_sequence_decode(&step->sequence, found->result)
               ? IDEM_OK
               : IDEM_ERR_FORMAT;
}

/* The record lives until the producer has been idle for the ttl; a shorter one takes nothing back. */
static void write_next(struct idem_number_step *step, const struct idem_record *found,
                       int64_t now_ms, int64_t ttl_ms) {
    bool live = idem_record_live(found, now_ms);
    step->next = (struct idem_record){
        .state = IDEM_RECORD_SEQUENCE,
        .first_seen_ms = live ? found->first_seen_ms : now_ms,
        .until_ms =
            live && found->until_ms > now_ms + ttl_ms ? found->until_ms : now_ms + ttl_ms,
    };
    step->next.result =
        idem_span_of(step->bytes, idem_sequence_encode(step->bytes, &step->sequence));
}

enum idem_code idem_number_claim(struct idem_number_step *step,
                                 const struct idem_record *found,
                                 const struct idem_claim *claim,
                                 struct idem_answer *answer) {
    *answer = (struct idem_answer){.code = read_found(step, found, claim->now_ms)};
    if (answer->code != IDEM_OK) {
        return answer->code;
    }
    enum idem_code code =
        idem_sequence_claim(&step->sequence, claim, answer, &step->changed);
    answer->code = code;
    if (answer->outcome == IDEM_CLAIM_DONE || answer->outcome == IDEM_CLAIM_FENCED) {
        answer->record.until_ms = found->until_ms;
    }
    if (step->changed) {
        write_next(step, found, claim->now_ms, claim->terms.ttl_ms);
    }
    return code;
}

enum idem_code idem_number_complete(struct idem_number_step *step,
                                    const struct idem_record *found,
                                    const struct idem_completion *completion) {
    enum idem_code code = read_found(step, found, completion->now_ms);
    if (code == IDEM_OK) {
        code = idem_sequence_complete(&step->sequence, completion, &step->changed);
    }
    if (step->changed) {
        write_next(step, found, completion->now_ms, completion->ttl_ms);
    }
    return code;
}

/* Nobody has told the time: what is found counts as live, and its end stays. */
enum idem_code idem_number_abandon(struct idem_number_step *step,
                                   const struct idem_record *found,
                                   const struct idem_abandonment *abandonment) {
    enum idem_code code = read_found(step, found, found->until_ms - 1);
    if (code == IDEM_OK) {
        code = idem_sequence_abandon(&step->sequence, abandonment, &step->changed);
    }
    if (step->changed) {
        write_next(step, found, found->until_ms - 1, 1);
    }
    return code;
}

/* The earlier of two beginnings and the later of two ends; false: that is what is found. */
static bool join(struct idem_number_step *step, const struct idem_record *found,
                 const struct idem_record *given) {
    bool earlier = given->first_seen_ms < found->first_seen_ms;
    bool later = given->until_ms > found->until_ms;
    step->next = (struct idem_record){
        .state = IDEM_RECORD_SEQUENCE,
        .first_seen_ms = earlier ? given->first_seen_ms : found->first_seen_ms,
        .until_ms = later ? given->until_ms : found->until_ms,
        .result =
            idem_span_of(step->bytes, idem_sequence_encode(step->bytes, &step->sequence)),
    };
    return earlier || later || !idem_span_equal(step->next.result, found->result);
}

enum idem_code idem_number_restore(struct idem_number_step *step,
                                   const struct idem_record *found,
                                   const struct idem_restoration *restoration) {
    const struct idem_record *given = &restoration->record;
    struct idem_sequence other;
    step->changed = false;
    step->next = *given;
    if (!idem_sequence_decode(&other, given->result)) {
        return IDEM_ERR_INVALID;
    }
    if (idem_record_expired(given->state, given->until_ms, restoration->now_ms)) {
        return IDEM_ERR_NOT_FOUND;
    }
    enum idem_code code = read_found(step, found, restoration->now_ms);
    if (code != IDEM_OK) {
        return code;
    }
    if (!step->sequence.known) {
        step->changed = true;
        return IDEM_OK;
    }
    idem_sequence_merge(&step->sequence, &other);
    step->changed = join(step, found, given);
    return step->changed ? IDEM_OK : IDEM_ERR_NOT_OWNER;
}

enum idem_code idem_sequence_preview(const struct idem_record *record,
                                     const struct idem_claim *claim,
                                     struct idem_answer *answer,
                                     struct idem_sequence_report *report) {
    struct idem_number_step step;
    enum idem_code code = read_found(&step, record, claim->now_ms);
    *answer = (struct idem_answer){.code = code};
    *report = (struct idem_sequence_report){.epoch = 0};
    if (code != IDEM_OK) {
        return code;
    }
    *report = (struct idem_sequence_report){
        .epoch = step.sequence.epoch,
        .has_mark = step.sequence.has_mark,
        .mark = step.sequence.mark,
        .has_top = step.sequence.has_top,
        .top = step.sequence.top,
        .claimed = idem_groups_count(&step.sequence, false),
        .given_back = idem_groups_count(&step.sequence, true),
    };
    return idem_number_claim(&step, record, claim, answer);
}
