/* SPDX-License-Identifier: MIT
 * The queue that workers reply to: what the reply machine asks for is carried out here. */
#include "replies.h"

#include "fault.h"
#include "reply.h"
#include "response.h"
#include "rpc.h"
#include "token.h"

#include <idem/clock.h>

#include <stdlib.h>

#define LOOK_MS 100 /* before a reply whose request is elsewhere is put back */
/* A store that cannot answer. Copies ask again after up to 2 s: the reply had better be first, since a lease
 * may have ended meanwhile, and then the first copy would be in doubt. */
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 400

/* One reply. */
struct answer {
    struct idem_reply reply;
    struct idem_replies *replies;
    struct idem_letter letter;
    struct idem_ack_node ack;
    struct event pause;
    TAILQ_ENTRY(answer) live;
    struct idem_token token;
    enum idem_result_fate fate;
    uint8_t *result; /* owned: encoded */
    size_t result_len;
    struct idem_waiting waiting; /* whom it answers, where no store does */
    unsigned pauses;
};
TAILQ_HEAD(answers, answer);

struct idem_replies {
    struct idem_worker *worker;
    struct idem_consumer consumer;
    struct answers live;
    struct answers resting;
    struct answer *incoming;
    struct idem_reply_counts counts;
    _Atomic uint64_t ended[IDEM_RESULT_FATE_COUNT];
    struct idem_response response; /* of the reply that has just come */
    amqp_pool_t scratch;
};

static void step(struct answer *answer, enum idem_reply_event event);

static void woken(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    step(arg, IDEM_REPLY_ON_WAKE);
}

static struct answer *take(struct idem_replies *replies) {
    struct answer *answer = TAILQ_FIRST(&replies->resting);
    if (answer != NULL) {
        TAILQ_REMOVE(&replies->resting, answer, live);
    } else {
        answer = calloc(1, sizeof *answer);
        if (answer == NULL) {
            return NULL;
        }
        answer->replies = replies;
        if (event_assign(&answer->pause, replies->worker->base, -1, 0, woken, answer) !=
            0) {
            free(answer);
            return NULL;
        }
    }
    memset(&answer->reply, 0, sizeof answer->reply);
    answer->pauses = 0;
    TAILQ_INIT(&answer->waiting);
    TAILQ_INSERT_TAIL(&replies->live, answer, live);
    return answer;
}

/* Whoever waits for an answer that does not come by this reply looks for itself. */
static void rest(struct answer *answer) {
    struct idem_replies *replies = answer->replies;
    idem_rpc_wake(&answer->waiting);
    (void)event_del(&answer->pause);
    idem_letter_rest(&answer->letter);
    free(answer->result);
    answer->result = NULL;
    answer->result_len = 0;
    TAILQ_REMOVE(&replies->live, answer, live);
    TAILQ_INSERT_HEAD(&replies->resting, answer, live);
}

static struct idem_span result_of(const struct answer *answer) {
    return idem_span_of(answer->result, answer->result_len);
}

/* What the requester gets: by the store, or from here. */
static void hand_on(struct answer *answer) {
    struct idem_worker *worker = answer->replies->worker;
    if (answer->fate != IDEM_RESULT_STORE) {
        idem_rpc_answer(&answer->waiting, result_of(answer));
        return;
    }
    struct idem_waiting waiting;
    idem_rpc_take_waiting(worker, &answer->token.ticket.digest, &waiting);
    idem_rpc_wake(&waiting);
}

static void settled(void *arg, enum idem_code code) {
    struct answer *answer = arg;
    enum idem_reply_event event = idem_reply_settlement(code);
    if (event == IDEM_REPLY_ON_SETTLED) {
        IDEM_FAULT_POINT("recorded");
        (void)atomic_fetch_add_explicit(&answer->replies->ended[answer->fate], 1,
                                        memory_order_relaxed);
        hand_on(answer);
    }
    step(answer, event);
}

