/* SPDX-License-Identifier: MIT
 * The idempotent receiver: from a copy to its verdict.
 *
 * A copy that a rule covers is identified and claimed; the store's answer says which situation it is in,
 * and the decision table turns that into a verdict. While the store has the question, the copy is a
 * flight: it holds all that is needed to decide later, since the message is gone once submit returns and
 * the rules may have been replaced. Settling what was claimed is in settle.c.
 *
 *   state          what is true in it                       what a crash in it leaves behind
 *   submitted      nothing is recorded                      nothing: the next copy is new
 *   claimed        pending, ours, until the lease ends      a dead claim: the next copy is in doubt
 *   completed      done, until the ttl ends                 a done record: the next copy is a duplicate
 *   abandoned      nothing is recorded                      nothing: the next copy is new
 *
 * A claim that was taken over is ours like a new one, whatever the verdict. Its copy may be dropped or set
 * aside instead of delivered, but only the adapter knows when that is certain, and until then the claim
 * must not become done: a crash between would turn the copy that the source keeps into a duplicate,
 * dropped without ever having been set aside. So claimed is true for each verdict, and the adapter
 * completes whatever it has done with the copy. Completed, the doubt is settled: later copies are
 * duplicates and are not judged again. */
#include "receiver/internal.h"

#include <stdlib.h>

static struct idem_counter_row *row_of(struct idem_receiver *receiver,
                                       const struct idem_rule *rule) {
    return rule != NULL ? receiver->rows[rule - receiver->rules->rules]
                        : &receiver->counters.unmatched;
}

/* The rule of a message. One that is taken out is told of each message that it would have got. */
static const struct idem_rule *match(struct idem_receiver *receiver,
                                     const struct idem_message *message) {
    const struct idem_rule *rule = idem_ruleset_match(receiver->rules, message);
    if (receiver->without_count == 0 || rule == NULL ||
        !receiver->without[rule - receiver->rules->rules]) {
        return rule;
    }
    idem_counter_raise(&row_of(receiver, rule)->bypassed);
    return idem_ruleset_match_without(receiver->rules, message, receiver->without);
}

/* The only place where a copy gets its verdict, and where it is counted. */
static void decide(struct idem_receiver *receiver, struct idem_delivery *delivery,
                   enum idem_reason reason, const struct idem_policies *policies,
                   struct idem_counter_row *row) {
    delivery->reason = reason;
    delivery->verdict = idem_decide(reason, policies, receiver->can_hold);
    idem_counter_raise(&row->by_reason[reason]);
    idem_counter_raise(&row->by_verdict[delivery->verdict]);
    idem_sightings_add(&receiver->sightings, delivery, row, receiver->now_ms);
}

static bool fingerprints_differ(const struct idem_delivery *delivery,
                                const struct idem_record *record) {
    return delivery->has_fingerprint && record->has_fingerprint &&
           !idem_digest_equal(&delivery->fingerprint, &record->fingerprint);
}

static enum idem_reason repeated(const struct idem_delivery *delivery,
                                 const struct idem_record *record) {
    return fingerprints_differ(delivery, record) ? IDEM_REASON_CONFLICT
                                                 : IDEM_REASON_DUPLICATE;
}

/* A live claim of our own is not enough: the store may have timed out over it, or the adapter may have
 * given the delivery up, and then nobody delivers the copy that claimed. */
static bool is_on_its_way_here(const struct idem_receiver *receiver,
                               const struct idem_delivery *delivery,
                               const struct idem_owner *holder) {
    return !receiver->can_hold && receiver->delivering != NULL &&
           holder->instance == receiver->owner.instance &&
           holder->incarnation == receiver->owner.incarnation &&
           receiver->delivering(receiver->delivering_arg, &delivery->digest);
}

/* A claim of ours that nobody delivers: it was made, but its answer came too late. The copy that meets it
 * goes on with it. */
static bool is_orphan(const struct idem_receiver *receiver,
                      const struct idem_owner *holder) {
    return receiver->completes_unprotected && !receiver->can_hold &&
           holder->instance == receiver->owner.instance &&
           holder->incarnation == receiver->owner.incarnation;
}

