/* SPDX-License-Identifier: MIT
 * Visiting all records: SCAN for the keys, each once, then their records in batches. Blocks. */
#include "store/redis/command.h"
#include "store/redis/fault.h"
#include "store/redis/layout.h"
#include "store/redis/operation_own.h"
#include "store/redis/redis.h"
#include "store/record.h"
#include "store/step.h"

#include <idem/clock.h>

#include <stdio.h>
#include <stdlib.h>

#define PAGE  1000
#define BATCH 256

/* A record as it came. Visitors run outside of dispatch, since they may use the store themselves. */
struct found {
    struct found *next;
    struct idem_digest digest;
    size_t length;
    uint8_t bytes[];
};

struct walk {
    struct found *found;         /* owned: of the batch that is being fetched */
    struct idem_digest *digests; /* owned */
    size_t count;
    size_t room;
    char cursor[24];
    size_t open; /* requests that are not answered */
    enum idem_code code;
    int64_t now_ms;
    idem_store_visit *visit;
    void *arg;
    bool stopped;
    unsigned moves; /* of the cluster's map, when the walk began */
};

struct walk_request {
    struct idem_request base;
    struct walk *walk;
    struct idem_digest digest;
    unsigned rounds;
};

static void walk_release(struct idem_request *request) {
    free(request);
}

static void walk_failed(struct idem_request *request, enum idem_code code) {
    struct walk *walk = ((struct walk_request *)request)->walk;
    walk->code = code;
    walk->open--;
}

static void scan_write(const struct idem_request *request,
                       const struct idem_server *server, struct idem_bytes *out) {
    (void)server;
    const struct walk *walk = ((const struct walk_request *)request)->walk;
    idem_command_begin(out, 6);
    idem_command_text(out, "SCAN");
    idem_command_text(out, walk->cursor);
    idem_command_text(out, "MATCH");
    idem_command_text(out, IDEM_LAYOUT_PATTERN);
    idem_command_text(out, "COUNT");
    idem_command_number(out, PAGE);
}

static bool add_digest(struct walk *walk, const struct idem_digest *digest) {
    if (walk->count == walk->room) {
        size_t room = walk->room > 0 ? 2 * walk->room : PAGE;
        struct idem_digest *bigger = realloc(walk->digests, room * sizeof *bigger);
        if (bigger == NULL) {
            return false;
        }
        walk->digests = bigger;
        walk->room = room;
    }
    walk->digests[walk->count++] = *digest;
    return true;
}

static enum idem_code take_keys(struct walk *walk, const redisReply *keys) {
    for (size_t i = 0; i < keys->elements; i++) {
        struct idem_digest digest;
        if (idem_layout_digest(&digest, idem_reply_text(keys->element[i])) &&
            !add_digest(walk, &digest)) {
            return IDEM_ERR_NOMEM;
        }
    }
    return IDEM_OK;
}

/* [cursor, [key, ...]] */
static enum idem_code take_page(struct walk *walk, const redisReply *reply) {
    if (reply->type == REDIS_REPLY_ERROR) {
        return idem_fault_of(reply).code;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_ARRAY) {
        return IDEM_ERR_FORMAT;
    }
    struct idem_span cursor = idem_reply_text(reply->element[0]);
    if (cursor.len == 0 || cursor.len >= sizeof walk->cursor) {
        return IDEM_ERR_FORMAT;
    }
    memcpy(walk->cursor, cursor.data, cursor.len);
    walk->cursor[cursor.len] = '\0';
    return take_keys(walk, reply->element[1]);
}

static enum idem_request_next scan_answered(struct idem_request *request,
                                            struct idem_session *session,
                                            const redisReply *reply) {
    struct walk *walk = ((struct walk_request *)request)->walk;
    (void)session;
    walk->code = take_page(walk, reply);
    walk->open--;
    return IDEM_REQUEST_OVER;
}

static const struct idem_request_kind scan_kind = {
    .write = scan_write,
    .answered = scan_answered,
    .failed = walk_failed,
    .release = walk_release,
};

static void fetch_write(const struct idem_request *request,
                        const struct idem_server *server, struct idem_bytes *out) {
    (void)server;
    uint8_t key[IDEM_LAYOUT_KEY_SIZE];
    idem_layout_key(key, &((const struct walk_request *)request)->digest);
    idem_command_begin(out, 2);
    idem_command_text(out, "GET");
    idem_command_word(out, key, sizeof key);
}

static enum idem_code keep_found(struct walk *walk, const struct idem_digest *digest,
                                 const redisReply *reply) {
    struct found *found = malloc(sizeof *found + reply->len);
    if (found == NULL) {
        return IDEM_ERR_NOMEM;
    }
    found->next = walk->found;
    found->digest = *digest;
    found->length = reply->len;
    memcpy(found->bytes, reply->str, reply->len);
    walk->found = found;
    return IDEM_OK;
}

