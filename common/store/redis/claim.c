/* SPDX-License-Identifier: MIT
 * Claiming a key.
 *
 * Redis holds the records, step.c decides: a claim asks for "this record, unless there is one", and
 * what is there already is decided upon here. Where that calls for replacing it (a holder that died,
 * a done record past its end), a script does so if the record is still the one that was decided upon;
 * if not, the decision is made anew with what is there now. A few rounds settle it, unless others
 * change the record each time.
 *
 * A claim that extends a done record (a sliding window) is answered when the record has been extended:
 * what is told to be a duplicate has counted. Where that fails, it is a duplicate nevertheless. */
#include "store/redis/operation_own.h"
#include "store/record.h"
#include "store/redis/command.h"
#include "store/redis/layout.h"
#include "store/redis/session.h"
#include "store/step.h"

#include <stdlib.h>

static const struct idem_request_kind claim_kind;
static const struct idem_request_kind replace_kind;
static const struct idem_request_kind extend_kind;

/* A pending record has no result, so it fits. */
#define PENDING_SIZE_MAX 64

static size_t encode_next(uint8_t bytes[PENDING_SIZE_MAX],
                          const struct idem_operation *operation) {
    size_t size = idem_record_size(&operation->next);
    if (size == 0 || size > PENDING_SIZE_MAX) {
        return 0;
    }
    idem_record_encode(bytes, &operation->next);
    return size;
}

static int64_t claim_kept_ms(const struct idem_operation *operation) {
    return idem_layout_kept_ms(IDEM_RECORD_PENDING, operation->claim.lease_ms);
}

static void claim_write(const struct idem_request *request,
                        const struct idem_server *server, struct idem_bytes *out) {
    const struct idem_operation *operation = (const struct idem_operation *)request;
    uint8_t record[PENDING_SIZE_MAX];
    size_t size = encode_next(record, operation);
    if (!server->claims_natively) {
        idem_script_begin(out, server, IDEM_SCRIPT_CLAIM, &operation->digest, 2);
        idem_command_word(out, record, size);
        idem_command_number(out, (uint64_t)claim_kept_ms(operation));
        return;
    }
    idem_command_begin(out, 7);
    idem_command_text(out, "SET");
    idem_operation_add_key(out, &operation->digest);
    idem_command_word(out, record, size);
    idem_command_text(out, "NX");
    idem_command_text(out, "GET");
    idem_command_text(out, "PX");
    idem_command_number(out, (uint64_t)claim_kept_ms(operation));
}

static void replace_write(const struct idem_request *request,
                          const struct idem_server *server, struct idem_bytes *out) {
    const struct idem_operation *operation = (const struct idem_operation *)request;
    uint8_t record[PENDING_SIZE_MAX];
    size_t size = encode_next(record, operation);
    idem_script_begin(out, server, IDEM_SCRIPT_REPLACE, &operation->digest, 3);
    idem_command_word(out, operation->bytes, operation->length);
    idem_command_word(out, record, size);
    idem_command_number(out, (uint64_t)claim_kept_ms(operation));
}

/* The record that is replaced, to be compared with and, while it is replaced, to be told of. */
static bool keep_found(struct idem_operation *operation, const redisReply *reply) {
    uint8_t *copy = malloc(reply->len > 0 ? reply->len : 1);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, reply->str, reply->len);
    free(operation->bytes);
    operation->bytes = copy;
    operation->length = reply->len;
    return true;
}

/* The answer goes on to borrow from the copy. */
static enum idem_request_next extend(struct idem_operation *operation,
                                     const redisReply *reply) {
    struct idem_answer *answer = &operation->answer;
    operation->until_ms = idem_step_extended(&answer->record, &operation->claim);
    if (operation->until_ms == answer->record.until_ms ||
        operation->rounds++ >= IDEM_OPERATION_ROUNDS_MAX ||
        !keep_found(operation, reply)) {
        operation->done(operation->arg, answer);
        return IDEM_REQUEST_OVER;
    }
    enum idem_code code = idem_record_decode(
        &answer->record, idem_span_of(operation->bytes, operation->length));
    if (code != IDEM_OK) {
        return idem_operation_finish(operation, code);
    }
    operation->base.kind = &extend_kind;
    return IDEM_REQUEST_AGAIN;
}

