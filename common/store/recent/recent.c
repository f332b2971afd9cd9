/* SPDX-License-Identifier: MIT
 * The keys that this process has lately dealt with, in front of a store on the network.
 *
 * What is remembered:
 *   DONE     completed here, or found to be done in the store behind. A copy is answered at once, without
 *            the network, whether the store behind answers or not. A done record is never undone except by
 *            its ttl, which is remembered too, and by forget: a forget that comes from another program
 *            (idemctl) reaches this memory only when the program is restarted.
 *   PENDING  claimed here, or tried to be. Not used to answer claims: the store behind decides who holds
 *            what. It keeps the fingerprint until the key is completed.
 *
 * Two gaps are closed by it:
 *   A claim may be on its way while the key is completed here: the answer says "in flight, held by
 *   yourself", and the memory says done. The memory is right.
 *   A claim that failed may be completed all the same: its copy was delivered unprotected, and that is
 *   certain by now. The key is done here and owed to the store behind. What is owed is written as soon as
 *   the store answers again: claimed, unless somebody has it already, and completed with what is left of
 *   its ttl.
 *
 * A completion that the store behind did not take is therefore reported as a success, since it is not
 * forgotten, unless it had to be durable. */
#include "store/recent/recent.h"
#include "store/answer.h"
#include "store/recent/debts.h"
#include "store/recent/generations.h"
#include "store/step.h"

#include <stdlib.h>

#define PAYING_MOST  64 /* debts on their way at a time */
#define PAYING_LEASE INT64_C(10000)

struct recent {
    struct idem_store base;
    struct idem_store_ops ops; /* under the name of the store behind */
    struct idem_store *behind;
    struct idem_log log;
    struct idem_generations memory;
    struct idem_debts debts;
    size_t paying;
    size_t paid; /* since there were none */
    bool closing;
    int64_t now_ms; /* as last told */
};

/* An operation on its way to the store behind. */
struct passage {
    struct recent *recent;
    struct idem_claim claim;
    struct idem_completion completion; /* without its result */
    struct idem_debt debt;
    idem_store_done *done;
    void *arg;
};

static struct recent *recent_of(struct idem_store *store) {
    return (struct recent *)store;
}

static bool same_owner(const struct idem_owner *a, const struct idem_owner *b) {
    return a->instance == b->instance && a->incarnation == b->incarnation;
}

/* Whether the memory knows that the key is done; then it is the answer. */
static bool known_done(const struct recent *recent, const struct idem_digest *digest,
                       int64_t now_ms, struct idem_answer *answer) {
    struct idem_record record = idem_generations_find(&recent->memory, digest);
    if (record.state != IDEM_RECORD_DONE || !idem_record_live(&record, now_ms)) {
        return false;
    }
    *answer = (struct idem_answer){
        .code = IDEM_OK, .outcome = IDEM_CLAIM_DONE, .record = record};
    return true;
}

static void remember_claim(struct recent *recent, const struct idem_claim *claim,
                           const struct idem_record *found) {
    struct idem_record next;
    enum idem_claim_outcome outcome = idem_step_claim(&next, found, claim);
    if (outcome == IDEM_CLAIM_NEW || outcome == IDEM_CLAIM_TAKEN_OVER) {
        idem_generations_put(&recent->memory, &claim->digest, &next);
    }
}

/* Answers with the failure, and with the claim of this process that the memory has, if any. */
static void claim_failed(struct recent *recent, const struct passage *passage,
                         enum idem_code code) {
    const struct idem_claim *claim = &passage->claim;
    struct idem_answer answer = {.code = code};
    struct idem_record found = idem_generations_find(&recent->memory, &claim->digest);
    if (idem_record_live(&found, claim->now_ms)) {
        answer.record = found;
    } else {
        found = (struct idem_record){.state = IDEM_RECORD_NONE};
        remember_claim(recent, claim, &found);
    }
    passage->done(passage->arg, &answer);
}