static void settle(struct answer *answer) {
    struct idem_receiver *receiver = answer->replies->worker->receiver;
    bool stores = answer->fate == IDEM_RESULT_STORE;
    if (answer->fate == IDEM_RESULT_FAILED) {
        idem_receiver_abandon_ticket(receiver, &answer->token.ticket, settled, answer);
    } else {
        idem_receiver_complete_ticket(
            receiver, &answer->token.ticket, idem_clock_wall_ms(),
            stores ? result_of(answer) : idem_span_of(NULL, 0), settled, answer);
    }
    IDEM_FAULT_POINT("recording");
}

static void looked(void *arg, const struct idem_answer *found) {
    struct answer *answer = arg;
    bool gone = found->code == IDEM_ERR_NOT_FOUND ||
                (found->code == IDEM_OK && found->record.state != IDEM_RECORD_PENDING);
    step(answer, gone ? IDEM_REPLY_ON_DEAD : IDEM_REPLY_ON_OPEN);
}

static void look(struct answer *answer) {
    idem_store_lookup(answer->replies->worker->store, &answer->token.ticket.digest,
                      idem_clock_wall_ms(), looked, answer);
}

static void wait(struct answer *answer) {
    int64_t delay_ms = LOOK_MS;
    if (answer->reply.state == IDEM_REPLY_PAUSING) {
        delay_ms = answer->pauses < 2 ? PAUSE_MIN_MS << answer->pauses : PAUSE_MAX_MS;
        answer->pauses++;
    }
    const struct timeval delay = {delay_ms / 1000, (delay_ms % 1000) * 1000};
    (void)event_add(&answer->pause, &delay);
}

static void put_back(struct answer *answer) {
    if (idem_consumer_reject(&answer->replies->consumer, &answer->ack, true)) {
        step(answer, IDEM_REPLY_ON_TOLD);
    }
}

static void step(struct answer *answer, enum idem_reply_event event) {
    switch (idem_reply_step(&answer->reply, event, &answer->replies->counts)) {
    case IDEM_REPLY_DO_NOTHING:
        break;
    case IDEM_REPLY_DO_SETTLE:
        settle(answer);
        break;
    case IDEM_REPLY_DO_LOOK:
        look(answer);
        break;
    case IDEM_REPLY_DO_WAIT:
        wait(answer);
        break;
    case IDEM_REPLY_DO_ACK:
        idem_rpc_wake(&answer->waiting);
        idem_acks_settle(&answer->replies->consumer.acks, &answer->ack);
        break;
    case IDEM_REPLY_DO_PUT_BACK:
        put_back(answer);
        break;
    case IDEM_REPLY_DO_RELEASE:
        rest(answer);
        break;
    }
}

/* The rules may have been replaced since it was asked: then what is said of no rule is good enough. */
static const struct idem_result_spec *spec_of(const struct idem_worker *worker,
                                              uint64_t wanted) {
    static const struct idem_result_spec unknown = {.max = 64 * 1024};
    const struct idem_ruleset *rules = idem_worker_rules(worker);
    for (size_t i = 0; i < rules->count; i++) {
        if (idem_token_rule(rules->rules[i].name) == wanted) {
            return &rules->rules[i].result;
        }
    }
    return &unknown;
}

/* With the types that it came with, which can make it longer than what it was judged by. */
static enum idem_code keep_result(struct answer *answer,
                                  const amqp_basic_properties_t *properties,
                                  size_t most) {
    struct idem_replies *replies = answer->replies;
    struct idem_result *result = &replies->response.result;
    bool whole = true;
    enum idem_code code = idem_response_read(
        &replies->response, properties, idem_letter_payload(&answer->letter),
        IDEM_RESPONSE_TO_STORE, &replies->scratch, &whole);
    if (code != IDEM_OK) {
        return code;
    }
    if (idem_result_size(result) == 0) {
        result->header_count = 0;
        whole = false;
    }
    answer->result_len = idem_result_size(result);
    answer->result = malloc(answer->result_len);
    if (answer->result == NULL) {
        return IDEM_ERR_NOMEM;
    }
    idem_result_encode(answer->result, result);
    if (answer->fate == IDEM_RESULT_STORE && (!whole || answer->result_len > most)) {
        answer->fate = IDEM_RESULT_TOO_LARGE;
    }
    return IDEM_OK;
}