/* Decides upon the record that the claim has met. */
static enum idem_request_next decide(struct idem_operation *operation,
                                     const redisReply *reply) {
    struct idem_record found;
    enum idem_code code = idem_operation_read(&found, reply);
    if (code != IDEM_OK) {
        return idem_operation_finish(operation, code);
    }
    struct idem_answer *answer = &operation->answer;
    answer->outcome = idem_step_claim(&operation->next, &found, &operation->claim);
    answer->record = found;
    if (answer->outcome == IDEM_CLAIM_DONE) {
        return extend(operation, reply);
    }
    if (answer->outcome == IDEM_CLAIM_IN_FLIGHT) {
        operation->done(operation->arg, answer);
        return IDEM_REQUEST_OVER;
    }
    memset(&answer->record.result, 0, sizeof answer->record.result);
    if (operation->rounds++ >= IDEM_OPERATION_ROUNDS_MAX) {
        return idem_operation_finish(operation, IDEM_ERR_UNAVAILABLE);
    }
    operation->base.kind = found.state == IDEM_RECORD_NONE ? &claim_kind : &replace_kind;
    bool kept = found.state == IDEM_RECORD_NONE || keep_found(operation, reply);
    return kept ? IDEM_REQUEST_AGAIN : idem_operation_finish(operation, IDEM_ERR_NOMEM);
}

static enum idem_request_next claim_answered(struct idem_request *request,
                                             struct idem_session *session,
                                             const redisReply *reply) {
    struct idem_operation *operation = (struct idem_operation *)request;
    if (reply->type == REDIS_REPLY_ERROR) {
        return idem_operation_refused(operation, session, reply, IDEM_SCRIPT_CLAIM);
    }
    if (!session->server.claims_natively) {
        idem_operation_loaded(session, IDEM_SCRIPT_CLAIM);
    }
    if (reply->type == REDIS_REPLY_NIL) {
        operation->answer.outcome = IDEM_CLAIM_NEW;
        session->keys_changed++;
        return idem_operation_changed(operation, session, operation->claim.durable);
    }
    return decide(operation, reply);
}

static enum idem_request_next replace_answered(struct idem_request *request,
                                               struct idem_session *session,
                                               const redisReply *reply) {
    struct idem_operation *operation = (struct idem_operation *)request;
    if (reply->type == REDIS_REPLY_ERROR) {
        return idem_operation_refused(operation, session, reply, IDEM_SCRIPT_REPLACE);
    }
    idem_operation_loaded(session, IDEM_SCRIPT_REPLACE);
    if (reply->type != REDIS_REPLY_INTEGER) {
        return decide(operation, reply);
    }
    if (operation->answer.outcome == IDEM_CLAIM_NEW) {
        memset(&operation->answer.record, 0, sizeof operation->answer.record);
    }
    return idem_operation_changed(operation, session, operation->claim.durable);
}

static const struct idem_request_kind claim_kind = {
    .write = claim_write,
    .answered = claim_answered,
    .replicated = idem_operation_replicated,
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

static void extend_write(const struct idem_request *request,
                         const struct idem_server *server, struct idem_bytes *out) {
    const struct idem_operation *operation = (const struct idem_operation *)request;
    uint8_t until[6];
    idem_time_put(until, operation->until_ms);
    idem_script_begin(out, server, IDEM_SCRIPT_EXTEND, &operation->digest, 2);
    idem_command_word(out, until, sizeof until);
    idem_command_number(
        out, (uint64_t)idem_layout_kept_ms(IDEM_RECORD_DONE, operation->claim.extend_ms));
}

static enum idem_request_next extend_answered(struct idem_request *request,
                                              struct idem_session *session,
                                              const redisReply *reply) {
    struct idem_operation *operation = (struct idem_operation *)request;
    if (reply->type == REDIS_REPLY_ERROR) {
        enum idem_request_next next =
            idem_operation_remedy(operation, session, reply, IDEM_SCRIPT_EXTEND);
        if (next == IDEM_REQUEST_OVER) {
            operation->done(operation->arg, &operation->answer);
        }
        return next;
    }
    idem_operation_loaded(session, IDEM_SCRIPT_EXTEND);
    return reply->type == REDIS_REPLY_INTEGER
               ? idem_operation_changed(operation, session, operation->claim.durable)
               : decide(operation, reply);
}

static void extend_failed(struct idem_request *request, enum idem_code code) {
    struct idem_operation *operation = (struct idem_operation *)request;
    (void)code;
    operation->done(operation->arg, &operation->answer);
}

static const struct idem_request_kind extend_kind = {
    .write = extend_write,
    .answered = extend_answered,
    .replicated = idem_operation_replicated,
    .failed = extend_failed,
    .release = idem_operation_release,
};

struct idem_request *idem_operation_claim(struct idem_pool *pool,
                                          const struct idem_claim *claim,
                                          idem_store_done *done, void *arg) {
    struct idem_operation *operation =
        idem_operation_new(pool, &claim_kind, &claim->digest, done, arg);
    if (operation == NULL) {
        return NULL;
    }
    struct idem_record nothing = {.state = IDEM_RECORD_NONE};
    operation->claim = *claim;
    (void)idem_step_claim(&operation->next, &nothing, claim);
    return &operation->base;
}
