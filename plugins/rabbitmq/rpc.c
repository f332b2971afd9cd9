/* SPDX-License-Identifier: MIT
 * Mode rpc: which parcels wait for which reply, how a request is asked, and how it is answered. */
#include "rpc.h"

#include "fault.h"
#include "outgoing.h"
#include "response.h"
#include "token.h"

#include <idem/clock.h>

#include <stdlib.h>

#define ANSWER_ROOM_KEPT ((size_t)16 * 1024)
#define DIRECT_REPLY_TO                                                                  \
    "amq.rabbitmq.reply-to." /* a client's own channel, behind the name of a queue */
#define FIELDS_ROOM 4096     /* for all but headers */
#define PERSISTENT  2        /* delivery mode */

/* The header of an answer that is the bridge's own, and what it says. */
#define RESULT     "x-idem-result"
#define NOT_STORED "none"    /* done, but its result was not kept */
#define REFUSED    "refused" /* not done by this copy: x-idem-reason says why */

static bool replays(const struct idem_parcel *parcel) {
    const struct idem_delivery *delivery = &parcel->delivery;
    const struct idem_rule *rule =
        delivery->rule != NULL ? delivery->rule
                               : idem_worker_rule(parcel->worker, delivery->rule_name);
    return rule != NULL && rule->policies.on_duplicate == IDEM_ACTION_REPLAY;
}

/* Decoded texts are where they were encoded. */
static amqp_basic_properties_t *decode(const struct idem_parcel *parcel) {
    struct idem_span raw = idem_letter_properties(&parcel->letter);
    void *decoded = NULL;
    return amqp_decode_properties(AMQP_BASIC_CLASS, &parcel->worker->scratch,
                                  idem_rabbit_bytes(raw), &decoded) == AMQP_STATUS_OK
               ? decoded
               : NULL;
}

void idem_rpc_note(struct idem_parcel *parcel) {
    struct idem_span raw = idem_letter_properties(&parcel->letter);
    const amqp_basic_properties_t *properties = replays(parcel) ? decode(parcel) : NULL;
    parcel->transfer.answerable = false;
    if (properties == NULL || (properties->_flags & AMQP_BASIC_REPLY_TO_FLAG) == 0 ||
        properties->reply_to.len == 0 ||
        raw.len + IDEM_RPC_ROOM > IDEM_LINK_FRAME_MAX / 2) {
        return;
    }
    parcel->reply_to_at =
        (size_t)((const uint8_t *)properties->reply_to.bytes - raw.data);
    parcel->reply_to_len = properties->reply_to.len;
    parcel->transfer.answerable = true;
}

struct idem_span idem_rpc_reply_to(const struct idem_parcel *parcel) {
    struct idem_span raw = idem_letter_properties(&parcel->letter);
    return idem_span_of(raw.data + parcel->reply_to_at, parcel->reply_to_len);
}

enum idem_code idem_rpc_keep_answer(struct idem_parcel *parcel, struct idem_span result) {
    parcel->answer_len = 0;
    if (result.len > parcel->answer_room) {
        uint8_t *answer = realloc(parcel->answer, result.len);
        if (answer == NULL) {
            return IDEM_ERR_NOMEM;
        }
        parcel->answer = answer;
        parcel->answer_room = result.len;
    }
    if (result.len > 0) {
        memcpy(parcel->answer, result.data, result.len);
    }
    parcel->answer_len = result.len;
    return IDEM_OK;
}

static void stop_waiting(struct idem_parcel *parcel) {
    if (parcel->waits != NULL) {
        TAILQ_REMOVE(parcel->waits, parcel, wait);
        parcel->waits = NULL;
    }
}

void idem_rpc_forget(struct idem_parcel *parcel) {
    stop_waiting(parcel);
    parcel->answer_len = 0;
    if (parcel->answer_room > ANSWER_ROOM_KEPT) {
        free(parcel->answer);
        parcel->answer = NULL;
        parcel->answer_room = 0;
    }
}

