/* SPDX-License-Identifier: MIT
 * Packing of records into the entries of a table. */
#include "store/record_set.h"

#include "store/record.h"
#include "store/step.h"

#include <stdlib.h>

#define OWNERS_MAX  65536 /* what an index of 16 bits tells apart */
#define HAS_RECORD  1     /* values of head.used: the state above this one */
#define FLAG_PRINT  1
#define FLAG_RESULT 2

struct packed {
    struct idem_table_entry head; /* used: state + HAS_RECORD */
    uint8_t flags;
    uint16_t owner;
    uint8_t first_seen[6];
    uint8_t until[6];
    struct idem_digest fingerprint;
};
_Static_assert(sizeof(struct packed) == 48, "the memory that a key takes");

struct result {
    struct idem_table_entry head;
    uint32_t len;
    uint8_t *bytes; /* owned */
};

bool idem_record_set_init(struct idem_record_set *set, uint32_t shard_count) {
    *set = (struct idem_record_set){.owner_count = 0};
    return idem_table_init(&set->entries, sizeof(struct packed), shard_count) &&
           idem_table_init(&set->results, sizeof(struct result), shard_count);
}

static void free_results(struct idem_record_set *set) {
    struct idem_table_cursor cursor = {0, 0};
    struct result *result;
    while ((result = idem_table_next(&set->results, &cursor)) != NULL) {
        free(result->bytes);
    }
    set->result_bytes = 0;
}

void idem_record_set_fini(struct idem_record_set *set) {
    free_results(set);
    idem_table_fini(&set->results);
    idem_table_fini(&set->entries);
    free(set->owners);
    *set = (struct idem_record_set){.owner_count = 0};
}

void idem_record_set_clear(struct idem_record_set *set) {
    free_results(set);
    idem_table_clear(&set->results);
    idem_table_clear(&set->entries);
    set->owner_count = 0;
}

size_t idem_record_set_count(const struct idem_record_set *set) {
    return set->entries.count;
}

size_t idem_record_set_bytes(const struct idem_record_set *set) {
    return set->entries.bytes + set->results.bytes + set->result_bytes +
           set->owner_room * sizeof *set->owners;
}

/* The newest owner is nearly always the one: ours. */
static enum idem_code intern_owner(struct idem_record_set *set,
                                   const struct idem_owner *owner, uint16_t *index) {
    for (size_t i = set->owner_count; i-- > 0;) {
        if (set->owners[i].instance == owner->instance &&
            set->owners[i].incarnation == owner->incarnation) {
            *index = (uint16_t)i;
            return IDEM_OK;
        }
    }
    if (set->owner_count == OWNERS_MAX) {
        return IDEM_ERR_FULL;
    }
    if (set->owner_count == set->owner_room) {
        size_t room = set->owner_room == 0 ? 4 : 2 * set->owner_room;
        struct idem_owner *owners = realloc(set->owners, room * sizeof *owners);
        if (owners == NULL) {
            return IDEM_ERR_NOMEM;
        }
        set->owners = owners;
        set->owner_room = room;
    }
    *index = (uint16_t)set->owner_count;
    set->owners[set->owner_count++] = *owner;
    return IDEM_OK;
}

static void unpack(const struct idem_record_set *set, const struct packed *packed,
                   struct idem_record *record) {
    *record = (struct idem_record){
        .state = (enum idem_record_state)(packed->head.used - HAS_RECORD),
        .has_fingerprint = (packed->flags & FLAG_PRINT) != 0,
        .fingerprint = packed->fingerprint,
        .owner = set->owners[packed->owner],
        .first_seen_ms = idem_time_get(packed->first_seen),
        .until_ms = idem_time_get(packed->until),
    };
    if ((packed->flags & FLAG_RESULT) != 0) {
        const struct result *result =
            idem_table_find(&set->results, &packed->head.digest);
        if (result != NULL) {
            record->result = idem_span_of(result->bytes, result->len);
        }
    }
}

bool idem_record_set_find(const struct idem_record_set *set,
                          const struct idem_digest *digest, struct idem_record *record) {
    const struct packed *packed = idem_table_find(&set->entries, digest);
    if (packed == NULL) {
        return false;
    }
    unpack(set, packed, record);
    return true;
}

static void drop_result(struct idem_record_set *set, const struct idem_digest *digest) {
    struct result *result = idem_table_find(&set->results, digest);
    if (result != NULL) {
        set->result_bytes -= result->len;
        free(result->bytes);
        idem_table_remove(&set->results, result);
    }
}

