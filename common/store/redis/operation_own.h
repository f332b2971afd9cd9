/* SPDX-License-Identifier: MIT
 * What the files of the operations share. */
#ifndef IDEM_REDIS_OPERATION_OWN_H
#define IDEM_REDIS_OPERATION_OWN_H

#include "store/redis/operation.h"
#include "store/redis/script.h"

/* How often an operation is sent again before it is given up as unavailable. */
#define IDEM_OPERATION_ROUNDS_MAX 8

struct idem_operation {
    struct idem_request base;
    idem_store_done *done;
    void *arg;
    struct idem_pool *pool; /* where it came from, and goes back to; NULL: of its own */
    struct idem_digest digest;
    union { /* by kind */
        struct idem_claim claim;
        struct idem_completion completion; /* its result is in bytes */
        struct idem_abandonment abandonment;
    };
    int64_t now_ms;            /* lookups */
    struct idem_answer answer; /* what is held back until the replicas have it */
    struct idem_record next;   /* claims: what to write */
    int64_t until_ms;          /* claims that extend: the new end */
    uint8_t *bytes; /* owned: a claim's record as it was found; a completion's result */
    size_t length;
    unsigned rounds;
};

/* pool: of the store's, or NULL for what is rare. NULL: no memory. */
struct idem_operation *idem_operation_new(struct idem_pool *pool,
                                          const struct idem_request_kind *kind,
                                          const struct idem_digest *digest,
                                          idem_store_done *done, void *arg);
void idem_operation_release(struct idem_request *request);
void idem_operation_failed(struct idem_request *request, enum idem_code code);
void idem_operation_replicated(struct idem_request *request);

/* Answers with a code alone. */
enum idem_request_next idem_operation_finish(struct idem_operation *operation,
                                             enum idem_code code);

/* Gives operation->answer out, of an operation that changed something. */
enum idem_request_next idem_operation_changed(struct idem_operation *operation,
                                              const struct idem_session *session,
                                              bool durable);

/* The server answered with an error; script: IDEM_SCRIPT_COUNT where the command was none. OVER: there is
 * no remedy, which has been noted, and nobody has been answered. */
enum idem_request_next idem_operation_remedy(struct idem_operation *operation,
                                             struct idem_session *session,
                                             const redisReply *reply,
                                             enum idem_script script);

/* The same; where there is no remedy, that is the answer. */
enum idem_request_next idem_operation_refused(struct idem_operation *operation,
                                              struct idem_session *session,
                                              const redisReply *reply,
                                              enum idem_script script);

/* A script went as a whole because its hash was not known: it is loaded now. */
void idem_operation_loaded(struct idem_session *session, enum idem_script script);

/* The record that a reply holds; state NONE for nil. */
IDEM_MUST_USE enum idem_code idem_operation_read(struct idem_record *record,
                                                 const redisReply *reply);

/* The key, as a word of a command. */
void idem_operation_add_key(struct idem_bytes *out, const struct idem_digest *digest);

/* The owner, as a word of a command: as a record has it. */
void idem_operation_add_owner(struct idem_bytes *out, const struct idem_owner *owner);

/* The end of the done record, and for how many milliseconds Redis keeps it: two words. */
void idem_completion_add_end(struct idem_bytes *out,
                             const struct idem_completion *completion);

/* What a script answered to a completion: 1, or what is there. */
enum idem_request_next idem_completion_answered(struct idem_request *request,
                                                struct idem_session *session,
                                                const redisReply *reply);

#endif
