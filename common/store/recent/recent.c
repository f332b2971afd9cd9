/* SPDX-License-Identifier: MIT
 * The keys that this process has lately dealt with, in front of a store on the network.
 *
 * What is remembered:
 *   DONE     completed here, or found to be done in the store behind. A copy is answered at once, without
 *            the network, whether the store behind answers or not. Two kinds of claims ask behind first:
 *            one that moves the end of the record, since others have to see that end, and one that wants
 *            the result, which is not remembered. While the store behind does not answer, the end moves
 *            in this memory alone, and there is no result. A done record is never undone except by
 *            its ttl, which is remembered too, and by forget: a forget that comes from another program
 *            (idemctl) reaches this memory only when the program is restarted.
 *   PENDING  claimed here, or tried to be for a copy that is delivered all the same. Not used to answer
 *            claims as long as the store behind does, which decides who holds what. It keeps the fingerprint
 *            until the key is completed.
 *
 * Two gaps are closed by it:
 *   A claim may be on its way while the key is completed here: the answer says "in flight, held by
 *   yourself", and the memory says done. The memory is right.
 *   A claim that failed may be completed all the same: its copy was delivered unprotected, and that is
 *   certain by now. The key is done here and owed to the store behind. What is owed is written as soon as
 *   the store answers again: claimed, unless somebody has it already, and completed with what is left of
 *   its ttl.
 *
 * A claim that another program holds is, more often than not, about to be completed: two brokers that
 * share the store have got the same message at the same moment. So it is asked again, with growing pauses,
 * for as long as the options have patience, before it is answered "in flight".
 *
 * A completion that the store behind did not take is therefore reported as a success, since it is not
 * forgotten, and neither is its result: copies are owed with their keys, within bounds. Beyond these the key
 * alone is owed, and the completion reported as failed. The other exception is one that had to be durable
 * and cannot be deferred: it is reported as failed, and not owed, since its caller asks again.
 *
 * What is owed is lost when this process is killed while the store behind is away, or closes: closing takes
 * seconds, whatever is owed, and the log says how much was lost (store.not_caught_up). The next copy then
 * finds what the store behind has: nothing, and is new, or the claim of a holder that died, and is in
 * doubt. */
#include "store/recent/recent.h"
#include "store/answer.h"
#include "store/recent/own.h"
#include "store/step.h"

#include <idem/clock.h>

#include <stdlib.h>

static struct idem_recent *recent_of(struct idem_store *store) {
    return (struct idem_recent *)store;
}

/* Whether the memory knows that the key is done; then it is the answer. */
static bool known_done(const struct idem_recent *recent, const struct idem_digest *digest,
                       const struct idem_number *number, int64_t now_ms,
                       struct idem_answer *answer) {
    struct idem_record record =
        idem_generations_find(&recent->memory, idem_own_digest(digest, number));
    if (record.state != IDEM_RECORD_DONE || !idem_record_live(&record, now_ms)) {
        return false;
    }
    *answer = (struct idem_answer){
        .code = IDEM_OK, .outcome = IDEM_CLAIM_DONE, .record = record};
    return true;
}

static void remember_claim(struct idem_recent *recent, const struct idem_claim *claim,
                           const struct idem_record *found) {
    struct idem_record next;
    enum idem_claim_outcome outcome = idem_step_claim(&next, found, claim);
    recent->numbered |= claim->number.present;
    if (outcome == IDEM_CLAIM_NEW || outcome == IDEM_CLAIM_TAKEN_OVER) {
        idem_generations_put(&recent->memory,
                             idem_own_digest(&claim->digest, &claim->number), &next);
    }
}

static void remember_done(struct idem_recent *recent, const struct idem_claim *claim,
                          const struct idem_record *found) {
    struct idem_record record = *found;
    record.until_ms = idem_step_extended(found, claim);
    recent->numbered |= claim->number.present;
    idem_generations_put(&recent->memory, idem_own_digest(&claim->digest, &claim->number),
                         &record);
}