/* A record that is gone by now is passed over. */
static enum idem_request_next fetch_answered(struct idem_request *request,
                                             struct idem_session *session,
                                             const redisReply *reply) {
    struct walk_request *own = (struct walk_request *)request;
    struct walk *walk = own->walk;
    if (own->rounds++ < IDEM_OPERATION_ROUNDS_MAX &&
        idem_nodes_redirects(session, reply)) {
        return IDEM_REQUEST_ELSEWHERE;
    }
    walk->open--;
    if (reply->type == REDIS_REPLY_STRING && walk->code == IDEM_OK) {
        walk->code = keep_found(walk, &own->digest, reply);
    }
    return IDEM_REQUEST_OVER;
}

/* What is no record is passed over too. */
static void visit_found(struct walk *walk) {
    while (walk->found != NULL) {
        struct found *found = walk->found;
        struct idem_record record;
        walk->found = found->next;
        if (!walk->stopped &&
            idem_record_decode(&record, idem_span_of(found->bytes, found->length)) ==
                IDEM_OK &&
            idem_record_live(&record, walk->now_ms)) {
            walk->stopped = !walk->visit(walk->arg, &found->digest, &record);
        }
        free(found);
    }
}

static const struct idem_request_kind fetch_kind = {
    .write = fetch_write,
    .answered = fetch_answered,
    .failed = walk_failed,
    .release = walk_release,
};

/* session: NULL for the one that has the digest's slot. */
static void ask(struct idem_redis *redis, struct walk *walk, struct idem_session *session,
                const struct idem_request_kind *kind, const struct idem_digest *digest) {
    struct walk_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        walk->code = IDEM_ERR_NOMEM;
        return;
    }
    request->base.kind = kind;
    request->walk = walk;
    request->digest = *digest;
    walk->open++;
    int64_t now_ms = idem_clock_monotonic_ns() / 1000000;
    if (session != NULL) {
        idem_session_submit(session, &request->base, now_ms);
    } else {
        idem_nodes_submit(&redis->nodes, &request->base, digest, now_ms);
    }
}

/* Each request is answered or fails by its deadline, so this ends. */
static void settle(struct idem_redis *redis, const struct walk *walk) {
    while (walk->open > 0) {
        idem_redis_dispatch(redis);
        if (walk->open > 0) {
            idem_redis_wait(redis, idem_clock_monotonic_ns() / 1000000 +
                                       redis->location.timeout_ms);
        }
    }
}

static int compare(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct idem_digest));
}

static void scan_one(struct idem_redis *redis, struct walk *walk, size_t place) {
    const struct idem_digest none = {{0}};
    (void)snprintf(walk->cursor, sizeof walk->cursor, "0");
    do {
        /* While slots are handed over keys may be met nowhere, and sessions go. */
        if (redis->nodes.moves != walk->moves) {
            walk->code = IDEM_ERR_UNAVAILABLE;
            return;
        }
        ask(redis, walk, redis->nodes.sessions[place], &scan_kind, &none);
        settle(redis, walk);
    } while (walk->code == IDEM_OK && strcmp(walk->cursor, "0") != 0);
}

static void scan_all(struct idem_redis *redis, struct walk *walk) {
    size_t next = 0;
    walk->moves = redis->nodes.moves;
    while (walk->code == IDEM_OK && idem_nodes_next(&redis->nodes, &next) != NULL) {
        scan_one(redis, walk, next - 1);
    }
    if (redis->nodes.cluster && !redis->nodes.whole) {
        walk->code = IDEM_ERR_UNAVAILABLE;
    }
    if (walk->count > 0) {
        qsort(walk->digests, walk->count, sizeof *walk->digests, compare);
    }
}

/* SCAN may tell a key twice while the server's table grows: sorted, its copies are neighbours. */
static void fetch_all(struct idem_redis *redis, struct walk *walk) {
    for (size_t i = 0; i < walk->count && walk->code == IDEM_OK && !walk->stopped; i++) {
        if (i == 0 || compare(&walk->digests[i - 1], &walk->digests[i]) != 0) {
            ask(redis, walk, NULL, &fetch_kind, &walk->digests[i]);
        }
        if (walk->open >= BATCH) {
            settle(redis, walk);
            visit_found(walk);
        }
    }
    settle(redis, walk);
    visit_found(walk);
}

enum idem_code idem_redis_iterate(struct idem_store *store, int64_t now_ms,
                                  idem_store_visit *visit, void *arg,
                                  struct idem_error *error) {
    struct idem_redis *redis = idem_redis_of(store);
    struct walk walk = {.now_ms = now_ms, .visit = visit, .arg = arg};
    scan_all(redis, &walk);
    fetch_all(redis, &walk);
    free(walk.digests);
    return walk.code == IDEM_OK ? IDEM_OK
                                : idem_error_set(error, walk.code, 0, "Redis: %s",
                                                 idem_code_text(walk.code));
}
