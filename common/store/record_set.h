/* SPDX-License-Identifier: MIT
 * Records in memory, by digest: 48 bytes each, owners and results aside. */
#ifndef IDEM_STORE_RECORD_SET_H
#define IDEM_STORE_RECORD_SET_H

#include "store/table.h"

#include <idem/store.h>

/* A set may also remember that a digest is known to have no record: state NONE. */
struct idem_record_set {
    struct idem_table entries;
    struct idem_table results; /* of the few records that have one */
    size_t result_bytes;
    /* Entries name them by their index: one or two in practice. */
    struct idem_owner *owners;
    size_t owner_count;
    size_t owner_room;
    struct idem_table_cursor sweep;
};

/* shard_count: see table.h. False: no memory; the set may be finished all the same. */
IDEM_MUST_USE bool idem_record_set_init(struct idem_record_set *set,
                                        uint32_t shard_count);
void idem_record_set_fini(struct idem_record_set *set);
void idem_record_set_clear(struct idem_record_set *set);

/* Digests in the set, those known to have no record included. */
size_t idem_record_set_count(const struct idem_record_set *set);
/* Memory in use; free slots included. */
size_t idem_record_set_bytes(const struct idem_record_set *set);

/* The result is borrowed until the set changes. */
bool idem_record_set_find(const struct idem_record_set *set,
                          const struct idem_digest *digest, struct idem_record *record);

/* Adds or replaces; copies the result. IDEM_ERR_NOMEM; IDEM_ERR_FULL (65536 owners):
 * nothing changed. The result must not be borrowed from this set. */
IDEM_MUST_USE enum idem_code idem_record_set_put(struct idem_record_set *set,
                                                 const struct idem_digest *digest,
                                                 const struct idem_record *record);

/* Moves the end of a record that is there; nothing else of it changes. */
void idem_record_set_extend(struct idem_record_set *set, const struct idem_digest *digest,
                            int64_t until_ms);

void idem_record_set_remove(struct idem_record_set *set,
                            const struct idem_digest *digest);

/* Removes the expired among the next budget slots, round and round. Returns their
 * number. */
size_t idem_record_set_sweep(struct idem_record_set *set, size_t budget, int64_t now_ms);

/* A walk that looks at digests only. */
bool idem_record_set_peek(const struct idem_record_set *set,
                          struct idem_table_cursor *cursor, struct idem_digest *digest);

/* Has the processor fetch the place of the digest, for a find or put that is to come. */
void idem_record_set_fetch(const struct idem_record_set *set,
                           const struct idem_digest *digest);

/* A walk: the digest and record after the cursor; false at the end. The set must not
 * change. */
bool idem_record_set_next(const struct idem_record_set *set,
                          struct idem_table_cursor *cursor, struct idem_digest *digest,
                          struct idem_record *record);

/* Replaces or adds every record of from in to. IDEM_ERR_NOMEM, _FULL: to holds a part
 * of them. */
IDEM_MUST_USE enum idem_code idem_record_set_merge(struct idem_record_set *to,
                                                   const struct idem_record_set *from);

#endif