/* Answers with the failure, and with the claim of this process that the memory has, if any. */
static void claim_failed(struct idem_recent *recent, const struct idem_passage *passage,
                         enum idem_code code) {
    const struct idem_claim *claim = &passage->claim;
    struct idem_answer answer = {.code = code};
    struct idem_record found = idem_generations_find(
        &recent->memory, idem_own_digest(&claim->digest, &claim->number));
    if (idem_record_live(&found, claim->now_ms)) {
        answer.record = found;
    } else if (claim->deferrable) {
        found = (struct idem_record){.state = IDEM_RECORD_NONE};
        remember_claim(recent, claim, &found);
    }
    passage->done(passage->arg, &answer);
}

static void learn_from(struct idem_recent *recent, const struct idem_claim *claim,
                       const struct idem_answer *answer) {
    switch (answer->outcome) {
    case IDEM_CLAIM_NEW:
    case IDEM_CLAIM_TAKEN_OVER:
        remember_claim(recent, claim, &answer->record);
        return;
    case IDEM_CLAIM_DONE:
        remember_done(recent, claim, &answer->record);
        return;
    case IDEM_CLAIM_IN_FLIGHT:
    case IDEM_CLAIM_FENCED:
    case IDEM_CLAIM_GAP:
    case IDEM_CLAIM_OUTCOME_COUNT:
        return;
    }
}

/* The store behind does not know, or does not know yet, what the memory may know. */
static bool is_vague(const struct idem_claim *claim, const struct idem_answer *answer) {
    return answer->code != IDEM_OK ||
           (answer->outcome == IDEM_CLAIM_IN_FLIGHT &&
            idem_same_owner(&answer->record.owner, &claim->owner));
}

static int64_t clock_ms(void) {
    return idem_clock_monotonic_ns() / 1000000;
}

/* Whether the claim waits for what another program makes of its own. */
static bool is_held(struct idem_recent *recent, struct idem_passage *passage,
                    const struct idem_answer *answer) {
    bool waits = recent->patience.most_ms > 0 && !recent->closing &&
                 answer->code == IDEM_OK && answer->outcome == IDEM_CLAIM_IN_FLIGHT &&
                 !idem_same_owner(&answer->record.owner, &passage->claim.owner) &&
                 idem_patience_add(&recent->patience, &passage->patient, clock_ms());
    if (waits) {
        passage->held = *answer;
    }
    return waits;
}

static void claim_answered(void *arg, const struct idem_answer *answer) {
    struct idem_passage *passage = arg;
    struct idem_recent *recent = passage->recent;
    struct idem_answer known;
    if (is_held(recent, passage, answer)) {
        return;
    }
    if (is_vague(&passage->claim, answer) &&
        known_done(recent, &passage->claim.digest, &passage->claim.number, recent->now_ms,
                   &known)) {
        remember_done(recent, &passage->claim, &known.record);
        passage->done(passage->arg, &known);
    } else if (answer->code != IDEM_OK) {
        claim_failed(recent, passage, answer->code);
    } else {
        learn_from(recent, &passage->claim, answer);
        passage->done(passage->arg, answer);
    }
    idem_passage_free(passage);
}

static void recent_claim(struct idem_store *store, const struct idem_claim *claim,
                         idem_store_done *done, void *arg) {
    struct idem_recent *recent = recent_of(store);
    struct idem_answer known;
    recent->now_ms = claim->now_ms;
    /* Of a number, the store behind may have more to say: its epoch may be over. */
    if (claim->extend_ms == 0 && !claim->number.present && !claim->wants_result &&
        known_done(recent, &claim->digest, &claim->number, claim->now_ms, &known)) {
        done(arg, &known);
        return;
    }
    struct idem_passage *passage = idem_passage_new(recent, done, arg);
    if (passage == NULL) {
        idem_answer_code(IDEM_ERR_NOMEM, done, arg);
        return;
    }
    passage->claim = *claim;
    idem_store_claim(recent->behind, claim, claim_answered, passage);
}