/* The store does not answer, but may remember the copy that is on its way here. Where it can be held, that
 * one decides: it is completed or abandoned whatever becomes of it. */
static enum idem_reason reason_without_answer(const struct idem_receiver *receiver,
                                              const struct idem_delivery *delivery,
                                              const struct idem_record *remembered) {
    if (!receiver->completes_unprotected || remembered->state != IDEM_RECORD_PENDING) {
        return IDEM_REASON_STORE_FAILURE;
    }
    if (receiver->can_hold) {
        return IDEM_REASON_IN_FLIGHT;
    }
    return is_on_its_way_here(receiver, delivery, &remembered->owner)
               ? repeated(delivery, remembered)
               : IDEM_REASON_STORE_FAILURE;
}

static enum idem_reason reason_of(const struct idem_receiver *receiver,
                                  const struct idem_delivery *delivery,
                                  const struct idem_answer *answer) {
    if (answer->code != IDEM_OK) {
        /* after a timeout it may be claimed: the lease ends that */
        return reason_without_answer(receiver, delivery, &answer->record);
    }
    switch (answer->outcome) {
    case IDEM_CLAIM_NEW:
        return answer->skipped > 0 ? IDEM_REASON_AFTER_GAP : IDEM_REASON_NEW;
    case IDEM_CLAIM_TAKEN_OVER:
        return IDEM_REASON_IN_DOUBT;
    case IDEM_CLAIM_IN_FLIGHT:
        if (is_on_its_way_here(receiver, delivery, &answer->record.owner)) {
            return repeated(delivery, &answer->record);
        }
        return is_orphan(receiver, &answer->record.owner) ? IDEM_REASON_IN_DOUBT
                                                          : IDEM_REASON_IN_FLIGHT;
    case IDEM_CLAIM_DONE:
        return repeated(delivery, &answer->record);
    case IDEM_CLAIM_FENCED:
        return IDEM_REASON_FENCED;
    case IDEM_CLAIM_GAP:
        return IDEM_REASON_GAP;
    case IDEM_CLAIM_OUTCOME_COUNT:
        break;
    }
    return IDEM_REASON_STORE_FAILURE;
}

static void read_answer(struct idem_delivery *delivery, enum idem_reason reason,
                        const struct idem_answer *answer) {
    bool first = reason == IDEM_REASON_NEW || reason == IDEM_REASON_AFTER_GAP;
    delivery->claimed = first || reason == IDEM_REASON_IN_DOUBT;
    delivery->store_code = answer->code;
    if (reason == IDEM_REASON_STORE_FAILURE) {
        return;
    }
    delivery->skipped = answer->skipped;
    if (!first) {
        delivery->first_seen_ms = answer->record.first_seen_ms;
    }
    if (reason == IDEM_REASON_IN_FLIGHT || reason == IDEM_REASON_GAP) {
        delivery->retry_at_ms = answer->record.until_ms;
    }
}

/* The copy decided last lends its propagated key to the receiver, and takes the buffer of the one before
 * in exchange: the text survives the flight without being copied. */
static void lend_propagation(struct idem_receiver *receiver, struct idem_flight *flight) {
    struct idem_propagation *before = receiver->propagation;
    receiver->propagation = flight->propagation;
    flight->propagation = before;
}

static void claim_answered(void *arg, const struct idem_answer *answer) {
    struct idem_flight *flight = arg;
    struct idem_receiver *receiver = flight->receiver;
    struct idem_delivery *delivery = flight->delivery;
    if (receiver == NULL) {
        idem_flight_free(flight);
        return;
    }
    enum idem_reason reason = reason_of(receiver, delivery, answer);
    read_answer(delivery, reason, answer);
    if (flight->rules_generation != receiver->rules_generation) {
        delivery->rule = NULL;
    }
    if (answer->code != IDEM_OK) {
        idem_log_write(&receiver->log, IDEM_LOG_WARNING, "store.claim",
                       "a claim failed: %s", idem_code_text(answer->code));
    }
    decide(receiver, delivery, reason, &flight->policies, flight->row);
    if (reason == IDEM_REASON_STORE_FAILURE && receiver->completes_unprotected) {
        delivery->claimed = delivery->verdict == IDEM_VERDICT_DELIVER;
    }
    if (delivery->verdict == IDEM_VERDICT_REPLAY &&
        !idem_receiver_hold_result(receiver, delivery, answer)) {
        idem_counter_raise(&flight->row->without_result);
    }
    lend_propagation(receiver, flight);
    flight->decided(flight->arg, delivery);
    idem_flight_rest(&receiver->flights, flight);
}

