/* SPDX-License-Identifier: MIT
 * A producer's question on its way to the server and back. */
#include "store/redis/command.h"
#include "store/redis/operation_own.h"
#include "store/redis/producer.h"
#include "store/redis/redis.h"

static const struct idem_request_kind fetch_kind;
static const struct idem_request_kind replace_kind;

static struct idem_producer *producer_of(const struct idem_operation *operation) {
    return operation->arg;
}

static void fetch_write(const struct idem_request *request,
                        const struct idem_server *server, struct idem_bytes *out) {
    (void)server;
    idem_command_begin(out, 2);
    idem_command_text(out, "GET");
    idem_operation_add_key(out, &((const struct idem_operation *)request)->digest);
}

static void replace_write(const struct idem_request *request,
                          const struct idem_server *server, struct idem_bytes *out) {
    const struct idem_operation *operation = (const struct idem_operation *)request;
    const struct idem_producer *producer = producer_of(operation);
    idem_script_begin(out, server, IDEM_SCRIPT_REPLACE, &operation->digest, 3);
    idem_command_word(out, producer->seen.data, producer->seen.length);
    idem_command_word(out, producer->next.data, producer->next.length);
    idem_command_number(out, (uint64_t)producer->kept_ms);
}

/* Decides upon the record as it is now. What changes it has to be asked again, as long as there is time:
 * each time it is another program that got on, so all of them do. */
static enum idem_request_next decide(struct idem_operation *operation,
                                     const struct idem_session *session,
                                     const redisReply *reply) {
    struct idem_producer *producer = producer_of(operation);
    bool nothing = reply->type == REDIS_REPLY_NIL;
    if (!nothing && reply->type != REDIS_REPLY_STRING) {
        return idem_operation_finish(operation, IDEM_ERR_FORMAT);
    }
    enum idem_code code = idem_producer_see(producer, nothing ? idem_span_of(NULL, 0)
                                                              : idem_reply_text(reply));
    if (code == IDEM_OK) {
        code = idem_producer_decide(producer);
    }
    if (code != IDEM_OK || producer->next.length == 0) {
        return idem_operation_finish(operation, code);
    }
    if (session->now_ms - producer->since_ms >= session->options->location->timeout_ms) {
        return idem_operation_finish(operation, IDEM_ERR_UNAVAILABLE);
    }
    operation->base.kind = &replace_kind;
    return IDEM_REQUEST_AGAIN;
}

static enum idem_request_next fetch_answered(struct idem_request *request,
                                             struct idem_session *session,
                                             const redisReply *reply) {
    struct idem_operation *operation = (struct idem_operation *)request;
    if (reply->type == REDIS_REPLY_ERROR) {
        return idem_operation_refused(operation, session, reply, IDEM_SCRIPT_COUNT);
    }
    return decide(operation, session, reply);
}

static enum idem_request_next replace_answered(struct idem_request *request,
                                               struct idem_session *session,
                                               const redisReply *reply) {
    struct idem_operation *operation = (struct idem_operation *)request;
    const struct idem_producer *producer = producer_of(operation);
    if (reply->type == REDIS_REPLY_ERROR) {
        return idem_operation_refused(operation, session, reply, IDEM_SCRIPT_REPLACE);
    }
    idem_operation_loaded(session, IDEM_SCRIPT_REPLACE);
    if (reply->type != REDIS_REPLY_INTEGER) {
        return decide(operation, session, reply);
    }
    session->keys_changed += producer->seen.length == 0;
    return idem_operation_changed(operation, session, producer->durable);
}

static const struct idem_request_kind fetch_kind = {
    .write = fetch_write,
    .answered = fetch_answered,
    .failed = idem_operation_failed,
    .release = idem_operation_release,
};

static const struct idem_request_kind replace_kind = {
    .write = replace_write,
    .answered = replace_answered,
    .replicated = idem_operation_replicated,
    .failed = idem_operation_failed,
    .release = idem_operation_release,
};

static void answered(void *arg, const struct idem_answer *answer) {
    idem_producer_answer(arg, answer->code);
}

/* What is seen is worth a guess only where the question would change it. */
static const struct idem_request_kind *first_question(struct idem_producer *producer) {
    bool changes = producer->seen_before && idem_producer_decide(producer) == IDEM_OK &&
                   producer->next.length > 0;
    return changes ? &replace_kind : &fetch_kind;
}

void idem_producer_ask(struct idem_producer *producer) {
    if (producer->asking || producer->waiting.first == NULL) {
        return;
    }
    producer->asking = true;
    producer->asked = producer->waiting;
    idem_turns_init(&producer->waiting);
    struct idem_operation *operation = idem_operation_new(
        NULL, first_question(producer), &producer->digest, answered, producer);
    if (operation == NULL) {
        idem_producer_answer(producer, IDEM_ERR_NOMEM);
        return;
    }
    producer->since_ms = idem_redis_clock_ms();
    idem_redis_submit(producer->all->redis, &operation->base);
}