static struct idem_waiting *list_of(struct idem_worker *worker,
                                    const struct idem_digest *digest) {
    size_t index = digest->bytes[0] | (size_t)digest->bytes[1] << 8;
    return &worker->waiting[index & (IDEM_WAITING_LISTS - 1)];
}

static bool should_wait(const struct idem_parcel *parcel) {
    return parcel->transfer.answerable && parcel->delivery.has_identity &&
           (parcel->transfer.state == IDEM_TRANSFER_AWAITING ||
            (parcel->transfer.state == IDEM_TRANSFER_HELD &&
             parcel->delivery.reason == IDEM_REASON_IN_FLIGHT));
}

void idem_rpc_watch(struct idem_parcel *parcel) {
    if (!should_wait(parcel)) {
        stop_waiting(parcel);
    } else if (parcel->waits == NULL) {
        struct idem_waiting *list = list_of(parcel->worker, &parcel->delivery.digest);
        TAILQ_INSERT_TAIL(list, parcel, wait);
        parcel->waits = list;
        IDEM_FAULT_POINT("awaiting");
    }
}

void idem_rpc_take_waiting(struct idem_worker *worker, const struct idem_digest *digest,
                           struct idem_waiting *taken) {
    struct idem_waiting *list = list_of(worker, digest);
    struct idem_parcel *parcel = TAILQ_FIRST(list);
    TAILQ_INIT(taken);
    while (parcel != NULL) {
        struct idem_parcel *next = TAILQ_NEXT(parcel, wait);
        if (idem_digest_equal(&parcel->delivery.digest, digest)) {
            stop_waiting(parcel);
            (void)event_del(&parcel->pause);
            TAILQ_INSERT_TAIL(taken, parcel, wait);
            parcel->waits = taken;
        }
        parcel = next;
    }
}

bool idem_rpc_may_answer(const struct idem_worker *worker,
                         const struct idem_digest *digest, bool again) {
    const struct idem_waiting *list =
        list_of((struct idem_worker *)(uintptr_t)worker, digest);
    const struct idem_parcel *parcel = TAILQ_FIRST(list);
    while (parcel != NULL &&
           !(idem_digest_equal(&parcel->delivery.digest, digest) &&
             (again || parcel->transfer.state == IDEM_TRANSFER_AWAITING))) {
        parcel = TAILQ_NEXT(parcel, wait);
    }
    return parcel != NULL;
}

void idem_rpc_wake(struct idem_waiting *waiting) {
    struct idem_parcel *parcel;
    while ((parcel = TAILQ_FIRST(waiting)) != NULL) {
        stop_waiting(parcel);
        parcel->pauses = 0;
        idem_parcel_step(parcel, IDEM_ON_WAKE);
    }
}

/* Without memory for a copy of the answer, the parcel looks for itself: late, but not never. */
void idem_rpc_answer(struct idem_waiting *waiting, struct idem_span result) {
    struct idem_parcel *parcel;
    while ((parcel = TAILQ_FIRST(waiting)) != NULL) {
        bool kept = idem_rpc_keep_answer(parcel, result) == IDEM_OK;
        stop_waiting(parcel);
        idem_parcel_step(parcel, kept ? IDEM_ON_REPLIED : IDEM_ON_WAKE);
    }
}

enum idem_code idem_rpc_ask(const struct idem_parcel *parcel,
                            amqp_basic_properties_t *properties) {
    const struct idem_worker *worker = parcel->worker;
    const struct idem_config *config = worker->options->config;
    struct idem_token token = {.rule = idem_token_rule(parcel->delivery.rule_name),
                               .lease_until_ms = parcel->claim_until_ms};
    amqp_bytes_t text;
    amqp_pool_alloc_bytes(&parcel->worker->scratch, IDEM_TOKEN_SIZE, &text);
    if (text.bytes == NULL ||
        !idem_receiver_ticket(worker->receiver, &parcel->delivery, &token.ticket)) {
        return IDEM_ERR_NOMEM;
    }
    idem_token_print(text.bytes, &token, &config->rules.secret);
    properties->correlation_id = idem_rabbit_text(text.bytes);
    properties->reply_to = idem_rabbit_text(config->bridge.replies.queue);
    properties->_flags |= AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG;
    return IDEM_OK;
}

