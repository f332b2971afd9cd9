/* SPDX-License-Identifier: MIT
 * Settling a claim: completing and abandoning it. */
#include "store/redis/operation_own.h"
#include "store/record.h"
#include "store/redis/command.h"
#include "store/redis/layout.h"
#include "store/redis/session.h"
#include "store/step.h"

#include <stdlib.h>

/* The fields of a record that a script is told, as record.h lays them out. */
static void put_little(uint8_t *out, uint64_t value) {
    for (size_t i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

void idem_operation_add_owner(struct idem_bytes *out, const struct idem_owner *owner) {
    uint8_t bytes[16];
    put_little(bytes, owner->instance);
    put_little(bytes + 8, owner->incarnation);
    idem_command_word(out, bytes, sizeof bytes);
}

void idem_completion_add_end(struct idem_bytes *out,
                             const struct idem_completion *completion) {
    uint8_t until[6];
    idem_time_put(until, completion->now_ms + completion->ttl_ms);
    idem_command_word(out, until, sizeof until);
    idem_command_number(
        out, (uint64_t)idem_layout_kept_ms(IDEM_RECORD_DONE, completion->ttl_ms));
}

static void complete_write(const struct idem_request *request,
                           const struct idem_server *server, struct idem_bytes *out) {
    const struct idem_operation *operation = (const struct idem_operation *)request;
    const struct idem_completion *completion = &operation->completion;
    uint8_t now[6];
    idem_time_put(now, completion->now_ms);
    idem_script_begin(out, server, IDEM_SCRIPT_COMPLETE, &operation->digest, 5);
    idem_operation_add_owner(out, &completion->owner);
    idem_completion_add_end(out, completion);
    idem_command_word(out, operation->bytes, operation->length);
    idem_command_word(out, now, sizeof now);
}

enum idem_request_next idem_completion_answered(struct idem_request *request,
                                                struct idem_session *session,
                                                const redisReply *reply) {
    struct idem_operation *operation = (struct idem_operation *)request;
    if (reply->type == REDIS_REPLY_INTEGER) {
        return idem_operation_changed(operation, session, operation->completion.durable);
    }
    struct idem_record found;
    struct idem_record next;
    bool changed = false;
    enum idem_code code = idem_operation_read(&found, reply);
    if (code == IDEM_OK) {
        code = idem_step_complete(&next, &changed, &found, &operation->completion);
    }
    /* The script would have done what is left to do here: it saw another record than we do. */
    return idem_operation_finish(operation, changed ? IDEM_ERR_FORMAT : code);
}

static enum idem_request_next complete_answered(struct idem_request *request,
                                                struct idem_session *session,
                                                const redisReply *reply) {
    if (reply->type == REDIS_REPLY_ERROR) {
        return idem_operation_refused((struct idem_operation *)request, session, reply,
                                      IDEM_SCRIPT_COMPLETE);
    }
    idem_operation_loaded(session, IDEM_SCRIPT_COMPLETE);
    return idem_completion_answered(request, session, reply);
}

static const struct idem_request_kind complete_kind = {
    .write = complete_write,
    .answered = complete_answered,
    .replicated = idem_operation_replicated,
    .failed = idem_operation_failed,
    .release = idem_operation_release,
};

struct idem_request *idem_operation_complete(struct idem_pool *pool,
                                             const struct idem_completion *completion,
                                             idem_store_done *done, void *arg) {
    struct idem_operation *operation =
        idem_operation_new(pool, &complete_kind, &completion->digest, done, arg);
    if (operation == NULL) {
        return NULL;
    }
    operation->completion = *completion;
    operation->completion.result = idem_span_of(NULL, 0);
    operation->length = completion->result.len;
    if (operation->length > 0) {
        operation->bytes = malloc(operation->length);
        if (operation->bytes == NULL) {
            idem_operation_release(&operation->base);
            return NULL;
        }
        memcpy(operation->bytes, completion->result.data, operation->length);
    }
    return &operation->base;
}

static void abandon_write(const struct idem_request *request,
                          const struct idem_server *server, struct idem_bytes *out) {
    const struct idem_operation *operation = (const struct idem_operation *)request;
    idem_script_begin(out, server, IDEM_SCRIPT_ABANDON, &operation->digest, 2);
    idem_operation_add_owner(out, &operation->abandonment.owner);
    idem_command_text(out, operation->abandonment.completed ? "1" : "0");
}

static enum idem_request_next abandon_answered(struct idem_request *request,
                                               struct idem_session *session,
                                               const redisReply *reply) {
    struct idem_operation *operation = (struct idem_operation *)request;
    if (reply->type == REDIS_REPLY_ERROR) {
        return idem_operation_refused(operation, session, reply, IDEM_SCRIPT_ABANDON);
    }
    idem_operation_loaded(session, IDEM_SCRIPT_ABANDON);
    if (reply->type == REDIS_REPLY_INTEGER) {
        session->keys_changed--;
        return idem_operation_finish(operation, IDEM_OK);
    }
    struct idem_record found;
    enum idem_code code = idem_operation_read(&found, reply);
    if (code == IDEM_OK) {
        code = idem_step_abandon(&found, &operation->abandonment);
        code = code == IDEM_OK ? IDEM_ERR_FORMAT : code;
    }
    return idem_operation_finish(operation, code);
}

static const struct idem_request_kind abandon_kind = {
    .write = abandon_write,
    .answered = abandon_answered,
    .failed = idem_operation_failed,
    .release = idem_operation_release,
};

struct idem_request *idem_operation_abandon(const struct idem_abandonment *abandonment,
                                            idem_store_done *done, void *arg) {
    struct idem_operation *operation =
        idem_operation_new(NULL, &abandon_kind, &abandonment->digest, done, arg);
    if (operation == NULL) {
        return NULL;
    }
    operation->abandonment = *abandonment;
    return &operation->base;
}