/* The old result, if there is one, stays until the new one is safe. */
static enum idem_code put_result(struct idem_record_set *set,
                                 const struct idem_digest *digest,
                                 struct idem_span span) {
    uint8_t *bytes = malloc(span.len);
    if (bytes == NULL) {
        return IDEM_ERR_NOMEM;
    }
    bool fresh;
    struct result *result = idem_table_obtain(&set->results, digest, &fresh);
    if (result == NULL) {
        free(bytes);
        return IDEM_ERR_NOMEM;
    }
    memcpy(bytes, span.data, span.len);
    set->result_bytes = set->result_bytes - result->len + span.len;
    free(result->bytes);
    result->bytes = bytes;
    result->len = (uint32_t)span.len;
    return IDEM_OK;
}

static void pack(struct packed *packed, const struct idem_record *record,
                 uint16_t owner) {
    packed->head.used = (uint8_t)(record->state + HAS_RECORD);
    packed->flags = (uint8_t)((record->has_fingerprint ? FLAG_PRINT : 0) |
                              (record->result.len > 0 ? FLAG_RESULT : 0));
    packed->owner = owner;
    idem_time_put(packed->first_seen, record->first_seen_ms);
    idem_time_put(packed->until, record->until_ms);
    packed->fingerprint = record->fingerprint;
}

enum idem_code idem_record_set_put(struct idem_record_set *set,
                                   const struct idem_digest *digest,
                                   const struct idem_record *record) {
    uint16_t owner = 0;
    enum idem_code code = intern_owner(set, &record->owner, &owner);
    if (code != IDEM_OK) {
        return code;
    }
    bool fresh;
    struct packed *packed = idem_table_obtain(&set->entries, digest, &fresh);
    if (packed == NULL) {
        return IDEM_ERR_NOMEM;
    }
    if (record->result.len > 0) {
        code = put_result(set, digest, record->result);
    } else if ((packed->flags & FLAG_RESULT) != 0) {
        drop_result(set, digest);
    }
    if (code == IDEM_OK) {
        pack(packed, record, owner);
    } else if (fresh) {
        idem_table_remove(&set->entries, packed);
    }
    return code;
}

void idem_record_set_extend(struct idem_record_set *set, const struct idem_digest *digest,
                            int64_t until_ms) {
    struct packed *packed = idem_table_find(&set->entries, digest);
    if (packed != NULL) {
        idem_time_put(packed->until, until_ms);
    }
}

void idem_record_set_remove(struct idem_record_set *set,
                            const struct idem_digest *digest) {
    struct packed *packed = idem_table_find(&set->entries, digest);
    if (packed == NULL) {
        return;
    }
    if ((packed->flags & FLAG_RESULT) != 0) {
        drop_result(set, digest);
    }
    idem_table_remove(&set->entries, packed);
}

struct sweep {
    struct idem_record_set *set;
    int64_t now_ms;
    size_t dropped;
};

static bool drop_expired(void *arg, void *entry) {
    struct sweep *sweep = arg;
    const struct packed *packed = entry;
    enum idem_record_state state =
        (enum idem_record_state)(packed->head.used - HAS_RECORD);
    if (!idem_record_expired(state, idem_time_get(packed->until), sweep->now_ms)) {
        return false;
    }
    if ((packed->flags & FLAG_RESULT) != 0) {
        drop_result(sweep->set, &packed->head.digest);
    }
    sweep->dropped++;
    return true;
}

size_t idem_record_set_sweep(struct idem_record_set *set, size_t budget, int64_t now_ms) {
    struct sweep sweep = {.set = set, .now_ms = now_ms};
    idem_table_sweep(&set->entries, &set->sweep, budget, drop_expired, &sweep);
    return sweep.dropped;
}

bool idem_record_set_next(const struct idem_record_set *set,
                          struct idem_table_cursor *cursor, struct idem_digest *digest,
                          struct idem_record *record) {
    const struct packed *packed = idem_table_next(&set->entries, cursor);
    if (packed == NULL) {
        return false;
    }
    *digest = packed->head.digest;
    unpack(set, packed, record);
    return true;
}

bool idem_record_set_peek(const struct idem_record_set *set,
                          struct idem_table_cursor *cursor, struct idem_digest *digest) {
    const struct packed *packed = idem_table_next(&set->entries, cursor);
    if (packed != NULL) {
        *digest = packed->head.digest;
    }
    return packed != NULL;
}

void idem_record_set_fetch(const struct idem_record_set *set,
                           const struct idem_digest *digest) {
    idem_table_fetch(&set->entries, digest);
}

enum idem_code idem_record_set_merge(struct idem_record_set *to,
                                     const struct idem_record_set *from) {
    struct idem_table_cursor cursor = {0, 0};
    struct idem_digest digest;
    struct idem_record record;
    enum idem_code code = IDEM_OK;
    while (code == IDEM_OK && idem_record_set_next(from, &cursor, &digest, &record)) {
        code = idem_record_set_put(to, &digest, &record);
    }
    return code;
}
