/* SPDX-License-Identifier: MIT
 * A hash table from digests to entries of one fixed size, whose calls all take bounded
 * time. */
#ifndef IDEM_STORE_TABLE_H
#define IDEM_STORE_TABLE_H

#include <idem/digest.h>

/* Every entry begins with this. used is not 0 in entries that the caller sees; the
 * caller may keep a value of its own in it as long as that is not 0. */
struct idem_table_entry {
    struct idem_digest digest;
    uint8_t used;
};

struct idem_table_shard;

struct idem_table {
    struct idem_table_shard *shards;
    uint32_t shard_count;
    size_t entry_size;
    size_t count;
    size_t bytes; /* of memory, empty slots included */
    uint64_t seed[2];
};

/* A place in a walk through the table; start with zeroes. */
struct idem_table_cursor {
    uint32_t shard;
    uint32_t slot;
};

/* entry_size: a multiple of 8. shard_count: growing moves 1/shard_count of the entries
 * at a time. False: no memory; the table is empty and may be finished all the same. */
IDEM_MUST_USE bool idem_table_init(struct idem_table *table, size_t entry_size,
                                   uint32_t shard_count);
void idem_table_fini(struct idem_table *table);

/* Forgets all entries and keeps the memory of those shards that made use of it. */
void idem_table_clear(struct idem_table *table);

/* Entries may move with the next insertion, removal or sweep. NULL: not there. */
void *idem_table_find(const struct idem_table *table, const struct idem_digest *digest);

/* Has the processor fetch the place of the digest while it does something else. */
void idem_table_fetch(const struct idem_table *table, const struct idem_digest *digest);

/* The entry of the digest; where there is none a new one, zeroed but for its head: *fresh.
 * NULL: no memory. */
void *idem_table_obtain(struct idem_table *table, const struct idem_digest *digest,
                        bool *fresh);

void idem_table_remove(struct idem_table *table, void *entry);

/* The entry at or after the cursor, which then points behind it; NULL at the end. The
 * table must not change during a walk. */
void *idem_table_next(const struct idem_table *table, struct idem_table_cursor *cursor);

/* Looks at up to budget slots from the cursor on, round and round, and removes the
 * entries that drop approves of (which must release what they own). Gives memory back
 * where little is left. */
typedef bool idem_table_drop(void *arg, void *entry);
void idem_table_sweep(struct idem_table *table, struct idem_table_cursor *cursor,
                      size_t budget, idem_table_drop *drop, void *arg);

#endif
