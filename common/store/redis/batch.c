/* SPDX-License-Identifier: MIT
 * Completions that go to the server as one command.
 *
 * To call a script costs the server more than what the script does, so those that would be written between two
 * dispatches are one call. Each record is still compared and replaced by itself, and answered by itself: to
 * whoever asked nothing is different. A batch that is answered with an error may have been carried out in
 * part; each of it is then asked for again by itself, which finds its own work done, or gets its own error.
 *
 * Only on a connection that is up, has answers to come (so that a dispatch is near: idle, an operation is sent
 * at once) and leads to all keys, and only where nobody waits for replicas. */
#include "store/redis/batch.h"
#include "store/redis/fault.h"
#include "store/redis/operation_own.h"
#include "store/redis/redis.h"
#include "store/redis/session.h"

#include <stdlib.h>

#define BATCH_MOST 64
#define OPEN_MOST  1024 /* requests on the connection */

struct idem_batch {
    struct idem_request base;
    struct idem_operation *operations[BATCH_MOST];
    unsigned count;
    unsigned rounds;
};

static void batch_write(const struct idem_request *request,
                        const struct idem_server *server, struct idem_bytes *out) {
    const struct idem_batch *batch = (const struct idem_batch *)request;
    idem_script_call(out, server, IDEM_SCRIPT_COMPLETE_ALL, batch->count,
                     1 + 2 * batch->count);
    for (unsigned i = 0; i < batch->count; i++) {
        idem_operation_add_key(out, &batch->operations[i]->digest);
    }
    idem_operation_add_owner(out, &batch->operations[0]->completion.owner);
    for (unsigned i = 0; i < batch->count; i++) {
        idem_completion_add_end(out, &batch->operations[i]->completion);
    }
}

static void batch_failed(struct idem_request *request, enum idem_code code) {
    struct idem_batch *batch = (struct idem_batch *)request;
    for (unsigned i = 0; i < batch->count; i++) {
        idem_operation_failed(&batch->operations[i]->base, code);
    }
}

static void batch_release(struct idem_request *request) {
    struct idem_batch *batch = (struct idem_batch *)request;
    for (unsigned i = 0; i < batch->count; i++) {
        idem_operation_release(&batch->operations[i]->base);
    }
    free(batch);
}

/* Each by itself, now. */
static void fall_apart(struct idem_batch *batch, struct idem_session *session) {
    int64_t deadline_ms = session->now_ms + session->options->location->timeout_ms;
    unsigned count = batch->count;
    batch->count = 0;
    for (unsigned i = 0; i < count; i++) {
        idem_session_write(session, &batch->operations[i]->base, deadline_ms);
    }
}

static enum idem_request_next batch_refused(struct idem_batch *batch,
                                            struct idem_session *session,
                                            const redisReply *reply) {
    struct idem_server *server = &session->server;
    struct idem_fault fault = idem_fault_of(reply);
    if (fault.remedy == IDEM_FAULT_SCRIPT) {
        server->script_known[IDEM_SCRIPT_COMPLETE_ALL] = false;
    }
    if (fault.remedy == IDEM_FAULT_SCRIPT && batch->rounds++ == 0) {
        return IDEM_REQUEST_AGAIN;
    }
    fall_apart(batch, session);
    return IDEM_REQUEST_OVER;
}

/* Callbacks may submit requests, and so begin the next batch. */
static enum idem_request_next batch_answered(struct idem_request *request,
                                             struct idem_session *session,
                                             const redisReply *reply) {
    struct idem_batch *batch = (struct idem_batch *)request;
    bool each = reply->type == REDIS_REPLY_ARRAY && reply->elements == batch->count;
    if (reply->type == REDIS_REPLY_ERROR) {
        return batch_refused(batch, session, reply);
    }
    idem_operation_loaded(session, IDEM_SCRIPT_COMPLETE_ALL);
    if (!each && reply->type != REDIS_REPLY_INTEGER) {
        batch_failed(request, IDEM_ERR_FORMAT);
        return IDEM_REQUEST_OVER;
    }
    for (unsigned i = 0; i < batch->count; i++) {
        (void)idem_completion_answered(&batch->operations[i]->base, session,
                                       each ? reply->element[i] : reply);
    }
    return IDEM_REQUEST_OVER;
}

static const struct idem_request_kind batch_kind = {
    .write = batch_write,
    .answered = batch_answered,
    .failed = batch_failed,
    .release = batch_release,
};

static bool may_gather(const struct idem_redis *redis) {
    const struct idem_session *session = redis->nodes.sessions[0];
    return !redis->nodes.cluster && redis->location.wait_replicas == 0 &&
           session->state == IDEM_SESSION_UP &&
           session->breaker.state == IDEM_BREAKER_CLOSED &&
           session->broken.code == IDEM_OK && session->line.waiting.first == NULL &&
           session->line.sent.count > 0 && session->line.sent.count < OPEN_MOST;
}

void idem_batch_submit(struct idem_redis *redis) {
    struct idem_batch *batch = redis->batch;
    redis->batch = NULL;
    if (batch == NULL) {
        return;
    }
    struct idem_request *request = &batch->base;
    if (batch->count == 1) {
        request = &batch->operations[0]->base;
        batch->count = 0;
        batch_release(&batch->base);
    }
    idem_redis_send(redis, request);
}

static bool has_owner(const struct idem_batch *batch, const struct idem_owner *owner) {
    const struct idem_owner *own = &batch->operations[0]->completion.owner;
    return own->instance == owner->instance && own->incarnation == owner->incarnation;
}

bool idem_batch_take(struct idem_redis *redis, const struct idem_completion *completion,
                     struct idem_request *request) {
    if (completion->result.len > 0 || !may_gather(redis)) {
        return false;
    }
    if (redis->batch != NULL && (redis->batch->count == BATCH_MOST ||
                                 !has_owner(redis->batch, &completion->owner))) {
        idem_batch_submit(redis);
    }
    if (redis->batch == NULL) {
        redis->batch = calloc(1, sizeof *redis->batch);
        if (redis->batch == NULL) {
            return false;
        }
        redis->batch->base.kind = &batch_kind;
    }
    redis->batch->operations[redis->batch->count++] = (struct idem_operation *)request;
    return true;
}

void idem_batch_give_way(struct idem_redis *redis, const struct idem_digest *digest) {
    const struct idem_batch *batch = redis->batch;
    for (unsigned i = 0; batch != NULL && i < batch->count; i++) {
        if (idem_digest_equal(&batch->operations[i]->digest, digest)) {
            idem_batch_submit(redis);
            return;
        }
    }
}