static bool keep_propagation(struct idem_flight *flight,
                             const struct idem_receiver *receiver,
                             const struct idem_key_part *parts, size_t count) {
    const struct idem_rule *rule = flight->delivery->rule;
    struct idem_propagation *kept = flight->propagation;
    if (kept == NULL) {
        kept = malloc(sizeof *kept);
        flight->propagation = kept;
    }
    if (kept == NULL) {
        return false;
    }
    kept->delivery = flight->delivery;
    memset(kept->as, 0, sizeof kept->as);
    for (size_t i = 0; rule->propagate.as[i] != NULL; i++) {
        memcpy(kept->names[i], rule->propagate.as[i], strlen(rule->propagate.as[i]) + 1);
        kept->as[i] = kept->names[i];
    }
    kept->key_len = receiver->keeps_keys
                        ? idem_key_text(&flight->delivery->digest, parts, count,
                                        kept->key, sizeof kept->key)
                        : 0;
    kept->len =
        idem_propagated_key(rule, &receiver->rules->secret, &flight->delivery->digest,
                            parts, count, kept->text, sizeof kept->text);
    return true;
}

static void claim(struct idem_receiver *receiver, struct idem_flight *flight,
                  int64_t now_ms) {
    const struct idem_delivery *delivery = flight->delivery;
    const struct idem_rule *rule = delivery->rule;
    const struct idem_claim claim = {
        .digest = delivery->number.present ? delivery->producer : delivery->digest,
        .number = delivery->number,
        .terms = idem_rule_terms(rule, receiver->can_hold),
        .fingerprint = delivery->fingerprint,
        .has_fingerprint = delivery->has_fingerprint,
        .durable = receiver->durable,
        .deferrable = delivery->deferrable,
        .owner = receiver->owner,
        .now_ms = now_ms,
        .lease_ms = rule->lease_ms,
        .extend_ms = rule->ttl_from == IDEM_TTL_FROM_LAST ? delivery->ttl_ms : 0,
        .ttl_ms = delivery->ttl_ms,
        .wants_result = rule->policies.on_duplicate == IDEM_ACTION_REPLAY,
    };
    idem_store_claim(receiver->store, &claim, claim_answered, flight);
}

/* Reads all that is wanted of the message. */
static enum idem_identity_status identify(struct idem_receiver *receiver,
                                          struct idem_delivery *delivery,
                                          const struct idem_message *message,
                                          struct idem_key_part *parts, size_t *count) {
    struct idem_identity identity;
    idem_identify(&identity, delivery->rule, &receiver->rules->secret, message,
                  receiver->workspace, parts, count);
    delivery->has_identity = identity.status == IDEM_IDENTITY_OK;
    delivery->digest = identity.digest;
    delivery->number = identity.number;
    delivery->producer = identity.producer;
    delivery->fingerprint = identity.fingerprint;
    delivery->has_fingerprint = identity.has_fingerprint;
    return identity.status;
}

static struct idem_flight *start_flight(struct idem_receiver *receiver,
                                        struct idem_delivery *delivery,
                                        const struct idem_key_part *parts, size_t count) {
    const struct idem_rule *rule = delivery->rule;
    struct idem_flight *flight = idem_flight_take(&receiver->flights, receiver);
    if (flight == NULL) {
        return NULL;
    }
    flight->delivery = delivery;
    flight->row = row_of(receiver, rule);
    flight->policies = rule->policies;
    flight->rules_generation = receiver->rules_generation;
    if (flight->propagation != NULL) {
        flight->propagation->delivery = NULL; /* what is in it was another copy's */
    }
    bool keeps = rule->propagate.as[0] != NULL || receiver->keeps_keys;
    if (keeps && !keep_propagation(flight, receiver, parts, count)) {
        idem_flight_rest(&receiver->flights, flight);
        return NULL;
    }
    return flight;
}