static bool is_refusal(const struct idem_parcel *parcel) {
    return idem_transfer_refuses(&parcel->transfer);
}

static void read_answer(const struct idem_parcel *parcel, struct idem_result *result) {
    if (is_refusal(parcel)) {
        memset(result, 0, sizeof *result);
        return;
    }
    /* what a newer version has written is an answer without content: it is empty then */
    if (idem_result_decode(result, idem_span_of(parcel->answer, parcel->answer_len)) !=
        IDEM_OK) {
        memset(result, 0, sizeof *result);
    }
}

struct idem_span idem_rpc_answer_payload(const struct idem_parcel *parcel) {
    struct idem_result result;
    read_answer(parcel, &result);
    return result.payload;
}

bool idem_rpc_answer_is_routed(const struct idem_parcel *parcel) {
    struct idem_span name = idem_rpc_reply_to(parcel);
    const size_t len = sizeof DIRECT_REPLY_TO - 1;
    return name.len < len || memcmp(name.data, DIRECT_REPLY_TO, len) != 0;
}

/* The requester's own correlation id. */
static enum idem_code correlate(const struct idem_parcel *parcel,
                                amqp_basic_properties_t *properties) {
    const amqp_basic_properties_t *request = decode(parcel);
    if (request == NULL) {
        return IDEM_ERR_NOMEM;
    }
    if ((request->_flags & AMQP_BASIC_CORRELATION_ID_FLAG) != 0) {
        properties->_flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
        properties->correlation_id = request->correlation_id;
    }
    return IDEM_OK;
}

/* What the answer says of itself: a worker's reply that comes for the first time, nothing. */
static void add_marks(struct idem_outgoing *outgoing, const struct idem_parcel *parcel) {
    if (is_refusal(parcel)) {
        idem_outgoing_add(outgoing, RESULT, idem_span_text(REFUSED));
        idem_dispatch_reasons(outgoing, parcel);
        return;
    }
    if (!parcel->transfer.asked) {
        idem_outgoing_add(outgoing, IDEM_RESULT_MARK,
                          idem_span_text(IDEM_RESULT_MARK_VALUE));
    }
    if (parcel->answer_len == 0) {
        idem_outgoing_add(outgoing, RESULT, idem_span_text(NOT_STORED));
    }
}

enum idem_code idem_rpc_answer_properties(const struct idem_parcel *parcel, size_t room,
                                          amqp_basic_properties_t *result) {
    amqp_pool_t *pool = &parcel->worker->scratch;
    amqp_basic_properties_t properties;
    struct idem_result answer;
    bool whole = true;
    read_answer(parcel, &answer);
    const size_t payload = answer.payload.len;
    struct idem_outgoing outgoing = {.properties = &properties,
                                     .encoded_len =
                                         parcel->answer_len - payload + IDEM_RPC_ROOM,
                                     .room = room};
    if (outgoing.encoded_len > room) {
        answer.header_count = 0; /* the worker's frames were larger than ours */
        outgoing.encoded_len = IDEM_RPC_ROOM + FIELDS_ROOM;
    }
    if (idem_response_write(&properties, &answer, pool) != IDEM_OK ||
        correlate(parcel, &properties) != IDEM_OK) {
        return IDEM_ERR_NOMEM;
    }
    add_marks(&outgoing, parcel);
    if (is_refusal(parcel) || parcel->answer_len == 0) {
        properties._flags |= AMQP_BASIC_DELIVERY_MODE_FLAG; /* as good as a reply */
        properties.delivery_mode = PERSISTENT;
    }
    IDEM_FAULT_POINT("answering");
    return idem_outgoing_build(&outgoing, pool, result, &whole);
}