static void ask_again(struct idem_recent *recent) {
    if (recent->patience.first == NULL) {
        return;
    }
    struct idem_patient *due = idem_patience_take(&recent->patience, clock_ms());
    while (due != NULL) {
        struct idem_passage *passage = (struct idem_passage *)due;
        due = due->next;
        passage->claim.now_ms = recent->now_ms;
        idem_store_claim(recent->behind, &passage->claim, claim_answered, passage);
    }
}

/* Answers what waits. */
static void lose_patience(struct idem_recent *recent) {
    struct idem_patient *due = idem_patience_take(&recent->patience, INT64_MAX);
    while (due != NULL) {
        struct idem_passage *passage = (struct idem_passage *)due;
        due = due->next;
        passage->done(passage->arg, &passage->held);
        idem_passage_free(passage);
    }
}

static void complete_answered(void *arg, const struct idem_answer *answer) {
    struct idem_passage *passage = arg;
    struct idem_recent *recent = passage->recent;
    const struct idem_completion *completion = &passage->completion;
    bool deferrable = !completion->durable || completion->deferrable;
    struct idem_answer known;
    if (answer->code != IDEM_OK && deferrable && idem_can_be_owed(answer->code) &&
        known_done(recent, &completion->digest, &completion->number, completion->now_ms,
                   &known)) {
        bool kept = idem_recent_owe(recent, passage, &known.record);
        idem_answer_code(kept ? IDEM_OK : answer->code, passage->done, passage->arg);
    } else {
        passage->done(passage->arg, answer);
    }
    idem_passage_free(passage);
}

static void remember_completion(struct idem_recent *recent,
                                const struct idem_completion *completion) {
    const struct idem_digest *digest =
        idem_own_digest(&completion->digest, &completion->number);
    struct idem_record found = idem_generations_find(&recent->memory, digest);
    struct idem_record next;
    bool changed = false;
    if (idem_step_complete(&next, &changed, &found, completion) == IDEM_OK && changed) {
        idem_generations_put(&recent->memory, digest, &next);
    }
}

/* It is borrowed for the length of the call, and may have to be owed afterwards. */
static void copy_result(struct idem_debt *debt, struct idem_span result) {
    debt->result_len = result.len;
    debt->result = result.len > 0 ? malloc(result.len) : NULL;
    if (debt->result != NULL) {
        memcpy(debt->result, result.data, result.len);
    }
}

static void recent_complete(struct idem_store *store,
                            const struct idem_completion *completion,
                            idem_store_done *done, void *arg) {
    struct idem_recent *recent = recent_of(store);
    struct idem_passage *passage = idem_passage_new(recent, done, arg);
    recent->now_ms = completion->now_ms;
    remember_completion(recent, completion);
    if (passage == NULL) {
        idem_answer_code(IDEM_ERR_NOMEM, done, arg);
        return;
    }
    passage->completion = *completion;
    passage->completion.result = idem_span_of(NULL, 0);
    copy_result(&passage->debt, completion->result);
    idem_store_complete(recent->behind, completion, complete_answered, passage);
}

static void recent_abandon(struct idem_store *store,
                           const struct idem_abandonment *abandonment,
                           idem_store_done *done, void *arg) {
    struct idem_recent *recent = recent_of(store);
    const struct idem_digest *digest =
        idem_own_digest(&abandonment->digest, &abandonment->number);
    struct idem_record known = idem_generations_find(&recent->memory, digest);
    if (idem_step_abandon(&known, abandonment) == IDEM_OK) {
        idem_generations_remove(&recent->memory, digest);
    }
    if (abandonment->completed) {
        idem_debts_forget(&recent->debts, &abandonment->digest);
    }
    idem_store_abandon(recent->behind, abandonment, done, arg);
}

static void recent_lookup(struct idem_store *store, const struct idem_digest *digest,
                          int64_t now_ms, idem_store_done *done, void *arg) {
    idem_store_lookup(recent_of(store)->behind, digest, now_ms, done, arg);
}

