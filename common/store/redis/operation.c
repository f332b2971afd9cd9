/* SPDX-License-Identifier: MIT
 * The operations of the store interface as requests to Redis: what they share, and the simple ones. */
#include "store/redis/operation_own.h"
#include "store/answer.h"
#include "store/record.h"
#include "store/redis/command.h"
#include "store/redis/fault.h"
#include "store/redis/layout.h"
#include "store/redis/nodes.h"
#include "store/redis/script.h"
#include "store/step.h"

#include <stdlib.h>

const struct idem_digest *idem_operation_digest(const struct idem_request *request) {
    return &((const struct idem_operation *)request)->digest;
}

void idem_operation_release(struct idem_request *request) {
    struct idem_operation *operation = (struct idem_operation *)request;
    free(operation->bytes);
    if (operation->pool != NULL) {
        idem_pool_rest(operation->pool, operation);
    } else {
        free(operation);
    }
}

void idem_operation_failed(struct idem_request *request, enum idem_code code) {
    struct idem_operation *operation = (struct idem_operation *)request;
    idem_answer_code(code, operation->done, operation->arg);
}

void idem_operation_replicated(struct idem_request *request) {
    struct idem_operation *operation = (struct idem_operation *)request;
    operation->done(operation->arg, &operation->answer);
}

enum idem_request_next idem_operation_finish(struct idem_operation *operation,
                                             enum idem_code code) {
    idem_answer_code(code, operation->done, operation->arg);
    return IDEM_REQUEST_OVER;
}

/* For answers of operations that changed something. */
enum idem_request_next idem_operation_changed(struct idem_operation *operation,
                                              const struct idem_session *session,
                                              bool durable) {
    if (durable && session->options->location->wait_replicas > 0) {
        return IDEM_REQUEST_HOLD;
    }
    operation->done(operation->arg, &operation->answer);
    return IDEM_REQUEST_OVER;
}

enum idem_request_next idem_operation_remedy(struct idem_operation *operation,
                                             struct idem_session *session,
                                             const redisReply *reply,
                                             enum idem_script script) {
    struct idem_fault fault = idem_fault_of(reply);
    if (operation->rounds++ < IDEM_OPERATION_ROUNDS_MAX) {
        if (fault.remedy == IDEM_FAULT_SCRIPT && script != IDEM_SCRIPT_COUNT) {
            session->server.script_known[script] = false;
            return IDEM_REQUEST_AGAIN;
        }
        if (fault.remedy == IDEM_FAULT_SYNTAX && session->server.claims_natively) {
            session->server.claims_natively = false;
            return IDEM_REQUEST_AGAIN;
        }
        if (idem_nodes_redirects(session, reply)) {
            return IDEM_REQUEST_ELSEWHERE;
        }
    }
    idem_fault_note(session, reply);
    return IDEM_REQUEST_OVER;
}

enum idem_request_next idem_operation_refused(struct idem_operation *operation,
                                              struct idem_session *session,
                                              const redisReply *reply,
                                              enum idem_script script) {
    enum idem_request_next next =
        idem_operation_remedy(operation, session, reply, script);
    return next != IDEM_REQUEST_OVER
               ? next
               : idem_operation_finish(operation, idem_fault_of(reply).code);
}

/* A script went as a whole because its hash was not known: it is loaded now. */
void idem_operation_loaded(struct idem_session *session, enum idem_script script) {
    session->server.script_known[script] = session->server.script_sha[script][0] != '\0';
}

/* The record that a reply holds; state NONE for nil. */
enum idem_code idem_operation_read(struct idem_record *record, const redisReply *reply) {
    memset(record, 0, sizeof *record);
    if (reply->type == REDIS_REPLY_NIL) {
        return IDEM_OK;
    }
    return reply->type == REDIS_REPLY_STRING
               ? idem_record_decode(record, idem_reply_text(reply))
               : IDEM_ERR_FORMAT;
}