static void learn_from(struct recent *recent, const struct idem_claim *claim,
                       const struct idem_answer *answer) {
    switch (answer->outcome) {
    case IDEM_CLAIM_NEW:
    case IDEM_CLAIM_TAKEN_OVER:
        remember_claim(recent, claim, &answer->record);
        return;
    case IDEM_CLAIM_DONE:
        if (answer->record.result.len == 0) {
            idem_generations_put(&recent->memory, &claim->digest, &answer->record);
        }
        return;
    case IDEM_CLAIM_IN_FLIGHT:
    case IDEM_CLAIM_OUTCOME_COUNT:
        return;
    }
}

/* The store behind does not know, or does not know yet, what the memory may know. */
static bool is_vague(const struct idem_claim *claim, const struct idem_answer *answer) {
    return answer->code != IDEM_OK || (answer->outcome == IDEM_CLAIM_IN_FLIGHT &&
                                       same_owner(&answer->record.owner, &claim->owner));
}

static void claim_answered(void *arg, const struct idem_answer *answer) {
    struct passage *passage = arg;
    struct recent *recent = passage->recent;
    struct idem_answer known;
    if (is_vague(&passage->claim, answer) &&
        known_done(recent, &passage->claim.digest, recent->now_ms, &known)) {
        passage->done(passage->arg, &known);
    } else if (answer->code != IDEM_OK) {
        claim_failed(recent, passage, answer->code);
    } else {
        learn_from(recent, &passage->claim, answer);
        passage->done(passage->arg, answer);
    }
    free(passage);
}

static struct passage *passage_new(struct recent *recent, idem_store_done *done,
                                   void *arg) {
    struct passage *passage = calloc(1, sizeof *passage);
    if (passage != NULL) {
        passage->recent = recent;
        passage->done = done;
        passage->arg = arg;
    }
    return passage;
}

static void recent_claim(struct idem_store *store, const struct idem_claim *claim,
                         idem_store_done *done, void *arg) {
    struct recent *recent = recent_of(store);
    struct idem_answer known;
    recent->now_ms = claim->now_ms;
    if (known_done(recent, &claim->digest, claim->now_ms, &known)) {
        done(arg, &known);
        return;
    }
    struct passage *passage = passage_new(recent, done, arg);
    if (passage == NULL) {
        idem_answer_code(IDEM_ERR_NOMEM, done, arg);
        return;
    }
    passage->claim = *claim;
    idem_store_claim(recent->behind, claim, claim_answered, passage);
}

static void owe(struct recent *recent, const struct idem_completion *completion,
                const struct idem_record *record) {
    const struct idem_debt debt = {
        .digest = completion->digest,
        .fingerprint = record->fingerprint,
        .has_fingerprint = record->has_fingerprint,
        .owner = completion->owner,
        .until_ms = record->until_ms,
    };
    idem_debts_add(&recent->debts, &debt);
}

/* Whether the store behind may yet take it: it did not answer, or has lost the claim. */
static bool can_be_owed(enum idem_code code) {
    return code != IDEM_ERR_NOT_OWNER && code != IDEM_ERR_INVALID;
}

static void complete_answered(void *arg, const struct idem_answer *answer) {
    struct passage *passage = arg;
    struct recent *recent = passage->recent;
    const struct idem_completion *completion = &passage->completion;
    struct idem_answer known;
    if (answer->code != IDEM_OK && can_be_owed(answer->code) &&
        known_done(recent, &completion->digest, completion->now_ms, &known)) {
        owe(recent, completion, &known.record);
        idem_answer_code(completion->durable ? answer->code : IDEM_OK, passage->done,
                         passage->arg);
    } else {
        passage->done(passage->arg, answer);
    }
    free(passage);
}

static void remember_completion(struct recent *recent,
                                const struct idem_completion *completion) {
    struct idem_record found =
        idem_generations_find(&recent->memory, &completion->digest);
    struct idem_record next;
    bool changed = false;
    if (completion->result.len > 0) {
        idem_generations_remove(&recent->memory, &completion->digest);
    } else if (idem_step_complete(&next, &changed, &found, completion) == IDEM_OK &&
               changed) {
        idem_generations_put(&recent->memory, &completion->digest, &next);
    }
}

