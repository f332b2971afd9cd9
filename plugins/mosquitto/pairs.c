/* SPDX-License-Identifier: MIT
 * Requests that wait for their response. */
#include "pairs.h"

#include <stdlib.h>
#include <sys/random.h>

void idem_pairs_init(struct idem_pairs *pairs, size_t most_count, size_t most_bytes) {
    memset(pairs, 0, sizeof *pairs);
    pairs->most_count = most_count;
    pairs->most_bytes = most_bytes;
    TAILQ_INIT(&pairs->by_age);
    idem_secret_default(&pairs->secret);
    /* Where that fails, a client that finds collisions slows the look-ups down a little. */
    (void)!getrandom(pairs->secret.bytes, sizeof pairs->secret.bytes, GRND_NONBLOCK);
}

void idem_pairs_fini(struct idem_pairs *pairs) {
    while (!TAILQ_EMPTY(&pairs->by_age)) {
        idem_pairs_remove(pairs, TAILQ_FIRST(&pairs->by_age));
    }
}

static size_t bucket_of(const struct idem_digest *digest) {
    return ((size_t)digest->bytes[0] | (size_t)digest->bytes[1] << 8) %
           IDEM_PAIRS_BUCKETS;
}

/* FNV-1a: only whether to look closer depends on it. */
static size_t topic_bucket(const char *topic) {
    uint32_t hash = UINT32_C(2166136261);
    for (; *topic != '\0'; topic++) {
        hash = (hash ^ (uint8_t)*topic) * UINT32_C(16777619);
    }
    return hash % IDEM_PAIRS_BUCKETS;
}

static struct idem_digest address_of(const struct idem_pairs *pairs,
                                     const struct idem_reply_to *reply_to) {
    struct idem_digest address;
    const struct idem_span spans[] = {idem_span_text(reply_to->topic),
                                      reply_to->correlation};
    idem_digest_of(&address, &pairs->secret, IDEM_DOMAIN_COPY, spans, 2);
    return address;
}

void idem_pairs_remove(struct idem_pairs *pairs, struct idem_pair *pair) {
    while (!STAILQ_EMPTY(&pair->waiters)) {
        struct idem_pair_waiter *waiter = STAILQ_FIRST(&pair->waiters);
        STAILQ_REMOVE_HEAD(&pair->waiters, next);
        free(waiter);
    }
    TAILQ_REMOVE(&pairs->by_age, pair, by_age);
    LIST_REMOVE(pair, by_address);
    LIST_REMOVE(pair, by_request);
    pairs->topics[topic_bucket(pair->topic)]--;
    pairs->count--;
    pairs->bytes -= pair->bytes;
    free(pair);
}

/* Whatever it is that waits there; the ambiguous included. */
static struct idem_pair *find(struct idem_pairs *pairs,
                              const struct idem_reply_to *reply_to, int64_t now_ms) {
    const struct idem_digest address = address_of(pairs, reply_to);
    struct idem_pair *pair = LIST_FIRST(&pairs->by_address[bucket_of(&address)]);
    while (pair != NULL && !idem_digest_equal(&pair->address, &address)) {
        pair = LIST_NEXT(pair, by_address);
    }
    if (pair != NULL && now_ms >= pair->until_ms) {
        idem_pairs_remove(pairs, pair);
        return NULL;
    }
    return pair;
}

/* keep is not to go itself. */
static bool make_room(struct idem_pairs *pairs, size_t entries, size_t bytes,
                      const struct idem_pair *keep, int64_t now_ms) {
    if (bytes > pairs->most_bytes) {
        return false;
    }
    struct idem_pair *oldest = TAILQ_FIRST(&pairs->by_age);
    while (oldest != NULL && (pairs->count + entries > pairs->most_count ||
                              pairs->bytes > pairs->most_bytes - bytes)) {
        struct idem_pair *next = TAILQ_NEXT(oldest, by_age);
        if (oldest != keep) {
            pairs->evicted += now_ms < oldest->until_ms;
            idem_pairs_remove(pairs, oldest);
        }
        oldest = next;
    }
    return pairs->count + entries <= pairs->most_count &&
           pairs->bytes <= pairs->most_bytes - bytes;
}

