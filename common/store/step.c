/* SPDX-License-Identifier: MIT
 * The transitions of a record: none -> pending -> done, and back to none. */
#include "store/step.h"

static bool same_owner(const struct idem_owner *a, const struct idem_owner *b) {
    return a->instance == b->instance && a->incarnation == b->incarnation;
}

int64_t idem_record_expiry(enum idem_record_state state, int64_t until_ms) {
    return until_ms + (state == IDEM_RECORD_PENDING ? IDEM_DOUBT_KEPT_MS : 0);
}

bool idem_record_expired(enum idem_record_state state, int64_t until_ms, int64_t now_ms) {
    int64_t kept_ms = idem_record_expiry(state, 0);
    return now_ms >= until_ms && now_ms - until_ms >= kept_ms;
}

/* An owner with the claimer's instance and another incarnation is the claimer itself
 * before a crash: it cannot complete any more, so there is no lease to wait for. */
static bool may_take_over(const struct idem_record *found,
                          const struct idem_claim *claim) {
    bool left_by_ourselves = found->owner.instance == claim->owner.instance &&
                             found->owner.incarnation != claim->owner.incarnation;
    return left_by_ourselves || !idem_record_live(found, claim->now_ms);
}

static enum idem_claim_outcome claim_outcome(const struct idem_record *found,
                                             const struct idem_claim *claim) {
    switch (found->state) {
    case IDEM_RECORD_PENDING:
        return may_take_over(found, claim) ? IDEM_CLAIM_TAKEN_OVER : IDEM_CLAIM_IN_FLIGHT;
    case IDEM_RECORD_DONE:
    case IDEM_RECORD_SEQUENCE:
        return idem_record_live(found, claim->now_ms) ? IDEM_CLAIM_DONE : IDEM_CLAIM_NEW;
    case IDEM_RECORD_NONE:
        break;
    }
    return IDEM_CLAIM_NEW;
}

enum idem_claim_outcome idem_step_claim(struct idem_record *next,
                                        const struct idem_record *found,
                                        const struct idem_claim *claim) {
    enum idem_claim_outcome outcome = claim_outcome(found, claim);
    if (outcome == IDEM_CLAIM_NEW || outcome == IDEM_CLAIM_TAKEN_OVER) {
        *next = (struct idem_record){
            .state = IDEM_RECORD_PENDING,
            .has_fingerprint = claim->has_fingerprint,
            .fingerprint = claim->fingerprint,
            .owner = claim->owner,
            .first_seen_ms =
                outcome == IDEM_CLAIM_NEW ? claim->now_ms : found->first_seen_ms,
            .until_ms = claim->now_ms + claim->lease_ms,
        };
    }
    return outcome;
}

static bool is_repeated(const struct idem_record *found, const struct idem_claim *claim) {
    return found->state == IDEM_RECORD_DONE &&
           (!claim->has_fingerprint || !found->has_fingerprint ||
            idem_digest_equal(&claim->fingerprint, &found->fingerprint));
}

int64_t idem_step_extended(const struct idem_record *found,
                           const struct idem_claim *claim) {
    int64_t until_ms = claim->now_ms + claim->extend_ms;
    bool extends = claim->extend_ms > 0 && until_ms > found->until_ms;
    return extends && is_repeated(found, claim) ? until_ms : found->until_ms;
}

static void make_done(struct idem_record *next, const struct idem_record *found,
                      const struct idem_completion *completion) {
    *next = *found;
    next->state = IDEM_RECORD_DONE;
    next->owner.incarnation = 0; /* of who completed it, only the instance is kept */
    next->until_ms = completion->now_ms + completion->ttl_ms;
    next->result = completion->result;
}

/* A response comes after the delivery that it answers. The end of the record is not moved by it. */
static bool adds_result(const struct idem_record *found,
                        const struct idem_completion *completion) {
    return found->result.len == 0 && completion->result.len > 0;
}

enum idem_code idem_step_complete(struct idem_record *next, bool *changed,
                                  const struct idem_record *found,
                                  const struct idem_completion *completion) {
    *changed = false;
    switch (found->state) {
    case IDEM_RECORD_PENDING:
        if (!same_owner(&found->owner, &completion->owner)) {
            return IDEM_ERR_NOT_OWNER;
        }
        make_done(next, found, completion);
        *changed = true;
        return IDEM_OK;
    case IDEM_RECORD_DONE:
        if (!idem_record_live(found, completion->now_ms)) {
            return IDEM_ERR_NOT_FOUND;
        }
        if (found->owner.instance != completion->owner.instance) {
            return IDEM_ERR_NOT_OWNER;
        }
        if (adds_result(found, completion)) {
            *next = *found;
            next->result = completion->result;
            *changed = true;
        }
        return IDEM_OK;
    case IDEM_RECORD_SEQUENCE:
        return IDEM_ERR_NOT_OWNER;
    case IDEM_RECORD_NONE:
        break;
    }
    return IDEM_ERR_NOT_FOUND;
}

static bool may_withdraw(const struct idem_record *found,
                         const struct idem_abandonment *abandonment) {
    return abandonment->completed && found->result.len == 0 &&
           found->owner.instance == abandonment->owner.instance;
}

enum idem_code idem_step_abandon(const struct idem_record *found,
                                 const struct idem_abandonment *abandonment) {
    switch (found->state) {
    case IDEM_RECORD_PENDING:
        return same_owner(&found->owner, &abandonment->owner) ? IDEM_OK
                                                              : IDEM_ERR_NOT_OWNER;
    case IDEM_RECORD_DONE:
        return may_withdraw(found, abandonment) ? IDEM_OK : IDEM_ERR_NOT_OWNER;
    case IDEM_RECORD_SEQUENCE:
        return IDEM_ERR_NOT_OWNER;
    case IDEM_RECORD_NONE:
        break;
    }
    return IDEM_ERR_NOT_FOUND;
}

static bool ends_later(const struct idem_record *a, const struct idem_record *b) {
    return a->until_ms > b->until_ms;
}

static bool knows_more(const struct idem_record *given, const struct idem_record *found,
                       int64_t now_ms) {
    if (given->state != found->state) {
        return given->state == IDEM_RECORD_DONE;
    }
    bool held = found->state == IDEM_RECORD_PENDING && idem_record_live(found, now_ms);
    return !held && ends_later(given, found);
}

enum idem_code idem_step_restore(struct idem_record *next,
                                 const struct idem_record *found,
                                 const struct idem_restoration *restoration) {
    const struct idem_record *given = &restoration->record;
    int64_t now_ms = restoration->now_ms;
    *next = *given;
    if (idem_record_expired(given->state, given->until_ms, now_ms)) {
        return IDEM_ERR_NOT_FOUND;
    }
    if (found->state == IDEM_RECORD_NONE ||
        idem_record_expired(found->state, found->until_ms, now_ms)) {
        return IDEM_OK;
    }
    if (found->state == IDEM_RECORD_SEQUENCE || given->state == IDEM_RECORD_SEQUENCE) {
        return IDEM_ERR_FORMAT;
    }
    if (!knows_more(given, found, now_ms)) {
        return IDEM_ERR_NOT_OWNER;
    }
    if (found->first_seen_ms < next->first_seen_ms) {
        next->first_seen_ms = found->first_seen_ms;
    }
    return IDEM_OK;
}