static void recent_complete(struct idem_store *store,
                            const struct idem_completion *completion,
                            idem_store_done *done, void *arg) {
    struct recent *recent = recent_of(store);
    struct passage *passage = passage_new(recent, done, arg);
    recent->now_ms = completion->now_ms;
    remember_completion(recent, completion);
    if (passage == NULL) {
        idem_answer_code(IDEM_ERR_NOMEM, done, arg);
        return;
    }
    passage->completion = *completion;
    passage->completion.result = idem_span_of(NULL, 0);
    idem_store_complete(recent->behind, completion, complete_answered, passage);
}

static void recent_abandon(struct idem_store *store, const struct idem_digest *digest,
                           const struct idem_owner *owner, idem_store_done *done,
                           void *arg) {
    struct recent *recent = recent_of(store);
    struct idem_record known = idem_generations_find(&recent->memory, digest);
    if (known.state == IDEM_RECORD_PENDING && same_owner(&known.owner, owner)) {
        idem_generations_remove(&recent->memory, digest);
    }
    idem_store_abandon(recent->behind, digest, owner, done, arg);
}

static void recent_lookup(struct idem_store *store, const struct idem_digest *digest,
                          int64_t now_ms, idem_store_done *done, void *arg) {
    idem_store_lookup(recent_of(store)->behind, digest, now_ms, done, arg);
}

static void recent_forget(struct idem_store *store, const struct idem_digest *digest,
                          idem_store_done *done, void *arg) {
    struct recent *recent = recent_of(store);
    idem_generations_remove(&recent->memory, digest);
    idem_debts_forget(&recent->debts, digest);
    idem_store_forget(recent->behind, digest, done, arg);
}

static enum idem_code recent_iterate(struct idem_store *store, int64_t now_ms,
                                     idem_store_visit *visit, void *arg,
                                     struct idem_error *error) {
    return idem_store_iterate(recent_of(store)->behind, now_ms, visit, arg, error);
}

static void recent_stats(struct idem_store *store, struct idem_store_stats *stats) {
    const struct recent *recent = recent_of(store);
    idem_store_stats(recent->behind, stats);
    stats->memory_entries = idem_generations_count(&recent->memory);
    stats->memory_bytes = idem_generations_bytes(&recent->memory) +
                          recent->debts.capacity * sizeof *recent->debts.items;
}

static int recent_poll_fd(struct idem_store *store) {
    return idem_store_poll_fd(recent_of(store)->behind);
}

/* ---- what is owed ---- */

static void paid(struct recent *recent, enum idem_code code,
                 const struct idem_debt *debt) {
    recent->paying--;
    if (code == IDEM_OK) {
        recent->paid++;
    } else if (!recent->closing && can_be_owed(code)) {
        idem_debts_add(&recent->debts, debt);
    }
    if (recent->paying == 0 && recent->debts.count == 0 && recent->paid > 0) {
        idem_log_write(&recent->log, IDEM_LOG_NOTICE, "store.caught_up",
                       "%zu keys that were done while the store did not answer have "
                       "been written to it",
                       recent->paid);
        recent->paid = 0;
    }
}

static void debt_completed(void *arg, const struct idem_answer *answer) {
    struct passage *passage = arg;
    paid(passage->recent, answer->code, &passage->debt);
    free(passage);
}

static bool is_ours(const struct idem_debt *debt, const struct idem_answer *answer) {
    return answer->outcome == IDEM_CLAIM_NEW ||
           answer->outcome == IDEM_CLAIM_TAKEN_OVER ||
           (answer->outcome == IDEM_CLAIM_IN_FLIGHT &&
            same_owner(&answer->record.owner, &debt->owner));
}