static void link_pair(struct idem_pairs *pairs, struct idem_pair *pair) {
    TAILQ_INSERT_TAIL(&pairs->by_age, pair, by_age);
    LIST_INSERT_HEAD(&pairs->by_address[bucket_of(&pair->address)], pair, by_address);
    LIST_INSERT_HEAD(&pairs->by_request[bucket_of(&pair->delivery.digest)], pair,
                     by_request);
    pairs->topics[topic_bucket(pair->topic)]++;
    pairs->count++;
    pairs->bytes += pair->bytes;
}

static struct idem_pair *insert(struct idem_pairs *pairs,
                                const struct idem_reply_to *reply_to,
                                const struct idem_delivery *delivery, int64_t now_ms) {
    size_t topic_size = strlen(reply_to->topic) + 1;
    size_t bytes = sizeof(struct idem_pair) + topic_size;
    if (!make_room(pairs, 1, bytes, NULL, now_ms)) {
        return NULL;
    }
    struct idem_pair *pair = calloc(1, bytes);
    if (pair == NULL) {
        return NULL;
    }
    pair->address = address_of(pairs, reply_to);
    pair->delivery = *delivery;
    pair->delivery.rule = NULL; /* a reload ends it */
    pair->delivery.claimed = false;
    pair->delivery.completed = true; /* it is, by the time that anybody can answer it */
    pair->until_ms = now_ms + delivery->ttl_ms;
    pair->bytes = bytes;
    STAILQ_INIT(&pair->waiters);
    memcpy(pair->topic, reply_to->topic, topic_size);
    link_pair(pairs, pair);
    return pair;
}

struct idem_pair *idem_pairs_add(struct idem_pairs *pairs,
                                 const struct idem_reply_to *reply_to,
                                 const struct idem_delivery *delivery, int64_t now_ms) {
    struct idem_pair *before = find(pairs, reply_to, now_ms);
    if (before == NULL) {
        return insert(pairs, reply_to, delivery, now_ms);
    }
    int64_t until_ms = now_ms + delivery->ttl_ms;
    before->until_ms = before->until_ms > until_ms ? before->until_ms : until_ms;
    before->ambiguous |= !idem_digest_equal(&before->delivery.digest, &delivery->digest);
    return before->ambiguous ? NULL : before;
}

bool idem_pairs_may_have(const struct idem_pairs *pairs, const char *topic) {
    return pairs->count > 0 && pairs->topics[topic_bucket(topic)] > 0;
}

struct idem_pair *idem_pairs_find(struct idem_pairs *pairs,
                                  const struct idem_reply_to *reply_to, int64_t now_ms) {
    struct idem_pair *pair = find(pairs, reply_to, now_ms);
    return pair != NULL && !pair->ambiguous ? pair : NULL;
}

struct idem_pair *idem_pairs_of(struct idem_pairs *pairs,
                                const struct idem_digest *digest, int64_t now_ms) {
    struct idem_pair *pair = LIST_FIRST(&pairs->by_request[bucket_of(digest)]);
    while (pair != NULL && (pair->ambiguous || now_ms >= pair->until_ms ||
                            !idem_digest_equal(&pair->delivery.digest, digest))) {
        pair = LIST_NEXT(pair, by_request);
    }
    return pair;
}

bool idem_pairs_wait(struct idem_pairs *pairs, struct idem_pair *pair,
                     struct idem_span correlation, int qos, int64_t now_ms) {
    size_t bytes = sizeof(struct idem_pair_waiter) + correlation.len;
    if (pair->waiter_count == IDEM_PAIRS_WAITERS_MAX ||
        !make_room(pairs, 0, bytes, pair, now_ms)) {
        return false;
    }
    struct idem_pair_waiter *waiter = malloc(bytes);
    if (waiter == NULL) {
        return false;
    }
    waiter->qos = qos;
    waiter->correlation_size = correlation.len;
    if (correlation.len > 0) {
        memcpy(waiter->correlation, correlation.data, correlation.len);
    }
    STAILQ_INSERT_TAIL(&pair->waiters, waiter, next);
    pair->waiter_count++;
    pair->bytes += bytes;
    pairs->bytes += bytes;
    return true;
}
