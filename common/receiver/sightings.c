/* SPDX-License-Identifier: MIT
 * The sample of what was recognised: written by the receiver's thread, read by any. */
#include "receiver/sightings.h"

#include "receiver/internal.h"

#define READ_TRIES 16

static uint64_t get(const struct idem_sighting_slot *slot, enum idem_sighting_word word) {
    return atomic_load_explicit(&slot->words[word], memory_order_acquire);
}

static void put(struct idem_sighting_slot *slot, enum idem_sighting_word word,
                uint64_t value) {
    atomic_store_explicit(&slot->words[word], value, memory_order_release);
}

static bool is_kept(enum idem_reason reason) {
    return reason == IDEM_REASON_DUPLICATE || reason == IDEM_REASON_CONFLICT ||
           reason == IDEM_REASON_IN_DOUBT || reason == IDEM_REASON_FENCED;
}

/* The slot of this sighting, or the one that it takes over: a free one, or that seen longest ago. */
static struct idem_sighting_slot *find_slot(struct idem_sighting_slot *ways,
                                            const uint64_t *identity, bool *known) {
    struct idem_sighting_slot *oldest = &ways[0];
    for (size_t i = 0; i < IDEM_SIGHTING_WAYS; i++) {
        struct idem_sighting_slot *slot = &ways[i];
        *known = get(slot, IDEM_SIGHTING_DIGEST_LOW) == identity[0] &&
                 get(slot, IDEM_SIGHTING_DIGEST_HIGH) == identity[1] &&
                 get(slot, IDEM_SIGHTING_REASON) == identity[2] &&
                 get(slot, IDEM_SIGHTING_ROW) == identity[3];
        if (*known) {
            return slot;
        }
        if (get(slot, IDEM_SIGHTING_LAST_SEEN) < get(oldest, IDEM_SIGHTING_LAST_SEEN)) {
            oldest = slot;
        }
    }
    return oldest;
}

void idem_sightings_add(struct idem_sightings *sightings,
                        const struct idem_delivery *delivery,
                        const struct idem_counter_row *row, int64_t now_ms) {
    if (!is_kept(delivery->reason) || !delivery->has_identity) {
        return;
    }
    uint64_t identity[4];
    bool known = false;
    memcpy(identity, delivery->digest.bytes, IDEM_DIGEST_SIZE);
    identity[2] = delivery->reason;
    identity[3] = (uintptr_t)row;
    size_t set = identity[0] % (IDEM_SIGHTING_SETS / 2);
    set += delivery->reason == IDEM_REASON_DUPLICATE ? 0 : IDEM_SIGHTING_SETS / 2;
    struct idem_sighting_slot *slot =
        find_slot(&sightings->slots[set * IDEM_SIGHTING_WAYS], identity, &known);
    uint64_t version = atomic_load_explicit(&slot->version, memory_order_relaxed);
    uint64_t count = known ? get(slot, IDEM_SIGHTING_COUNT) : 0;
    atomic_store_explicit(&slot->version, version + 1, memory_order_relaxed);
    for (size_t i = 0; i < 4; i++) {
        put(slot, (enum idem_sighting_word)i, identity[i]);
    }
    put(slot, IDEM_SIGHTING_FIRST_SEEN, (uint64_t)delivery->first_seen_ms);
    put(slot, IDEM_SIGHTING_LAST_SEEN, (uint64_t)now_ms);
    put(slot, IDEM_SIGHTING_COUNT, count + 1);
    atomic_store_explicit(&slot->version, version + 2, memory_order_release);
}

/* False: the slot is free, or is being written all the time. */
static bool read_slot(const struct idem_sighting_slot *slot, uint64_t *words) {
    for (unsigned i = 0; i < READ_TRIES; i++) {
        uint64_t version = atomic_load_explicit(&slot->version, memory_order_acquire);
        for (size_t word = 0; word < IDEM_SIGHTING_WORDS; word++) {
            words[word] = get(slot, (enum idem_sighting_word)word);
        }
        if (version % 2 == 0 &&
            version == atomic_load_explicit(&slot->version, memory_order_relaxed)) {
            return words[IDEM_SIGHTING_ROW] != 0;
        }
    }
    return false;
}

static void fill(struct idem_sighting *sighting, const uint64_t *words) {
    const struct idem_counter_row *row =
        (const void *)(uintptr_t)words[IDEM_SIGHTING_ROW];
    memcpy(sighting->digest.bytes, words, IDEM_DIGEST_SIZE);
    sighting->reason = (enum idem_reason)words[IDEM_SIGHTING_REASON];
    memcpy(sighting->rule, row->name, sizeof sighting->rule);
    sighting->first_seen_ms = (int64_t)words[IDEM_SIGHTING_FIRST_SEEN];
    sighting->last_seen_ms = (int64_t)words[IDEM_SIGHTING_LAST_SEEN];
    sighting->count = words[IDEM_SIGHTING_COUNT];
}

/* Into a list that is in order, and stays so. Returns how many there are now. */
static size_t insert(struct idem_sighting *list, size_t count, size_t max,
                     const uint64_t *words) {
    size_t at = count;
    while (at > 0 &&
           list[at - 1].last_seen_ms < (int64_t)words[IDEM_SIGHTING_LAST_SEEN]) {
        at--;
    }
    if (at == max) {
        return count;
    }
    count = count < max ? count + 1 : max;
    memmove(&list[at + 1], &list[at], (count - at - 1) * sizeof *list);
    fill(&list[at], words);
    return count;
}

size_t idem_sightings_read(const struct idem_sightings *sightings,
                           struct idem_sighting *list, size_t max) {
    size_t count = 0;
    for (size_t i = 0; i < IDEM_SIGHTINGS_MAX; i++) {
        uint64_t words[IDEM_SIGHTING_WORDS];
        if (read_slot(&sightings->slots[i], words)) {
            count = insert(list, count, max, words);
        }
    }
    return count;
}

size_t idem_receiver_sightings(const struct idem_receiver *receiver,
                               struct idem_sighting *sightings, size_t max) {
    return idem_sightings_read(&receiver->sightings, sightings, max);
}
