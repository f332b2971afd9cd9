/* SPDX-License-Identifier: MIT
 * What happens to an arriving message, and when. */
#include "intake.h"

#include "act.h"
#include "view.h"

#include <idem/clock.h>

#include <poll.h>

#define SPARES_MOST 1024 /* a burst's memory is given back */

void idem_intake_init(struct idem_intake *intake, struct idem_store *store,
                      bool answers_later, struct idem_settle *settle,
                      struct idem_replay *replay, const struct idem_log *log) {
    memset(intake, 0, sizeof *intake);
    intake->store = store;
    intake->settle = settle;
    intake->replay = replay;
    intake->log = log;
    intake->store_fd = answers_later ? idem_store_poll_fd(store) : -1;
    idem_park_init(&intake->park, 0, 0);
}

void idem_intake_fini(struct idem_intake *intake) {
    if (intake->store != NULL) {
        idem_waker_stop(&intake->waker);
        idem_park_fini(&intake->park);
        while (intake->spare != NULL) {
            struct idem_parked *place = intake->spare;
            intake->spare = place->next;
            idem_parked_free(place);
        }
    }
}

enum idem_code idem_intake_start(struct idem_intake *intake,
                                 struct idem_receiver *receiver,
                                 struct idem_error *error) {
    intake->receiver = receiver;
    intake->spare = idem_parked_new();
    if (intake->spare == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    intake->spares = 1;
    return intake->store_fd < 0
               ? IDEM_OK
               : idem_waker_start(&intake->waker, intake->store_fd, error);
}

void idem_intake_configure(struct idem_intake *intake, const struct idem_config *config) {
    intake->parks = config->store.wait != IDEM_WAIT_BLOCK;
    intake->park.most_messages = config->store.park_messages;
    intake->park.most_bytes = config->store.park_bytes;
}

/* ---- deciding ---- */

static bool refuses(const struct idem_rule *rule) {
    return rule != NULL && rule->policies.on_store_failure == IDEM_ACTION_REFUSE;
}

static bool blocks(const struct idem_intake *intake, const struct idem_parked *parked) {
    return !intake->parks || !intake->settle->ticking || refuses(parked->delivery.rule);
}

bool idem_intake_room(void *arg) {
    const struct idem_intake *intake = arg;
    return intake->store_fd < 0 || blocks(intake, intake->arriving) ||
           idem_park_has_room(&intake->park, intake->event);
}

static void abandon(struct idem_intake *intake, struct idem_delivery *delivery) {
    if (delivery->claimed) {
        idem_receiver_abandon(intake->receiver, delivery, NULL, NULL);
    }
}

static struct idem_stamp lent_key(const struct idem_intake *intake,
                                  const struct idem_delivery *delivery) {
    struct idem_stamp key = {NULL, NULL};
    (void)idem_receiver_propagation(intake->receiver, delivery, &key.names, &key.value);
    return key;
}

static struct idem_span lent_result(const struct idem_intake *intake,
                                    const struct idem_delivery *delivery) {
    struct idem_span result = {NULL, 0};
    (void)idem_receiver_result(intake->receiver, delivery, &result);
    return result;
}

/* The key that the copy carries on, or the result that it is answered with, is lent until the next one is
 * submitted: an answer that comes later than that has to keep it. */
static void carry(struct idem_intake *intake, struct idem_parked *parked) {
    if (parked->delivery.verdict == IDEM_VERDICT_REPLAY && parked->result == NULL) {
        idem_parked_carry_result(&intake->park, parked,
                                 lent_result(intake, &parked->delivery));
    }
    if (parked->delivery.verdict == IDEM_VERDICT_DELIVER && parked->carried == NULL) {
        const struct idem_stamp key = lent_key(intake, &parked->delivery);
        idem_parked_carry(parked, &key);
    }
}

static struct idem_parked *take_place(struct idem_intake *intake) {
    struct idem_parked *place = intake->spare;
    if (place == NULL) {
        return idem_parked_new();
    }
    intake->spare = place->next;
    intake->spares--;
    place->next = NULL;
    return place;
}

static void give_place_back(struct idem_intake *intake, struct idem_parked *place) {
    if (intake->spares >= SPARES_MOST) {
        idem_parked_free(place);
        return;
    }
    idem_parked_clear(place);
    place->next = intake->spare;
    intake->spare = place;
    intake->spares++;
}

static void decided(void *arg, struct idem_delivery *delivery) {
    struct idem_parked *parked = arg;
    struct idem_intake *intake = parked->owner;
    if (delivery->has_identity) {
        idem_latency_note(&intake->latency,
                          idem_clock_monotonic_ns() - parked->submitted_ns);
    }
    if (parked->given_up) {
        abandon(intake, delivery);
        idem_parked_free(parked);
        return;
    }
    idem_parked_decide(&intake->park, parked);
    if (parked != intake->arriving) {
        carry(intake, parked);
    }
}

static void submit(struct idem_intake *intake, struct idem_parked *parked,
                   const struct mosquitto_evt_message *event, int64_t now_ms) {
    struct idem_view view;
    idem_view_init(&view, event);
    parked->owner = intake;
    parked->submitted_ns = idem_clock_monotonic_ns();
    intake->event = event;
    intake->arriving = parked;
    idem_receiver_submit(intake->receiver, &view.message, now_ms, &parked->delivery,
                         decided, parked);
    intake->event = NULL;
    intake->arriving = NULL;
    idem_view_fini(&view);
}

/* The store answers within its deadline, if only that it has no answer. */
static void wait_for(struct idem_intake *intake, const struct idem_parked *parked) {
    struct pollfd store = {.fd = intake->store_fd, .events = POLLIN};
    idem_store_dispatch(intake->store); /* sends what is written */
    while (!parked->decided) {
        (void)poll(&store, 1, -1);
        idem_store_dispatch(intake->store);
    }
}

/* ---- carrying out ---- */

/* A copy that only shows a duplicate may be lost with the broker's queue. */
static bool is_worth_keeping(const struct idem_delivery *delivery) {
    return delivery->claimed || (delivery->verdict != IDEM_VERDICT_DROP &&
                                 delivery->verdict != IDEM_VERDICT_REPLAY);
}

/* What is known of a request or of its repeat when it has been carried out. */
static void tell_replay(struct idem_intake *intake, const struct idem_parked *parked,
                        const struct idem_exchange *exchange, int qos, int64_t now_ms) {
    struct idem_span result = idem_span_of(parked->result, parked->result_size);
    if (result.len == 0) {
        result = lent_result(intake, &parked->delivery);
    }
    idem_replay_done(intake->replay, exchange, &parked->delivery, result, qos, now_ms);
}

static void tell_replay_now(struct idem_intake *intake, const struct idem_parked *parked,
                            const struct mosquitto_evt_message *event, int64_t now_ms) {
    struct idem_exchange exchange;
    if (idem_replay_concerns(&parked->delivery)) {
        idem_exchange_read(&exchange, event->properties);
        tell_replay(intake, parked, &exchange, event->qos, now_ms);
        idem_exchange_fini(&exchange);
    }
}

static int act_now(struct idem_intake *intake, struct idem_parked *parked,
                   struct mosquitto_evt_message *event, int64_t now_ms) {
    struct idem_delivery *delivery = &parked->delivery;
    bool mqtt5 = mosquitto_client_protocol_version(event->client) == 5;
    struct idem_handover handover;
    struct idem_act_request request = {
        .plan = idem_plan_of(delivery, event->qos, mqtt5),
        .key = parked->key,
        .reason = idem_reason_name(delivery->reason),
    };
    if (delivery->verdict == IDEM_VERDICT_DELIVER && request.key.names == NULL) {
        request.key = lent_key(intake, delivery);
    }
    int rc = idem_act_on(event, &request, &handover);
    if (rc == MOSQ_ERR_SUCCESS) {
        tell_replay_now(intake, parked, event, now_ms);
    }
    bool waits = handover.topic != NULL && is_worth_keeping(delivery);
    if (rc == MOSQ_ERR_SUCCESS && (delivery->claimed || waits)) {
        idem_settle_add(intake->settle, delivery, &handover, event->client, now_ms);
        return rc;
    }
    abandon(intake, delivery); /* nothing was delivered */
    idem_handover_fini(&handover);
    return rc;
}

static bool is_denied(const struct idem_delivery *delivery,
                      const struct mosquitto_evt_message *event) {
    bool mqtt5 = mosquitto_client_protocol_version(event->client) == 5;
    enum idem_act act = idem_plan_of(delivery, event->qos, mqtt5).act;
    return act == IDEM_ACT_DENY || act == IDEM_ACT_DISCONNECT;
}

static bool is_untouched(const struct idem_delivery *delivery) {
    return delivery->reason == IDEM_REASON_NO_RULE ||
           delivery->reason == IDEM_REASON_NATURAL;
}

/* Whether a message that is decided has to wait for those before it. */
static bool joins_the_line(const struct idem_intake *intake,
                           const struct idem_parked *parked,
                           const struct mosquitto_evt_message *event) {
    if (intake->park.count == 0 || !idem_park_has_room(&intake->park, event) ||
        is_denied(&parked->delivery, event)) {
        return false;
    }
    return !is_untouched(&parked->delivery) ||
           idem_park_has_route(&intake->park, mosquitto_client_id(event->client),
                               event->topic);
}

static int park(struct idem_intake *intake, struct idem_parked *parked,
                struct mosquitto_evt_message *event) {
    if (parked->decided) {
        carry(intake, parked);
    }
    int rc = idem_park_add(&intake->park, parked, event);
    if (rc == MOSQ_ERR_SUCCESS) {
        return rc;
    }
    if (parked->decided) {
        abandon(intake, &parked->delivery);
        give_place_back(intake, parked);
    } else {
        parked->given_up = true; /* its claim is under way */
    }
    return rc;
}

static void tell_of_blocking(struct idem_intake *intake) {
    if (intake->parks && !intake->settle->ticking && !intake->told_of_blocking) {
        intake->told_of_blocking = true;
        idem_log_write(
            intake->log, IDEM_LOG_WARNING, "park.impossible",
            "this broker gives plugins no ticks (Mosquitto 2.0.11 does not under "
            "per_listener_settings true; 2.0.21 does): messages cannot be "
            "parked, each waits for the store as with store.wait: block");
    }
}

int idem_intake_message(struct idem_intake *intake, struct mosquitto_evt_message *event,
                        int64_t now_ms) {
    struct idem_parked *parked = take_place(intake);
    if (parked == NULL) {
        return MOSQ_ERR_NOMEM; /* no acknowledgement: the client keeps the message */
    }
    submit(intake, parked, event, now_ms);
    if (!parked->decided && blocks(intake, parked)) {
        tell_of_blocking(intake);
        wait_for(intake, parked);
    }
    if (!parked->decided || joins_the_line(intake, parked, event)) {
        return park(intake, parked, event);
    }
    int rc = act_now(intake, parked, event, now_ms);
    give_place_back(intake, parked);
    return rc;
}

/* ---- handing on what was parked ---- */

static int hand_on(struct idem_intake *intake, struct idem_parked *parked,
                   int64_t now_ms) {
    struct idem_delivery *delivery = &parked->delivery;
    struct idem_handover handover;
    const struct idem_act_request request = {
        .plan = idem_plan_of_parked(delivery),
        .key = parked->key,
        .reason = idem_reason_name(delivery->reason),
    };
    const struct idem_act_message message = {
        .topic = parked->topic,
        .size = parked->payload_size,
        .qos = parked->qos,
        .retain = parked->retain,
    };
    struct idem_exchange exchange = {.reply_to = {.topic = NULL}};
    bool concerns = idem_replay_concerns(delivery);
    if (concerns) {
        idem_exchange_read(&exchange, parked->copy.properties);
    }
    int rc = idem_act_publish(&message, &parked->copy, &request, &handover);
    if (rc == MOSQ_ERR_SUCCESS && concerns) {
        tell_replay(intake, parked, &exchange, parked->qos, now_ms);
    }
    idem_exchange_fini(&exchange);
    if (rc != MOSQ_ERR_SUCCESS) {
        return rc;
    }
    if (is_worth_keeping(delivery)) {
        idem_settle_add(intake->settle, delivery, &handover, NULL, now_ms);
    } else {
        idem_handover_fini(&handover);
    }
    return rc;
}

/* As far as the first one that is undecided. Where memory is short the next turn goes on. */
static void hand_on_decided(struct idem_intake *intake, int64_t now_ms) {
    struct idem_parked *first = NULL;
    while ((first = intake->park.first) != NULL && first->decided &&
           idem_settle_reserve(intake->settle) == IDEM_OK) {
        int rc = hand_on(intake, first, now_ms);
        if (rc == MOSQ_ERR_NOMEM) {
            return;
        }
        if (rc != MOSQ_ERR_SUCCESS) {
            idem_log_write(intake->log, IDEM_LOG_ERROR, "park.refused",
                           "the broker refused a message that it had taken: error %d",
                           rc);
            abandon(intake, &first->delivery);
        }
        give_place_back(intake, idem_park_take(&intake->park));
    }
}

/* A busy loop ticks with every message; to talk to the store each time would cost more than all else. What
 * is put off is not forgotten: the waker sees to it that there is a turn in time. */
void idem_intake_turn(struct idem_intake *intake, int64_t now_ms) {
    if (intake->store_fd < 0) {
        return;
    }
    int64_t now_ns = idem_clock_monotonic_ns();
    bool put_off = now_ns - intake->dispatched_ns < IDEM_WAKER_BUSY_NS;
    if (!put_off) {
        intake->dispatched_ns = now_ns;
        idem_store_dispatch(intake->store);
        hand_on_decided(intake, now_ms);
    }
    bool waiting = intake->asked || intake->park.count > 0 || intake->settle->count > 0;
    idem_waker_turned(&intake->waker, now_ns, put_off && waiting);
}

void idem_intake_occasion(struct idem_intake *intake) {
    if (intake->store_fd >= 0 && !intake->settle->ticking) {
        idem_store_dispatch(intake->store);
    }
}

void idem_intake_stop(struct idem_intake *intake, int64_t now_ms) {
    struct idem_error error = IDEM_ERROR_INIT;
    if (intake->store_fd < 0 || intake->receiver == NULL) {
        return;
    }
    idem_waker_stop(&intake->waker);
    if (idem_store_sync(intake->store, &error) != IDEM_OK) {
        idem_log_write(intake->log, IDEM_LOG_ERROR, "store.sync", "%s", error.text);
    }
    hand_on_decided(intake, now_ms);
    if (intake->park.count > 0) {
        idem_log_write(intake->log, IDEM_LOG_ERROR, "park.lost",
                       "%zu messages that waited for the store are lost",
                       intake->park.count);
    }
}
