/* SPDX-License-Identifier: MIT
 * Requests answered a second time without being delivered a second time. */
#include "replay.h"

#include "compat.h"

#include <stdlib.h>

void idem_replay_init(struct idem_replay *replay, struct idem_settle *settle) {
    memset(replay, 0, sizeof *replay);
    replay->settle = settle;
    idem_pairs_init(&replay->pairs, 0, 0);
}

void idem_replay_fini(struct idem_replay *replay) {
    if (replay->settle != NULL) {
        idem_pairs_fini(&replay->pairs);
    }
}

void idem_replay_configure(struct idem_replay *replay, struct idem_receiver *receiver,
                           const struct idem_config *config) {
    replay->receiver = receiver;
    replay->rules = &config->rules;
    replay->pairs.most_count = config->mqtt.replay_requests;
    replay->pairs.most_bytes = config->mqtt.replay_bytes;
}

static void count(struct idem_replay *replay, enum idem_replay_event event) {
    replay->counts[event]++;
}

/* ---- answering ---- */

static enum idem_replay_event publish(const char *topic, const struct idem_result *result,
                                      struct idem_span correlation, int qos,
                                      enum idem_replay_event sent) {
    mosquitto_property *properties = idem_replay_properties(result, correlation);
    if (properties == NULL) {
        return IDEM_REPLAY_UNSENT;
    }
    if (idem_compat_publish(topic, result->payload, qos, false, properties) !=
        MOSQ_ERR_SUCCESS) {
        mosquitto_property_free_all(&properties);
        return IDEM_REPLAY_UNSENT;
    }
    return sent;
}

static enum idem_replay_event answer(const struct idem_reply_to *reply_to,
                                     struct idem_span stored, int qos) {
    struct idem_result result;
    if (idem_result_decode(&result, stored) != IDEM_OK) {
        return IDEM_REPLAY_WITHOUT_RESULT; /* of a newer program, or not a response at all */
    }
    return idem_span_equal(result.fields[IDEM_RESULT_ADDRESS],
                           idem_span_text(reply_to->topic))
               ? publish(reply_to->topic, &result, reply_to->correlation, qos,
                         IDEM_REPLAY_ANSWERED)
               : IDEM_REPLAY_OTHER_TOPIC;
}

/* A repeat under the correlation data of its request gets the response when everybody does. */
static enum idem_replay_event await(struct idem_replay *replay,
                                    const struct idem_reply_to *reply_to,
                                    const struct idem_delivery *delivery, int qos,
                                    int64_t now_ms) {
    struct idem_pair *pair = idem_pairs_find(&replay->pairs, reply_to, now_ms);
    if (pair != NULL) {
        return IDEM_REPLAY_AWAITED;
    }
    pair = idem_pairs_of(&replay->pairs, &delivery->digest, now_ms);
    if (pair == NULL) {
        return IDEM_REPLAY_WITHOUT_RESULT;
    }
    if (strcmp(pair->topic, reply_to->topic) != 0) {
        return IDEM_REPLAY_OTHER_TOPIC;
    }
    return idem_pairs_wait(&replay->pairs, pair, reply_to->correlation, qos, now_ms)
               ? IDEM_REPLAY_AWAITED
               : IDEM_REPLAY_UNSENT;
}

/* Somebody else's request waits for a response to that address: ours must not be taken for it. */
static bool is_taken(struct idem_replay *replay, const struct idem_reply_to *reply_to,
                     const struct idem_delivery *delivery, int64_t now_ms) {
    const struct idem_pair *pair = idem_pairs_find(&replay->pairs, reply_to, now_ms);
    return pair != NULL && !idem_digest_equal(&pair->delivery.digest, &delivery->digest);
}

static void repeat(struct idem_replay *replay, const struct idem_reply_to *reply_to,
                   const struct idem_delivery *delivery, struct idem_span result, int qos,
                   int64_t now_ms) {
    if (reply_to->topic == NULL) {
        count(replay, IDEM_REPLAY_NO_ADDRESS);
    } else if (is_taken(replay, reply_to, delivery, now_ms)) {
        count(replay, IDEM_REPLAY_OTHER_TOPIC);
    } else if (result.len > 0) {
        count(replay, answer(reply_to, result, qos));
    } else {
        count(replay, await(replay, reply_to, delivery, qos, now_ms));
    }
}

/* ---- requests ---- */

static bool is_request(const struct idem_delivery *delivery) {
    return delivery->verdict == IDEM_VERDICT_DELIVER && delivery->claimed &&
           delivery->rule != NULL &&
           delivery->rule->policies.on_duplicate == IDEM_ACTION_REPLAY;
}

bool idem_replay_concerns(const struct idem_delivery *delivery) {
    return delivery->verdict == IDEM_VERDICT_REPLAY || is_request(delivery);
}