/* The flight that has to ask the store; or NULL, and the reason that settles the copy without asking. */
static struct idem_flight *prepare(struct idem_receiver *receiver,
                                   const struct idem_message *message,
                                   struct idem_delivery *delivery,
                                   enum idem_reason *reason) {
    struct idem_key_part parts[IDEM_EXTRACTORS_MAX];
    const struct idem_rule *rule = delivery->rule;
    size_t count = 0;
    if (rule == NULL) {
        *reason = IDEM_REASON_NO_RULE;
        return NULL;
    }
    if (rule->strategy == IDEM_STRATEGY_NATURAL || message->deletion) {
        *reason = IDEM_REASON_NATURAL;
        return NULL;
    }
    if (identify(receiver, delivery, message, parts, &count) != IDEM_IDENTITY_OK) {
        *reason = IDEM_REASON_MISSING_KEY;
        return NULL;
    }
    if (receiver->room != NULL && !receiver->room(receiver->room_arg)) {
        *reason = IDEM_REASON_STORE_FAILURE;
        delivery->store_code = IDEM_ERR_FULL;
        return NULL;
    }
    struct idem_flight *flight = start_flight(receiver, delivery, parts, count);
    if (flight == NULL) {
        *reason = IDEM_REASON_STORE_FAILURE;
        delivery->store_code = IDEM_ERR_NOMEM;
    }
    return flight;
}

static void start_delivery(struct idem_delivery *delivery, const struct idem_rule *rule,
                           const struct idem_message *message,
                           const struct idem_counter_row *row) {
    memset(delivery, 0, sizeof *delivery);
    delivery->rule = rule;
    delivery->rule_name = row->name;
    delivery->ttl_ms = rule != NULL ? idem_rule_ttl(rule, message) : 0;
    delivery->deferrable =
        rule != NULL && rule->policies.on_store_failure == IDEM_ACTION_DELIVER;
}

void idem_receiver_submit(struct idem_receiver *receiver,
                          const struct idem_message *message, int64_t now_ms,
                          struct idem_delivery *delivery, idem_receiver_decided *decided,
                          void *arg) {
    static const struct idem_policies none = {.on_missing_key = IDEM_ACTION_DELIVER};
    const struct idem_rule *rule = match(receiver, message);
    struct idem_counter_row *row = row_of(receiver, rule);
    enum idem_reason reason = IDEM_REASON_NO_RULE;
    receiver->now_ms = now_ms;
    receiver->result.delivery = NULL;
    if (receiver->propagation != NULL) {
        receiver->propagation->delivery = NULL;
    }
    start_delivery(delivery, rule, message, row);
    struct idem_flight *flight = prepare(receiver, message, delivery, &reason);
    if (flight == NULL) {
        decide(receiver, delivery, reason, rule != NULL ? &rule->policies : &none, row);
        decided(arg, delivery);
        return;
    }
    flight->decided = decided;
    flight->arg = arg;
    claim(receiver, flight, now_ms);
}

size_t idem_receiver_propagation(const struct idem_receiver *receiver,
                                 const struct idem_delivery *delivery,
                                 const char *const **as, const char **text) {
    const struct idem_propagation *kept = receiver->propagation;
    *as = NULL;
    *text = NULL;
    if (kept == NULL || kept->delivery != delivery || kept->len == 0) {
        return 0;
    }
    *as = kept->as;
    *text = kept->text;
    return kept->len;
}

size_t idem_receiver_key(const struct idem_receiver *receiver,
                         const struct idem_delivery *delivery, const char **text) {
    const struct idem_propagation *kept = receiver->propagation;
    bool known = kept != NULL && kept->delivery == delivery;
    *text = known ? kept->key : NULL;
    return known ? kept->key_len : 0;
}
