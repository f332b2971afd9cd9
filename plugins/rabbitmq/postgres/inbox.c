/* SPDX-License-Identifier: MIT
 * The records of the database sink while they are under way. */
#include "inbox.h"

#include <stdlib.h>

#define BUCKETS_MIN 256
/* When a copy that met a claim of ours, or no memory, looks again at the latest. */
#define LOOK_MS 1000

static struct idem_pg_inbox *inbox_of(struct idem_store *store) {
    return (struct idem_pg_inbox *)(void *)store;
}

/* Digests are evenly spread already. */
static struct idem_pg_inbox_claim **bucket_of(const struct idem_pg_inbox *inbox,
                                              const struct idem_digest *digest) {
    uint64_t hash;
    memcpy(&hash, digest->bytes, sizeof hash);
    return &inbox->buckets[hash & inbox->mask];
}

static struct idem_pg_inbox_claim *find(const struct idem_pg_inbox *inbox,
                                        const struct idem_digest *digest) {
    struct idem_pg_inbox_claim *claim = *bucket_of(inbox, digest);
    while (claim != NULL && !idem_digest_equal(&claim->claim.digest, digest)) {
        claim = claim->next;
    }
    return claim;
}

static void unchain(struct idem_pg_inbox *inbox, struct idem_pg_inbox_claim *claim) {
    struct idem_pg_inbox_claim **link = bucket_of(inbox, &claim->claim.digest);
    while (*link != NULL && *link != claim) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        *link = claim->next;
    }
}

static void drop(struct idem_pg_inbox *inbox, struct idem_pg_inbox_claim *claim) {
    unchain(inbox, claim);
    TAILQ_REMOVE(claim->open ? &inbox->open : &inbox->waiting, claim, order);
    inbox->open_count -= claim->open;
    free(claim);
}

static void answer_code(enum idem_code code, idem_store_done *done, void *arg) {
    const struct idem_answer answer = {.code = code};
    done(arg, &answer);
}

/* Held by ourselves: the copy waits, and looks again. */
static void answer_held(const struct idem_claim *claim, idem_store_done *done,
                        void *arg) {
    struct idem_answer answer = {.code = IDEM_OK, .outcome = IDEM_CLAIM_IN_FLIGHT};
    answer.record.state = IDEM_RECORD_PENDING;
    answer.record.owner = claim->owner;
    answer.record.first_seen_ms = claim->now_ms;
    answer.record.until_ms = claim->now_ms + LOOK_MS;
    done(arg, &answer);
}

/* Without memory the copy waits like one whose key is held: it must never go on unprotected. */
static void inbox_claim(struct idem_store *store, const struct idem_claim *claim,
                        idem_store_done *done, void *arg) {
    struct idem_pg_inbox *inbox = inbox_of(store);
    struct idem_pg_inbox_claim **bucket = bucket_of(inbox, &claim->digest);
    struct idem_pg_inbox_claim *taken =
        find(inbox, &claim->digest) == NULL ? calloc(1, sizeof *taken) : NULL;
    if (taken == NULL) {
        answer_held(claim, done, arg);
        return;
    }
    taken->claim = *claim;
    taken->done = done;
    taken->arg = arg;
    taken->next = *bucket;
    *bucket = taken;
    TAILQ_INSERT_TAIL(&inbox->waiting, taken, order);
}

static void inbox_complete(struct idem_store *store,
                           const struct idem_completion *completion,
                           idem_store_done *done, void *arg) {
    (void)store; /* the commit has done it */
    (void)completion;
    answer_code(IDEM_OK, done, arg);
}

/* In the transaction its row is there already, and has to go before the commit; the digest is free at once,
 * for a copy that is claimed in the next transaction. */
static void inbox_abandon(struct idem_store *store,
                          const struct idem_abandonment *abandonment,
                          idem_store_done *done, void *arg) {
    struct idem_pg_inbox *inbox = inbox_of(store);
    struct idem_pg_inbox_claim *claim = find(inbox, &abandonment->digest);
    if (claim != NULL && claim->open && claim->answered) {
        unchain(inbox, claim);
        claim->withdrawn = true;
    }
    answer_code(IDEM_OK, done, arg);
}

