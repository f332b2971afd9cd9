/* SPDX-License-Identifier: MIT
 * Taking over a record of another store: the script that replaces a record is told first that there is none,
 * and then, as long as that is not so, what was decided upon what is there. */
#include "store/answer.h"
#include "store/record.h"
#include "store/redis/command.h"
#include "store/redis/layout.h"
#include "store/redis/operation_own.h"
#include "store/redis/session.h"
#include "store/sequence/step.h"
#include "store/step.h"

#include <stdlib.h>

struct restore {
    struct idem_operation operation;     /* bytes: what was found and is to be replaced */
    struct idem_restoration restoration; /* its result is in result */
    uint8_t *result;                     /* owned */
    uint8_t *next;                       /* owned: what is to be written, */
    size_t next_length;
    int64_t kept_ms; /* and for how long */
};

static void restore_release(struct idem_request *request) {
    struct restore *restore = (struct restore *)request;
    free(restore->result);
    free(restore->next);
    idem_operation_release(request);
}

static void restore_write(const struct idem_request *request,
                          const struct idem_server *server, struct idem_bytes *out) {
    const struct restore *restore = (const struct restore *)request;
    const struct idem_operation *operation = &restore->operation;
    idem_script_begin(out, server, IDEM_SCRIPT_REPLACE, &operation->digest, 3);
    idem_command_word(out, operation->bytes, operation->length);
    idem_command_word(out, restore->next, restore->next_length);
    idem_command_number(out, (uint64_t)restore->kept_ms);
}

static enum idem_code encode(struct restore *restore, const struct idem_record *next) {
    size_t size = idem_record_size(next);
    uint8_t *bytes = size > 0 ? malloc(size) : NULL;
    if (bytes == NULL) {
        return size > 0 ? IDEM_ERR_NOMEM : IDEM_ERR_FORMAT;
    }
    idem_record_encode(bytes, next);
    free(restore->next);
    restore->next = bytes;
    restore->next_length = size;
    restore->kept_ms =
        idem_layout_kept_ms(next->state, next->until_ms - restore->restoration.now_ms);
    return IDEM_OK;
}

/* What is to be written where this is found. */
static enum idem_code decide(struct restore *restore, const struct idem_record *found) {
    struct idem_record next;
    struct idem_number_step step;
    enum idem_code code;
    if (restore->restoration.record.state == IDEM_RECORD_SEQUENCE) {
        code = idem_number_restore(&step, found, &restore->restoration);
        next = step.next;
    } else {
        code = idem_step_restore(&next, found, &restore->restoration);
    }
    return code == IDEM_OK ? encode(restore, &next) : code;
}

static enum idem_code keep_found(struct idem_operation *operation,
                                 const redisReply *reply) {
    struct idem_span text = reply->type == REDIS_REPLY_STRING ? idem_reply_text(reply)
                                                              : idem_span_of(NULL, 0);
    uint8_t *copy = text.len > 0 ? malloc(text.len) : NULL;
    if (text.len > 0 && copy == NULL) {
        return IDEM_ERR_NOMEM;
    }
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    free(operation->bytes);
    operation->bytes = copy;
    operation->length = text.len;
    return IDEM_OK;
}

static enum idem_request_next restore_answered(struct idem_request *request,
                                               struct idem_session *session,
                                               const redisReply *reply) {
    struct restore *restore = (struct restore *)request;
    struct idem_operation *operation = &restore->operation;
    if (reply->type == REDIS_REPLY_ERROR) {
        return idem_operation_refused(operation, session, reply, IDEM_SCRIPT_REPLACE);
    }
    idem_operation_loaded(session, IDEM_SCRIPT_REPLACE);
    if (reply->type == REDIS_REPLY_INTEGER) {
        session->keys_changed += operation->length == 0 ? 1 : 0;
        return idem_operation_changed(operation, session, restore->restoration.durable);
    }
    struct idem_record found;
    enum idem_code code = idem_operation_read(&found, reply);
    if (code == IDEM_OK) {
        code = decide(restore, &found);
    }
    if (code == IDEM_OK && operation->rounds++ >= IDEM_OPERATION_ROUNDS_MAX) {
        code = IDEM_ERR_UNAVAILABLE;
    }
    if (code == IDEM_OK) {
        code = keep_found(operation, reply);
    }
    return code == IDEM_OK ? IDEM_REQUEST_AGAIN : idem_operation_finish(operation, code);
}

static const struct idem_request_kind restore_kind = {
    .write = restore_write,
    .answered = restore_answered,
    .replicated = idem_operation_replicated,
    .failed = idem_operation_failed,
    .release = restore_release,
};

struct idem_request *idem_operation_restore(const struct idem_restoration *restoration,
                                            idem_store_done *done, void *arg,
                                            enum idem_code *code) {
    const struct idem_record nothing = {.state = IDEM_RECORD_NONE};
    struct idem_span result = restoration->record.result;
    struct restore *restore = calloc(1, sizeof *restore);
    uint8_t *copy = malloc(result.len > 0 ? result.len : 1);
    if (restore == NULL || copy == NULL) {
        free(copy);
        free(restore);
        *code = IDEM_ERR_NOMEM;
        return NULL;
    }
    if (result.len > 0) {
        memcpy(copy, result.data, result.len);
    }
    restore->result = copy;
    restore->restoration = *restoration;
    restore->restoration.record.result = idem_span_of(copy, result.len);
    restore->operation.base.kind = &restore_kind;
    restore->operation.done = done;
    restore->operation.arg = arg;
    restore->operation.digest = restoration->digest;
    restore->operation.answer.code = IDEM_OK;
    *code = decide(restore, &nothing);
    if (*code != IDEM_OK) {
        restore_release(&restore->operation.base);
        return NULL;
    }
    return &restore->operation.base;
}
