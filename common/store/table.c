/* SPDX-License-Identifier: MIT
 * The hash table of digests.
 *
 * Linear probing over fixed entries: one miss in the cache per lookup, and no memory
 * beside the entry. uthash, the obvious choice, adds 56 bytes of links and a heap
 * block to an entry of 48, and walks all entries in one call whenever it doubles its
 * buckets.
 *
 * Bounded time: the table is cut into shards by the hash, each of which is a small
 * table and grows by itself, by half its size. No call moves more than one shard,
 * 1/shard_count of the entries; as hashes are uniform, all shards have about the same
 * size.
 *
 * Removal shifts the entries behind the gap back, as far as they belong before it: no
 * tombstones, and lookups stay as short after a year as on the first day.
 *
 * Digests are uniform, but whoever knows the secret (the default one is public) can
 * search for keys whose digests begin alike. So the place in the table comes from the
 * digest and a seed of its own, drawn at random for each table. */
#include "store/table.h"

#include <sodium.h>
#include <stdlib.h>

#define SLOTS_MIN 8

struct idem_table_shard {
    uint8_t *slots; /* NULL while the shard is unused */
    uint32_t capacity;
    uint32_t count;
};

static struct idem_table_entry *slot_at(const struct idem_table *table,
                                        const struct idem_table_shard *shard,
                                        uint32_t slot) {
    return (struct idem_table_entry *)(void *)(shard->slots + slot * table->entry_size);
}

static uint64_t hash_of(const struct idem_table *table,
                        const struct idem_digest *digest) {
    uint64_t words[2];
    memcpy(words, digest->bytes, sizeof words);
    uint64_t hash = (words[0] ^ table->seed[0]) * ((words[1] ^ table->seed[1]) | 1);
    return hash ^ (hash >> 32);
}

/* Scales 32 random bits to 0..count-1 without a division. */
static uint32_t scale(uint64_t bits, uint32_t count) {
    return (uint32_t)(((bits & UINT32_MAX) * count) >> 32);
}

static struct idem_table_shard *shard_of(const struct idem_table *table, uint64_t hash) {
    return &table->shards[scale(hash >> 32, table->shard_count)];
}

static uint32_t next_slot(const struct idem_table_shard *shard, uint32_t slot) {
    return slot + 1 < shard->capacity ? slot + 1 : 0;
}

/* Where the digest is, or the free slot where it would go. A shard always has a free
 * slot. */
static uint32_t probe(const struct idem_table *table,
                      const struct idem_table_shard *shard, uint64_t hash,
                      const struct idem_digest *digest) {
    uint32_t slot = scale(hash, shard->capacity);
    const struct idem_table_entry *entry = slot_at(table, shard, slot);
    while (entry->used != 0 && !idem_digest_equal(&entry->digest, digest)) {
        slot = next_slot(shard, slot);
        entry = slot_at(table, shard, slot);
    }
    return slot;
}

static void release(struct idem_table *table, struct idem_table_shard *shard) {
    table->bytes -= shard->capacity * table->entry_size;
    free(shard->slots);
    shard->slots = NULL;
    shard->capacity = 0;
}

static bool resize(struct idem_table *table, struct idem_table_shard *shard,
                   uint32_t capacity) {
    struct idem_table_shard bigger = {
        .slots = calloc(capacity, table->entry_size),
        .capacity = capacity,
        .count = shard->count,
    };
    if (bigger.slots == NULL) {
        return false;
    }
    for (uint32_t slot = 0; slot < shard->capacity; slot++) {
        const struct idem_table_entry *entry = slot_at(table, shard, slot);
        if (entry->used != 0) {
            uint32_t to =
                probe(table, &bigger, hash_of(table, &entry->digest), &entry->digest);
            memcpy(slot_at(table, &bigger, to), entry, table->entry_size);
        }
    }
    release(table, shard);
    table->bytes += capacity * table->entry_size;
    *shard = bigger;
    return true;
}

/* For one more at a load of at most four fifths. */
static bool has_room(const struct idem_table_shard *shard) {
    return ((uint64_t)shard->count + 1) * 5 <= (uint64_t)shard->capacity * 4;
}

static bool make_room(struct idem_table *table, struct idem_table_shard *shard) {
    if (shard->capacity >= UINT32_MAX / 2) {
        return false;
    }
    uint32_t capacity = shard->capacity + shard->capacity / 2;
    return resize(table, shard, capacity < SLOTS_MIN ? SLOTS_MIN : capacity);
}

bool idem_table_init(struct idem_table *table, size_t entry_size, uint32_t shard_count) {
    *table = (struct idem_table){.entry_size = entry_size, .shard_count = shard_count};
    randombytes_buf(table->seed, sizeof table->seed);
    table->shards = calloc(shard_count, sizeof *table->shards);
    if (table->shards == NULL) {
        table->shard_count = 0;
        return false;
    }
    table->bytes = shard_count * sizeof *table->shards;
    return true;
}

void idem_table_fini(struct idem_table *table) {
    for (uint32_t i = 0; i < table->shard_count; i++) {
        free(table->shards[i].slots);
    }
    free(table->shards);
    *table = (struct idem_table){.shards = NULL};
}

