/* SPDX-License-Identifier: MIT
 * A command on its way to a server and back, and the first-in, first-out lists that keep them in order. */
#ifndef IDEM_REDIS_REQUEST_H
#define IDEM_REDIS_REQUEST_H

#include "store/redis/bytes.h"
#include "store/redis/reader.h"

struct idem_request;
struct idem_session;

enum idem_script {
    IDEM_SCRIPT_CLAIM, /* servers before 7.0 only */
    IDEM_SCRIPT_REPLACE,
    IDEM_SCRIPT_COMPLETE,
    IDEM_SCRIPT_COMPLETE_ALL,
    IDEM_SCRIPT_ABANDON,
    IDEM_SCRIPT_EXTEND,
    IDEM_SCRIPT_COUNT
};

#define IDEM_SHA_LENGTH 40

/* What the server is, as it told when it was greeted. */
struct idem_server {
    bool claims_natively; /* SET with NX and GET together: Redis 7.0 and newer */
    bool holds_check;     /* the check value of the secret is one of its keys */
    bool appends;         /* it keeps an append-only file */
    bool script_known[IDEM_SCRIPT_COUNT];                    /* EVALSHA will do */
    char script_sha[IDEM_SCRIPT_COUNT][IDEM_SHA_LENGTH + 1]; /* "": could not be loaded */
};

/* What becomes of a request that was answered. */
enum idem_request_next {
    IDEM_REQUEST_OVER,      /* release it */
    IDEM_REQUEST_AGAIN,     /* send what it has become */
    IDEM_REQUEST_ELSEWHERE, /* send it where the session's redirect says */
    IDEM_REQUEST_HOLD,      /* keep it until the replicas have it: see replicated */
};

/* What a request does. The session calls answered or failed for each that it accepted, exactly once
 * unless answered asked for another round; release comes last. */
struct idem_request_kind {
    bool internal; /* the session's own: sent whatever the breaker says */

    /* Adds its one command to out. */
    void (*write)(const struct idem_request *request, const struct idem_server *server,
                  struct idem_bytes *out);

    /* In time. The reply is borrowed. */
    enum idem_request_next (*answered)(struct idem_request *request,
                                       struct idem_session *session,
                                       const redisReply *reply);

    /* After IDEM_REQUEST_HOLD only: the replicas have it. */
    void (*replicated)(struct idem_request *request);

    /* TIMEOUT: MAY have been carried out. Any other code: certainly not. */
    void (*failed)(struct idem_request *request, enum idem_code code);

    void (*release)(struct idem_request *request);
};

/* Embedded as the first member of what a kind needs. */
struct idem_request {
    const struct idem_request_kind *kind;
    struct idem_request *next;
    int64_t deadline_ms; /* of the monotonic clock */
    uint64_t end;        /* where its command ends in the stream of commands */
    bool asking;         /* ASKING goes before it: see struct idem_redirect */
    bool overdue;        /* failed has been called; only its place in the line is left */
};

struct idem_request_list {
    struct idem_request *first;
    struct idem_request **last;
    size_t count;
};

static inline void idem_request_list_init(struct idem_request_list *list) {
    list->first = NULL;
    list->last = &list->first;
    list->count = 0;
}

static inline void idem_request_list_add(struct idem_request_list *list,
                                         struct idem_request *request) {
    request->next = NULL;
    *list->last = request;
    list->last = &request->next;
    list->count++;
}

/* NULL: empty. */
static inline struct idem_request *
idem_request_list_take(struct idem_request_list *list) {
    struct idem_request *first = list->first;
    if (first != NULL) {
        list->first = first->next;
        list->last = list->first != NULL ? list->last : &list->first;
        list->count--;
    }
    return first;
}

#endif