static void inbox_lookup(struct idem_store *store, const struct idem_digest *digest,
                         int64_t now_ms, idem_store_done *done, void *arg) {
    (void)store;
    (void)digest;
    (void)now_ms;
    answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
}

static void inbox_forget(struct idem_store *store, const struct idem_digest *digest,
                         idem_store_done *done, void *arg) {
    (void)store;
    (void)digest;
    answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
}

static enum idem_code inbox_iterate(struct idem_store *store, int64_t now_ms,
                                    idem_store_visit *visit, void *arg,
                                    struct idem_error *error) {
    (void)store;
    (void)now_ms;
    (void)visit;
    (void)arg;
    return idem_error_set(error, IDEM_ERR_UNSUPPORTED, 0,
                          "the records are in the database: ask it");
}

static void inbox_stats(struct idem_store *store, struct idem_store_stats *stats) {
    const struct idem_pg_inbox *inbox = inbox_of(store);
    stats->memory_entries = inbox->open_count;
    stats->purged = inbox->purged;
}

static void give_up(struct idem_pg_inbox_claims *claims) {
    struct idem_pg_inbox_claim *claim = NULL;
    TAILQ_FOREACH(claim, claims, order) {
        if (!claim->answered) {
            answer_code(IDEM_ERR_UNAVAILABLE, claim->done, claim->arg);
            claim->answered = true;
        }
    }
}

/* The memory is part of the sink, which outlives its receiver. */
static void inbox_close(struct idem_store *store) {
    give_up(&inbox_of(store)->waiting);
    give_up(&inbox_of(store)->open);
}

/* Nothing to poll, to dispatch or to sync: the sink's own connection answers, and commits. */
static const struct idem_store_ops operations = {
    .name = "inbox",
    .claim = inbox_claim,
    .complete = inbox_complete,
    .abandon = inbox_abandon,
    .lookup = inbox_lookup,
    .forget = inbox_forget,
    .iterate = inbox_iterate,
    .stats = inbox_stats,
    .close = inbox_close,
};

enum idem_code idem_pg_inbox_init(struct idem_pg_inbox *inbox, size_t room) {
    size_t buckets = BUCKETS_MIN;
    while (buckets < room) {
        buckets *= 2;
    }
    inbox->store.ops = &operations;
    inbox->mask = buckets - 1;
    inbox->buckets = calloc(buckets, sizeof(*inbox->buckets));
    inbox->open_count = 0;
    TAILQ_INIT(&inbox->waiting);
    TAILQ_INIT(&inbox->open);
    return inbox->buckets != NULL ? IDEM_OK : IDEM_ERR_NOMEM;
}

static void free_claims(struct idem_pg_inbox_claims *claims) {
    struct idem_pg_inbox_claim *claim = TAILQ_FIRST(claims);
    while (claim != NULL) {
        struct idem_pg_inbox_claim *next = TAILQ_NEXT(claim, order);
        free(claim);
        claim = next;
    }
    TAILQ_INIT(claims);
}

void idem_pg_inbox_fini(struct idem_pg_inbox *inbox) {
    if (inbox->buckets != NULL) {
        free_claims(&inbox->waiting);
        free_claims(&inbox->open);
        free(inbox->buckets);
        inbox->buckets = NULL;
    }
}

/* What was withdrawn went with the transaction that was rolled back. */
static void ask_again(struct idem_pg_inbox *inbox) {
    struct idem_pg_inbox_claim *claim = TAILQ_FIRST(&inbox->open);
    while (claim != NULL) {
        struct idem_pg_inbox_claim *next = TAILQ_NEXT(claim, order);
        claim->reply = IDEM_PG_INBOX_UNKNOWN;
        claim->refused = false;
        if (claim->withdrawn) {
            drop(inbox, claim);
        }
        claim = next;
    }
}