void idem_table_clear(struct idem_table *table) {
    for (uint32_t i = 0; i < table->shard_count; i++) {
        struct idem_table_shard *shard = &table->shards[i];
        if (shard->capacity > 4 * SLOTS_MIN && shard->count < shard->capacity / 8) {
            release(table, shard);
        } else if (shard->count > 0) {
            memset(shard->slots, 0, shard->capacity * table->entry_size);
        }
        shard->count = 0;
    }
    table->count = 0;
}

void *idem_table_find(const struct idem_table *table, const struct idem_digest *digest) {
    uint64_t hash = hash_of(table, digest);
    const struct idem_table_shard *shard = shard_of(table, hash);
    if (shard->count == 0) {
        return NULL;
    }
    struct idem_table_entry *entry =
        slot_at(table, shard, probe(table, shard, hash, digest));
    return entry->used != 0 ? entry : NULL;
}

void idem_table_fetch(const struct idem_table *table, const struct idem_digest *digest) {
    uint64_t hash = hash_of(table, digest);
    const struct idem_table_shard *shard = shard_of(table, hash);
    if (shard->slots != NULL) {
        __builtin_prefetch(slot_at(table, shard, scale(hash, shard->capacity)));
    }
}

void *idem_table_obtain(struct idem_table *table, const struct idem_digest *digest,
                        bool *fresh) {
    uint64_t hash = hash_of(table, digest);
    struct idem_table_shard *shard = shard_of(table, hash);
    struct idem_table_entry *entry = NULL;
    *fresh = false;
    if (shard->slots != NULL) {
        entry = slot_at(table, shard, probe(table, shard, hash, digest));
        if (entry->used != 0) {
            return entry;
        }
    }
    if (entry == NULL || !has_room(shard)) {
        if (!make_room(table, shard)) {
            return NULL;
        }
        entry = slot_at(table, shard, probe(table, shard, hash, digest));
    }
    entry->digest = *digest;
    entry->used = 1;
    shard->count++;
    table->count++;
    *fresh = true;
    return entry;
}

/* Whether an entry at slot whose home is home may move back into gap: not past its
 * home. */
static bool may_fill(const struct idem_table_shard *shard, uint32_t gap, uint32_t home,
                     uint32_t slot) {
    uint32_t from_home = slot >= home ? slot - home : slot + shard->capacity - home;
    uint32_t from_gap = slot >= gap ? slot - gap : slot + shard->capacity - gap;
    return from_home >= from_gap;
}

static void remove_slot(struct idem_table *table, struct idem_table_shard *shard,
                        uint32_t gap) {
    for (uint32_t slot = next_slot(shard, gap);; slot = next_slot(shard, slot)) {
        const struct idem_table_entry *entry = slot_at(table, shard, slot);
        if (entry->used == 0) {
            break;
        }
        uint32_t home = scale(hash_of(table, &entry->digest), shard->capacity);
        if (may_fill(shard, gap, home, slot)) {
            memcpy(slot_at(table, shard, gap), entry, table->entry_size);
            gap = slot;
        }
    }
    memset(slot_at(table, shard, gap), 0, table->entry_size);
    shard->count--;
    table->count--;
}

void idem_table_remove(struct idem_table *table, void *entry) {
    const struct idem_table_entry *head = entry;
    struct idem_table_shard *shard = shard_of(table, hash_of(table, &head->digest));
    size_t offset = (size_t)((uint8_t *)entry - shard->slots);
    remove_slot(table, shard, (uint32_t)(offset / table->entry_size));
}

void *idem_table_next(const struct idem_table *table, struct idem_table_cursor *cursor) {
    for (; cursor->shard < table->shard_count; cursor->shard++, cursor->slot = 0) {
        const struct idem_table_shard *shard = &table->shards[cursor->shard];
        while (cursor->slot < shard->capacity) {
            struct idem_table_entry *entry = slot_at(table, shard, cursor->slot++);
            if (entry->used != 0) {
                return entry;
            }
        }
    }
    return NULL;
}

/* At the end of a shard: the memory of a crowd that has gone. */
static void give_back(struct idem_table *table, struct idem_table_shard *shard) {
    if (shard->count == 0 && shard->slots != NULL) {
        release(table, shard);
    } else if (shard->capacity > 4 * SLOTS_MIN && shard->count < shard->capacity / 4) {
        (void)resize(table, shard, shard->capacity / 2); /* else it stays as it is */
    }
}

void idem_table_sweep(struct idem_table *table, struct idem_table_cursor *cursor,
                      size_t budget, idem_table_drop *drop, void *arg) {
    for (; budget > 0; budget--) {
        if (cursor->shard >= table->shard_count) {
            *cursor = (struct idem_table_cursor){0, 0};
        }
        struct idem_table_shard *shard = &table->shards[cursor->shard];
        if (cursor->slot >= shard->capacity) {
            give_back(table, shard);
            cursor->shard++;
            cursor->slot = 0;
            continue;
        }
        struct idem_table_entry *entry = slot_at(table, shard, cursor->slot);
        if (entry->used != 0 && drop(arg, entry)) {
            remove_slot(table, shard, cursor->slot); /* another may stand here now */
        } else {
            cursor->slot++;
        }
    }
}