void idem_replay_done(struct idem_replay *replay, const struct idem_exchange *exchange,
                      const struct idem_delivery *delivery, struct idem_span result,
                      int qos, int64_t now_ms) {
    const struct idem_reply_to *reply_to = &exchange->reply_to;
    if (delivery->verdict == IDEM_VERDICT_REPLAY) {
        repeat(replay, reply_to, delivery, result, qos, now_ms);
    } else if (is_request(delivery) && reply_to->topic != NULL &&
               idem_pairs_add(&replay->pairs, reply_to, delivery, now_ms) == NULL) {
        count(replay, IDEM_REPLAY_UNPAIRED);
    }
}

/* ---- responses ---- */

static const struct idem_rule *rule_of(const struct idem_replay *replay,
                                       const struct idem_delivery *request) {
    for (size_t i = 0; i < replay->rules->count; i++) {
        const struct idem_rule *rule = &replay->rules->rules[i];
        if (strcmp(rule->name, request->rule_name) == 0) {
            return rule->policies.on_duplicate == IDEM_ACTION_REPLAY ? rule : NULL;
        }
    }
    return NULL;
}

static void store(struct idem_replay *replay, struct idem_delivery *request,
                  const struct idem_result *result, int64_t now_ms) {
    size_t size = idem_result_size(result);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) {
        count(replay, IDEM_REPLAY_TOO_LARGE); /* for the memory that there is */
        return;
    }
    idem_result_encode(bytes, result);
    idem_receiver_complete_with(replay->receiver, request, now_ms,
                                idem_span_of(bytes, size), NULL, NULL);
    free(bytes);
}

static void keep(struct idem_replay *replay, struct idem_delivery *request,
                 const struct idem_result *result, int64_t now_ms) {
    const struct idem_rule *rule = rule_of(replay, request);
    if (rule == NULL) {
        return; /* it stores none any more */
    }
    switch (idem_result_judge(&rule->result, result)) {
    case IDEM_RESULT_STORE:
        store(replay, request, result, now_ms);
        return;
    case IDEM_RESULT_FAILED:
        count(replay, IDEM_REPLAY_FAILED);
        idem_settle_withdraw(replay->settle, &request->digest);
        idem_receiver_withdraw(replay->receiver, request, NULL, NULL);
        return;
    case IDEM_RESULT_TOO_LARGE:
    case IDEM_RESULT_FATE_COUNT:
        break;
    }
    count(replay, IDEM_REPLAY_TOO_LARGE);
}

static void answer_waiters(struct idem_replay *replay, const struct idem_pair *pair,
                           const struct idem_result *result) {
    for (const struct idem_pair_waiter *waiter = STAILQ_FIRST(&pair->waiters);
         waiter != NULL; waiter = STAILQ_NEXT(waiter, next)) {
        enum idem_replay_event event =
            publish(pair->topic, result,
                    idem_span_of(waiter->correlation, waiter->correlation_size),
                    waiter->qos, IDEM_REPLAY_AWAITED);
        if (event == IDEM_REPLAY_UNSENT) {
            count(replay, event);
        }
    }
}

static void answered(struct idem_replay *replay, struct idem_pair *pair,
                     const struct mosquitto_evt_message *event, int64_t now_ms) {
    struct idem_response response;
    if (idem_response_read(&response, event)) {
        keep(replay, &pair->delivery, &response.result, now_ms);
        answer_waiters(replay, pair, &response.result);
    } else {
        count(replay, IDEM_REPLAY_TOO_LARGE);
    }
    idem_response_fini(&response);
    idem_pairs_remove(&replay->pairs, pair);
}

void idem_replay_response(struct idem_replay *replay,
                          const struct mosquitto_evt_message *event, int64_t now_ms) {
    struct idem_exchange exchange;
    if (!idem_pairs_may_have(&replay->pairs, event->topic)) {
        return;
    }
    idem_exchange_read(&exchange, event->properties);
    const struct idem_reply_to to = {event->topic, exchange.reply_to.correlation};
    struct idem_pair *pair = idem_pairs_find(&replay->pairs, &to, now_ms);
    if (pair != NULL) {
        answered(replay, pair, event, now_ms);
    }
    idem_exchange_fini(&exchange);
}

const char *idem_replay_event_name(enum idem_replay_event event) {
    static const char *const names[IDEM_REPLAY_EVENT_COUNT] = {
        [IDEM_REPLAY_ANSWERED] = "answered",
        [IDEM_REPLAY_AWAITED] = "awaited",
        [IDEM_REPLAY_NO_ADDRESS] = "no_response_topic",
        [IDEM_REPLAY_OTHER_TOPIC] = "other_response_topic",
        [IDEM_REPLAY_WITHOUT_RESULT] = "without_result",
        [IDEM_REPLAY_UNSENT] = "unsent",
        [IDEM_REPLAY_TOO_LARGE] = "too_large",
        [IDEM_REPLAY_FAILED] = "failed",
        [IDEM_REPLAY_UNPAIRED] = "unpaired",
    };
    return names[event];
}