static void debt_claimed(void *arg, const struct idem_answer *answer) {
    struct passage *passage = arg;
    struct recent *recent = passage->recent;
    if (answer->code != IDEM_OK || !is_ours(&passage->debt, answer)) {
        paid(recent, answer->code, &passage->debt); /* or others have it */
        free(passage);
        return;
    }
    int64_t left_ms = passage->debt.until_ms - recent->now_ms;
    const struct idem_completion completion = {
        .digest = passage->debt.digest,
        .owner = passage->debt.owner,
        .now_ms = recent->now_ms,
        .ttl_ms = left_ms > 0 ? left_ms : 1,
    };
    idem_store_complete(recent->behind, &completion, debt_completed, passage);
}

static bool pay(struct recent *recent, const struct idem_debt *debt) {
    struct passage *passage = passage_new(recent, NULL, NULL);
    if (passage == NULL) {
        return false;
    }
    passage->debt = *debt;
    recent->paying++;
    const struct idem_claim claim = {
        .digest = debt->digest,
        .fingerprint = debt->fingerprint,
        .has_fingerprint = debt->has_fingerprint,
        .owner = debt->owner,
        .now_ms = recent->now_ms,
        .lease_ms = PAYING_LEASE,
    };
    idem_store_claim(recent->behind, &claim, debt_claimed, passage);
    return true;
}

static void pay_some(struct recent *recent) {
    struct idem_store_stats stats;
    struct idem_debt debt;
    if (recent->debts.count == 0) {
        return;
    }
    idem_store_stats(recent->behind, &stats);
    for (size_t i = recent->paying; i < PAYING_MOST && !stats.failing; i++) {
        if (!idem_debts_take(&recent->debts, &debt)) {
            return;
        }
        if (debt.until_ms > recent->now_ms && !pay(recent, &debt)) {
            idem_debts_add(&recent->debts, &debt);
            return;
        }
    }
}

static void recent_dispatch(struct idem_store *store) {
    struct recent *recent = recent_of(store);
    idem_store_dispatch(recent->behind);
    pay_some(recent);
}

static enum idem_code recent_sync(struct idem_store *store, struct idem_error *error) {
    struct recent *recent = recent_of(store);
    pay_some(recent);
    return idem_store_sync(recent->behind, error);
}

static void say_what_is_lost(const struct recent *recent) {
    size_t lost = recent->debts.count + (size_t)recent->debts.lost;
    if (lost > 0) {
        idem_log_write(&recent->log, IDEM_LOG_WARNING, "store.not_caught_up",
                       "%zu keys that were done while the store did not answer were "
                       "never written to it: their next copies are taken for new",
                       lost);
    }
}

static void recent_close(struct idem_store *store) {
    struct recent *recent = recent_of(store);
    size_t before = 0;
    do { /* while the store behind takes something */
        before = recent->debts.count;
        (void)recent_sync(store, NULL);
    } while (recent->debts.count < before && recent->debts.count > 0);
    recent->closing = true;
    say_what_is_lost(recent);
    idem_store_close(recent->behind);
    idem_debts_fini(&recent->debts);
    idem_generations_fini(&recent->memory);
    free(recent);
}

static const struct idem_store_ops recent_ops = {
    .claim = recent_claim,
    .complete = recent_complete,
    .abandon = recent_abandon,
    .lookup = recent_lookup,
    .forget = recent_forget,
    .iterate = recent_iterate,
    .stats = recent_stats,
    .poll_fd = recent_poll_fd,
    .dispatch = recent_dispatch,
    .sync = recent_sync,
    .close = recent_close,
};

enum idem_code idem_recent_open(struct idem_store **store, struct idem_store *behind,
                                size_t keys, const struct idem_log *log,
                                struct idem_error *error) {
    struct recent *recent = calloc(1, sizeof *recent);
    if (recent == NULL || !idem_generations_init(&recent->memory, keys)) {
        if (recent != NULL) {
            idem_generations_fini(&recent->memory);
            free(recent);
        }
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for recent keys");
    }
    recent->ops = recent_ops;
    recent->ops.name = behind->ops->name;
    recent->base.ops = &recent->ops;
    recent->behind = behind;
    recent->log = *log;
    idem_debts_init(&recent->debts, keys);
    *store = &recent->base;
    return IDEM_OK;
}