void idem_pg_inbox_begin(struct idem_pg_inbox *inbox, size_t most) {
    ask_again(inbox);
    if (inbox->open_count > 0) {
        return;
    }
    while (inbox->open_count < most && !TAILQ_EMPTY(&inbox->waiting)) {
        struct idem_pg_inbox_claim *claim = TAILQ_FIRST(&inbox->waiting);
        TAILQ_REMOVE(&inbox->waiting, claim, order);
        TAILQ_INSERT_TAIL(&inbox->open, claim, order);
        claim->open = true;
        inbox->open_count++;
    }
}

static struct idem_pg_inbox_claim *find_open(const struct idem_pg_inbox *inbox,
                                             const struct idem_digest *digest) {
    struct idem_pg_inbox_claim *claim = find(inbox, digest);
    return claim != NULL && claim->open ? claim : NULL;
}

void idem_pg_inbox_inserted(struct idem_pg_inbox *inbox,
                            const struct idem_digest *digest) {
    struct idem_pg_inbox_claim *claim = find_open(inbox, digest);
    if (claim != NULL) {
        claim->reply = IDEM_PG_INBOX_OURS;
    }
}

void idem_pg_inbox_found(struct idem_pg_inbox *inbox, const struct idem_digest *digest,
                         const struct idem_record *record) {
    struct idem_pg_inbox_claim *claim = find_open(inbox, digest);
    if (claim == NULL || claim->reply == IDEM_PG_INBOX_OURS) {
        return;
    }
    claim->found = *record;
    claim->reply = record->until_ms > claim->claim.now_ms ? IDEM_PG_INBOX_TAKEN
                                                          : IDEM_PG_INBOX_EXPIRED;
}

bool idem_pg_inbox_unresolved(const struct idem_pg_inbox *inbox) {
    const struct idem_pg_inbox_claim *claim = NULL;
    TAILQ_FOREACH(claim, &inbox->open, order) {
        if (!claim->withdrawn && claim->reply != IDEM_PG_INBOX_OURS &&
            claim->reply != IDEM_PG_INBOX_TAKEN) {
            return true;
        }
    }
    return false;
}

static void answer_ours(struct idem_pg_inbox_claim *claim) {
    const struct idem_answer answer = {.code = IDEM_OK, .outcome = IDEM_CLAIM_NEW};
    if (!claim->answered) {
        claim->answered = true;
        claim->done(claim->arg, &answer);
    }
}

/* One that was ours in an earlier attempt has been lost meanwhile; the sink finds out by its absence. */
static void answer_taken(struct idem_pg_inbox *inbox, struct idem_pg_inbox_claim *claim) {
    const struct idem_answer answer = {
        .code = IDEM_OK, .outcome = IDEM_CLAIM_DONE, .record = claim->found};
    idem_store_done *done = claim->answered ? NULL : claim->done;
    void *arg = claim->arg;
    drop(inbox, claim);
    if (done != NULL) {
        done(arg, &answer);
    }
}

void idem_pg_inbox_answer(struct idem_pg_inbox *inbox) {
    struct idem_pg_inbox_claim *claim = TAILQ_FIRST(&inbox->open);
    while (claim != NULL) {
        struct idem_pg_inbox_claim *next = TAILQ_NEXT(claim, order);
        if (claim->reply == IDEM_PG_INBOX_TAKEN) {
            answer_taken(inbox, claim);
        } else {
            answer_ours(claim);
        }
        claim = next;
    }
}

struct idem_pg_inbox_claim *idem_pg_inbox_ours(const struct idem_pg_inbox *inbox,
                                               const struct idem_digest *digest) {
    struct idem_pg_inbox_claim *claim = find_open(inbox, digest);
    return claim != NULL && claim->answered && claim->reply == IDEM_PG_INBOX_OURS ? claim
                                                                                  : NULL;
}

void idem_pg_inbox_committed(struct idem_pg_inbox *inbox) {
    struct idem_pg_inbox_claim *claim = TAILQ_FIRST(&inbox->open);
    while (claim != NULL) {
        struct idem_pg_inbox_claim *next = TAILQ_NEXT(claim, order);
        unchain(inbox, claim);
        free(claim);
        claim = next;
    }
    TAILQ_INIT(&inbox->open);
    inbox->open_count = 0;
}