static enum idem_code judge_result(struct answer *answer,
                                   const amqp_basic_properties_t *properties) {
    struct idem_replies *replies = answer->replies;
    const struct idem_result_spec *spec = spec_of(replies->worker, answer->token.rule);
    bool whole = true;
    enum idem_code code = idem_response_read(
        &replies->response, properties, idem_letter_payload(&answer->letter),
        IDEM_RESPONSE_TO_JUDGE, &replies->scratch, &whole);
    if (code != IDEM_OK) {
        return code;
    }
    answer->fate = idem_result_judge(spec, &replies->response.result);
    return keep_result(answer, properties, spec->max);
}

/* What is not stored can be given only by the worker that has the request, and only before its lease is over:
 * the claim can be another copy's afterwards. A failure that is over is of no use to anybody; one that was too
 * large says at least that the request has been done. */
static enum idem_reply_event find_request(struct answer *answer, bool again) {
    const struct idem_token *token = &answer->token;
    struct idem_worker *worker = answer->replies->worker;
    if (answer->fate == IDEM_RESULT_STORE) {
        return IDEM_REPLY_ON_FOUND;
    }
    if (idem_clock_wall_ms() >= token->lease_until_ms) {
        return answer->fate == IDEM_RESULT_FAILED ? IDEM_REPLY_ON_STRAY
                                                  : IDEM_REPLY_ON_FOUND;
    }
    if (!idem_rpc_may_answer(worker, &token->ticket.digest, again)) {
        return IDEM_REPLY_ON_ELSEWHERE;
    }
    idem_rpc_take_waiting(worker, &token->ticket.digest, &answer->waiting);
    return IDEM_REPLY_ON_FOUND;
}

static bool has_token(struct answer *answer, const amqp_basic_properties_t *properties) {
    const struct idem_config *config = answer->replies->worker->options->config;
    return (properties->_flags & AMQP_BASIC_CORRELATION_ID_FLAG) != 0 &&
           idem_token_read(&answer->token, idem_rabbit_span(properties->correlation_id),
                           &config->rules.secret);
}

static struct idem_letter *begin(void *arg) {
    struct idem_replies *replies = arg;
    replies->incoming = take(replies);
    return replies->incoming != NULL ? &replies->incoming->letter : NULL;
}

static void broken(void *arg) {
    struct idem_replies *replies = arg;
    rest(replies->incoming);
    replies->incoming = NULL;
}

static void arrived(void *arg, const struct idem_consumed *consumed) {
    struct idem_replies *replies = arg;
    struct answer *answer = replies->incoming;
    IDEM_FAULT_POINT("replied");
    if (!has_token(answer, consumed->properties)) {
        idem_log_write(
            &replies->worker->log, IDEM_LOG_INFO, "reply.alien",
            "a message in the queue of replies answers nothing that was asked");
        idem_acks_open(&replies->consumer.acks, &answer->ack, consumed->tag);
        step(answer, IDEM_REPLY_ON_ALIEN);
    } else if (judge_result(answer, consumed->properties) != IDEM_OK) {
        idem_consumer_fail(&replies->consumer, "no memory for a reply");
        rest(answer);
    } else {
        idem_acks_open(&replies->consumer.acks, &answer->ack, consumed->tag);
        step(answer, find_request(answer, consumed->redelivered));
    }
    replies->incoming = NULL;
    recycle_amqp_pool(&replies->scratch);
}