static void recent_forget(struct idem_store *store, const struct idem_digest *digest,
                          idem_store_done *done, void *arg) {
    struct idem_recent *recent = recent_of(store);
    if (recent->numbered) { /* which of them are this producer's is not known */
        idem_generations_clear(&recent->memory);
    } else {
        idem_generations_remove(&recent->memory, digest);
    }
    idem_debts_forget(&recent->debts, digest);
    idem_store_forget(recent->behind, digest, done, arg);
}

static void recent_restore(struct idem_store *store,
                           const struct idem_restoration *restoration,
                           idem_store_done *done, void *arg) {
    idem_store_restore(recent_of(store)->behind, restoration, done, arg);
}

static enum idem_code recent_iterate(struct idem_store *store, int64_t now_ms,
                                     idem_store_visit *visit, void *arg,
                                     struct idem_error *error) {
    return idem_store_iterate(recent_of(store)->behind, now_ms, visit, arg, error);
}

static void recent_stats(struct idem_store *store, struct idem_store_stats *stats) {
    const struct idem_recent *recent = recent_of(store);
    idem_store_read_stats(recent->behind, stats);
    stats->owed = recent->debts.count;
    stats->memory_entries = idem_generations_count(&recent->memory);
    stats->memory_bytes = idem_generations_bytes(&recent->memory) +
                          recent->debts.capacity * sizeof *recent->debts.items +
                          recent->debts.bytes;
}

static int recent_poll_fd(struct idem_store *store) {
    const struct idem_recent *recent = recent_of(store);
    return recent->patience.most_ms > 0 ? recent->patience.epoll_fd
                                        : idem_store_poll_fd(recent->behind);
}

static void recent_dispatch(struct idem_store *store) {
    struct idem_recent *recent = recent_of(store);
    ask_again(recent);
    idem_store_dispatch(recent->behind);
    (void)idem_recent_pay(recent);
}

static enum idem_code recent_sync(struct idem_store *store, struct idem_error *error) {
    struct idem_recent *recent = recent_of(store);
    (void)idem_recent_pay(recent);
    enum idem_code code = idem_store_sync(recent->behind, error);
    lose_patience(recent);
    return code;
}

/* The store behind answers what is under way while it closes: only then is it known what is lost. */
static void recent_close(struct idem_store *store) {
    struct idem_recent *recent = recent_of(store);
    idem_recent_settle(recent);
    lose_patience(recent);
    idem_store_close(recent->behind);
    idem_recent_say_what_is_lost(recent);
    idem_pool_fini(&recent->passages);
    idem_patience_fini(&recent->patience);
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
    .restore = recent_restore,
    .iterate = recent_iterate,
    .stats = recent_stats,
    .poll_fd = recent_poll_fd,
    .dispatch = recent_dispatch,
    .sync = recent_sync,
    .close = recent_close,
};

static enum idem_code recent_init(struct idem_recent *recent, struct idem_store *behind,
                                  const struct idem_store_options *options,
                                  struct idem_error *error) {
    recent->ops = recent_ops;
    recent->ops.name = behind->ops->name;
    recent->base.ops = &recent->ops;
    recent->behind = behind;
    recent->log = options->log;
    idem_pool_init(&recent->passages, sizeof(struct idem_passage));
    idem_recent_init_paying(recent, options->recent_keys);
    bool remembers = idem_generations_init(&recent->memory, options->recent_keys);
    enum idem_code code = idem_patience_init(&recent->patience, options->patience_ms,
                                             idem_store_poll_fd(behind), error);
    return remembers || code != IDEM_OK
               ? code
               : idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for recent keys");
}

enum idem_code idem_recent_open(struct idem_store **store, struct idem_store *behind,
                                const struct idem_store_options *options,
                                struct idem_error *error) {
    struct idem_recent *recent = calloc(1, sizeof *recent);
    if (recent == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for recent keys");
    }
    enum idem_code code = recent_init(recent, behind, options, error);
    if (code != IDEM_OK) {
        idem_patience_fini(&recent->patience);
        idem_generations_fini(&recent->memory);
        free(recent);
        return code;
    }
    *store = &recent->base;
    return IDEM_OK;
}
