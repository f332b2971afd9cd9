/* SPDX-License-Identifier: MIT
 * The end of a claim: completed when what was decided is certain, abandoned when it failed for certain. */
#include "receiver/internal.h"

void idem_receiver_settle_answered(void *arg, const struct idem_answer *answer) {
    struct idem_flight *flight = arg;
    struct idem_receiver *receiver = flight->receiver;
    if (receiver == NULL) {
        idem_flight_free(flight);
        return;
    }
    if (answer->code == IDEM_OK) {
        idem_counter_raise(flight->success);
        if (flight->results != NULL) {
            idem_counter_raise(flight->results);
        }
    } else {
        idem_counter_raise(&receiver->counters.settle_failures);
        idem_log_write(&receiver->log, IDEM_LOG_WARNING, "store.settle",
                       "a claim was not settled: %s", idem_code_text(answer->code));
    }
    if (flight->settled != NULL) {
        flight->settled(flight->arg, answer->code);
    }
    idem_flight_rest(&receiver->flights, flight);
}

/* What needs no answer of the store, or cannot ask for one. */
static void settle_at_once(enum idem_code code, idem_receiver_settled *settled,
                           void *arg) {
    if (settled != NULL) {
        settled(arg, code);
    }
}

struct idem_flight *idem_receiver_start_settling(struct idem_receiver *receiver,
                                                 _Atomic uint64_t *success,
                                                 idem_receiver_settled *settled,
                                                 void *arg) {
    struct idem_flight *flight = idem_flight_take(&receiver->flights, receiver);
    if (flight == NULL) {
        /* the claim stays until its lease ends: its next copy is in doubt */
        idem_counter_raise(&receiver->counters.settle_failures);
        settle_at_once(IDEM_ERR_NOMEM, settled, arg);
        return NULL;
    }
    flight->success = success;
    flight->results = NULL;
    flight->settled = settled;
    flight->arg = arg;
    return flight;
}

static struct idem_flight *start_settling(struct idem_receiver *receiver,
                                          struct idem_delivery *delivery,
                                          _Atomic uint64_t *success,
                                          idem_receiver_settled *settled, void *arg) {
    delivery->claimed = false;
    return idem_receiver_start_settling(receiver, success, settled, arg);
}

/* Only what is claimed can end, and a result can follow what has been completed. */
static bool can_complete(const struct idem_delivery *delivery, struct idem_span result) {
    return result.len <= IDEM_RESULT_MAX &&
           (delivery->claimed || (delivery->completed && result.len > 0));
}

void idem_receiver_complete_with(struct idem_receiver *receiver,
                                 struct idem_delivery *delivery, int64_t now_ms,
                                 struct idem_span result, idem_receiver_settled *settled,
                                 void *arg) {
    const struct idem_completion completion = {
        .digest = delivery->number.present ? delivery->producer : delivery->digest,
        .number = delivery->number,
        .owner = receiver->owner,
        .now_ms = now_ms,
        .ttl_ms = delivery->ttl_ms,
        .durable = receiver->durable,
        .deferrable = delivery->deferrable,
        .result = result,
    };
    struct idem_counters *counters = &receiver->counters;
    receiver->now_ms = now_ms;
    if (!can_complete(delivery, result)) {
        settle_at_once(IDEM_ERR_INVALID, settled, arg);
        return;
    }
    bool first = delivery->claimed;
    struct idem_flight *flight =
        start_settling(receiver, delivery,
                       first ? &counters->completed : &counters->results, settled, arg);
    if (flight != NULL) {
        delivery->completed = true;
        flight->results = first && result.len > 0 ? &counters->results : NULL;
        idem_store_complete(receiver->store, &completion, idem_receiver_settle_answered,
                            flight);
    }
}

void idem_receiver_complete(struct idem_receiver *receiver,
                            struct idem_delivery *delivery, int64_t now_ms,
                            idem_receiver_settled *settled, void *arg) {
    idem_receiver_complete_with(receiver, delivery, now_ms, idem_span_of(NULL, 0),
                                settled, arg);
}

/* A copy that was in doubt and has not been delivered stays in doubt: if its claim were forgotten, the
 * next copy would be new and be delivered against the policy that quarantines or drops. Its lease ends by
 * itself. */
static bool keeps_its_doubt(const struct idem_delivery *delivery) {
    return delivery->reason == IDEM_REASON_IN_DOUBT &&
           delivery->verdict != IDEM_VERDICT_DELIVER;
}

static void give_up(struct idem_receiver *receiver, struct idem_delivery *delivery,
                    bool completed, idem_receiver_settled *settled, void *arg) {
    const struct idem_abandonment abandonment = {
        .digest = delivery->number.present ? delivery->producer : delivery->digest,
        .number = delivery->number,
        .owner = receiver->owner,
        .completed = completed,
    };
    struct idem_flight *flight =
        start_settling(receiver, delivery, &receiver->counters.abandoned, settled, arg);
    if (flight != NULL) {
        idem_store_abandon(receiver->store, &abandonment, idem_receiver_settle_answered,
                           flight);
    }
}

void idem_receiver_abandon(struct idem_receiver *receiver, struct idem_delivery *delivery,
                           idem_receiver_settled *settled, void *arg) {
    if (!delivery->claimed) {
        settle_at_once(IDEM_ERR_INVALID, settled, arg);
        return;
    }
    if (keeps_its_doubt(delivery)) {
        delivery->claimed = false;
        idem_counter_raise(&receiver->counters.abandoned);
        settle_at_once(IDEM_OK, settled, arg);
        return;
    }
    give_up(receiver, delivery, false, settled, arg);
}

void idem_receiver_withdraw(struct idem_receiver *receiver,
                            struct idem_delivery *delivery,
                            idem_receiver_settled *settled, void *arg) {
    if (!delivery->completed || delivery->claimed) {
        settle_at_once(IDEM_ERR_INVALID, settled, arg);
        return;
    }
    delivery->completed = false;
    give_up(receiver, delivery, true, settled, arg);
}