enum idem_code idem_replies_open(struct idem_replies **replies,
                                 struct idem_worker *worker) {
    static const struct idem_consumer_ops ops = {begin, arrived, broken, NULL};
    const struct idem_bridge_options *options = worker->options;
    struct idem_replies *opened = calloc(1, sizeof *opened);
    *replies = opened;
    if (opened == NULL) {
        return IDEM_ERR_NOMEM;
    }
    const struct idem_consumer_terms terms = {
        .name = "replies",
        .queue = options->config->bridge.replies.queue,
        .label = "idem-replies",
        .prefetch = options->config->bridge.replies.prefetch,
        .of_replies = true,
        .ops = &ops,
        .arg = opened,
    };
    opened->worker = worker;
    TAILQ_INIT(&opened->live);
    TAILQ_INIT(&opened->resting);
    init_amqp_pool(&opened->scratch, 4096);
    return idem_consumer_init(&opened->consumer, worker, &options->sink, &terms);
}

enum idem_code idem_replies_start(struct idem_replies *replies,
                                  struct idem_error *error) {
    return idem_end_start(&replies->consumer.end, error);
}

bool idem_replies_read(struct idem_replies *replies) {
    return idem_consumer_read(&replies->consumer);
}

static bool send_ack(void *arg, uint64_t tag, bool multiple) {
    struct idem_replies *replies = arg;
    if (!idem_consumer_ack(&replies->consumer, tag, multiple)) {
        return false;
    }
    IDEM_FAULT_POINT("reply_told");
    return true;
}

static void told(void *arg, struct idem_ack_node *node) {
    (void)arg;
    step((struct answer *)(void *)((char *)node - offsetof(struct answer, ack)),
         IDEM_REPLY_ON_TOLD);
}

void idem_replies_flush(struct idem_replies *replies) {
    const struct idem_acks_sink sink = {send_ack, told, replies};
    if (idem_consumer_usable(&replies->consumer)) {
        (void)idem_acks_flush(&replies->consumer.acks, &sink);
    }
}

static void lost(struct idem_replies *replies) {
    idem_consumer_reset(&replies->consumer);
    struct answer *answer = TAILQ_FIRST(&replies->live);
    while (answer != NULL) {
        struct answer *next = TAILQ_NEXT(answer, live);
        if (!answer->reply.orphan) {
            step(answer, IDEM_REPLY_ON_LOST);
        }
        answer = next;
    }
}

void idem_replies_mend(struct idem_replies *replies) {
    if (replies->consumer.end.failed) {
        lost(replies);
        idem_end_down(&replies->consumer.end);
    }
}

bool idem_replies_pending(const struct idem_replies *replies) {
    return idem_link_buffered(&replies->consumer.end.link);
}

void idem_replies_leave(struct idem_replies *replies) {
    idem_link_close(&replies->consumer.end.link, replies->consumer.end.up);
}

struct idem_observed_end idem_replies_observe(struct idem_replies *replies) {
    return idem_end_observed(&replies->consumer.end);
}

void idem_replies_figures(const struct idem_replies *replies,
                          struct idem_reply_figures *figures) {
    const struct idem_reply_counts *counts = &replies->counts;
    for (size_t i = 0; i < IDEM_RESULT_FATE_COUNT; i++) {
        figures->ended[i] = replies->ended[i];
    }
    figures->stray = counts->on[IDEM_REPLY_ON_DEAD] + counts->on[IDEM_REPLY_ON_STRAY];
    figures->alien = counts->on[IDEM_REPLY_ON_ALIEN];
    figures->unexpected = counts->unexpected;
}

static void free_all(struct answers *answers) {
    struct answer *answer = TAILQ_FIRST(answers);
    while (answer != NULL) {
        struct answer *next = TAILQ_NEXT(answer, live);
        (void)event_del(&answer->pause);
        idem_letter_fini(&answer->letter);
        free(answer->result);
        free(answer);
        answer = next;
    }
}

void idem_replies_free(struct idem_replies *replies) {
    if (replies != NULL) {
        idem_consumer_fini(&replies->consumer);
        free_all(&replies->live);
        free_all(&replies->resting);
        empty_amqp_pool(&replies->scratch);
        free(replies);
    }
}