void idem_operation_add_key(struct idem_bytes *out, const struct idem_digest *digest) {
    uint8_t key[IDEM_LAYOUT_KEY_SIZE];
    idem_layout_key(key, digest);
    idem_command_word(out, key, sizeof key);
}

size_t idem_operation_size(void) {
    return sizeof(struct idem_operation);
}

struct idem_operation *idem_operation_new(struct idem_pool *pool,
                                          const struct idem_request_kind *kind,
                                          const struct idem_digest *digest,
                                          idem_store_done *done, void *arg) {
    struct idem_operation *operation =
        pool != NULL ? idem_pool_take(pool) : calloc(1, sizeof *operation);
    if (operation != NULL) {
        operation->pool = pool;
        operation->base.kind = kind;
        operation->done = done;
        operation->arg = arg;
        operation->digest = *digest;
        operation->answer.code = IDEM_OK;
    }
    return operation;
}

static void lookup_write(const struct idem_request *request,
                         const struct idem_server *server, struct idem_bytes *out) {
    (void)server;
    idem_command_begin(out, 2);
    idem_command_text(out, "GET");
    idem_operation_add_key(out, &((const struct idem_operation *)request)->digest);
}

static enum idem_request_next lookup_answered(struct idem_request *request,
                                              struct idem_session *session,
                                              const redisReply *reply) {
    struct idem_operation *operation = (struct idem_operation *)request;
    struct idem_answer *answer = &operation->answer;
    if (reply->type == REDIS_REPLY_ERROR) {
        return idem_operation_refused(operation, session, reply, IDEM_SCRIPT_COUNT);
    }
    answer->code = idem_operation_read(&answer->record, reply);
    if (answer->code == IDEM_OK &&
        !idem_record_live(&answer->record, operation->now_ms)) {
        answer->code = IDEM_ERR_NOT_FOUND;
    }
    operation->done(operation->arg, answer);
    return IDEM_REQUEST_OVER;
}

static const struct idem_request_kind lookup_kind = {
    .write = lookup_write,
    .answered = lookup_answered,
    .failed = idem_operation_failed,
    .release = idem_operation_release,
};

struct idem_request *idem_operation_lookup(const struct idem_digest *digest,
                                           int64_t now_ms, idem_store_done *done,
                                           void *arg) {
    struct idem_operation *operation =
        idem_operation_new(NULL, &lookup_kind, digest, done, arg);
    if (operation == NULL) {
        return NULL;
    }
    operation->now_ms = now_ms;
    return &operation->base;
}

static void forget_write(const struct idem_request *request,
                         const struct idem_server *server, struct idem_bytes *out) {
    (void)server;
    idem_command_begin(out, 2);
    idem_command_text(out, "DEL");
    idem_operation_add_key(out, &((const struct idem_operation *)request)->digest);
}

static enum idem_request_next forget_answered(struct idem_request *request,
                                              struct idem_session *session,
                                              const redisReply *reply) {
    struct idem_operation *operation = (struct idem_operation *)request;
    if (reply->type == REDIS_REPLY_ERROR) {
        return idem_operation_refused(operation, session, reply, IDEM_SCRIPT_COUNT);
    }
    if (reply->type != REDIS_REPLY_INTEGER) {
        return idem_operation_finish(operation, IDEM_ERR_FORMAT);
    }
    session->keys_changed -= reply->integer == 1 ? 1 : 0;
    return idem_operation_finish(operation,
                                 reply->integer == 1 ? IDEM_OK : IDEM_ERR_NOT_FOUND);
}

static const struct idem_request_kind forget_kind = {
    .write = forget_write,
    .answered = forget_answered,
    .failed = idem_operation_failed,
    .release = idem_operation_release,
};

struct idem_request *idem_operation_forget(const struct idem_digest *digest,
                                           idem_store_done *done, void *arg) {
    struct idem_operation *operation =
        idem_operation_new(NULL, &forget_kind, digest, done, arg);
    return operation != NULL ? &operation->base : NULL;
}
