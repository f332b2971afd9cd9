/* SPDX-License-Identifier: MIT
 * The journal on disk: the database "journal", from numbers (8 bytes, big endian) to
 * blobs.
 *
 * A blob is a row of entries, without gaps:
 *
 *   offset  bytes
 *        0     16  digest
 *       16      4  length of the record, little endian; 0: the record was removed
 *       20         the record, as record.h has it
 *
 * Blobs of about half a page lie within pages, two on each. Larger values would need
 * pages in a row, for which LMDB searches its list of free ones from end to end; only a
 * long result takes that way. */
#include "store/embedded/journal.h"

#include "store/record.h"

#include <errno.h>

#define BLOB_MOST   2000 /* of LMDB's 2022 for two values on a page of 4096 */
#define PIECE_MOST  (UINT64_C(8) * 1024 * 1024) /* bytes that one transaction appends */
#define TRIM_MOST   4096                        /* blobs that one transaction removes */
#define NUMBER_SIZE 8

enum {
    AT_LENGTH = IDEM_DIGEST_SIZE,
    AT_RECORD = AT_LENGTH + 4,
};

static void put_number(uint8_t key[NUMBER_SIZE], uint64_t number) {
    for (size_t i = NUMBER_SIZE; i-- > 0; number >>= 8) {
        key[i] = (uint8_t)number;
    }
}

/* False: no key of ours. The highest number is none, so that there is always a next
 * one. */
static bool get_number(const MDB_val *key, uint64_t *number) {
    const uint8_t *bytes = key->mv_data;
    *number = 0;
    for (size_t i = 0; i < NUMBER_SIZE && i < key->mv_size; i++) {
        *number = *number << 8 | bytes[i];
    }
    return key->mv_size == NUMBER_SIZE && *number < UINT64_MAX;
}

static void put_length(uint8_t *out, size_t length) {
    for (size_t i = 0; i < 4; i++) {
        out[i] = (uint8_t)(length >> (8 * i));
    }
}

static size_t get_length(const uint8_t *in) {
    return (size_t)in[0] | (size_t)in[1] << 8 | (size_t)in[2] << 16 | (size_t)in[3] << 24;
}

/* A transaction that appends. */
struct appender {
    MDB_cursor *cursor;
    uint64_t last;    /* number of the blob that was put last */
    uint64_t written; /* bytes */
    uint8_t blob[BLOB_MOST];
    size_t used;
};

/* *room, unless NULL, is where to write the value; else the blob is the value. */
static int put_blob(struct appender *appender, size_t size, uint8_t **room) {
    uint8_t number[NUMBER_SIZE];
    MDB_val key = {sizeof number, number};
    MDB_val data = {size, appender->blob};
    if (size == 0) {
        return MDB_SUCCESS;
    }
    put_number(number, appender->last + 1);
    int rc = mdb_cursor_put(appender->cursor, &key, &data,
                            MDB_APPEND | (room != NULL ? (unsigned)MDB_RESERVE : 0));
    if (rc == MDB_SUCCESS) {
        appender->last++;
        appender->written += size;
        if (room != NULL) {
            *room = data.mv_data;
        }
    }
    return rc;
}

static int flush(struct appender *appender) {
    int rc = put_blob(appender, appender->used, NULL);
    appender->used = 0;
    return rc;
}

/* Room for an entry: in the blob at hand, in a new one, or in one of its own. */
static int make_room(struct appender *appender, size_t size, uint8_t **room) {
    int rc = MDB_SUCCESS;
    if (size > BLOB_MOST - appender->used) {
        rc = flush(appender);
    }
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    if (size > BLOB_MOST) {
        return put_blob(appender, size, room);
    }
    *room = appender->blob + appender->used;
    appender->used += size;
    return MDB_SUCCESS;
}

static int append_entry(struct appender *appender, const struct idem_digest *digest,
                        const struct idem_record *record) {
    bool removed = record->state == IDEM_RECORD_NONE;
    size_t length = removed ? 0 : idem_record_size(record);
    uint8_t *room = NULL;
    if (length == 0 && !removed) {
        return EINVAL;
    }
    int rc = make_room(appender, AT_RECORD + length, &room);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    memcpy(room, digest->bytes, IDEM_DIGEST_SIZE);
    put_length(room + AT_LENGTH, length);
    if (!removed) {
        idem_record_encode(room + AT_RECORD, record);
    }
    return MDB_SUCCESS;
}

/* The number of the last blob, 0 where there is none. */
static int find_last(MDB_cursor *cursor, uint64_t *last) {
    MDB_val key;
    MDB_val data;
    int rc = mdb_cursor_get(cursor, &key, &data, MDB_LAST);
    *last = 0;
    if (rc == MDB_SUCCESS && !get_number(&key, last)) {
        return MDB_CORRUPTED;
    }
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int append_piece(struct appender *appender, struct idem_journal_group *group) {
    struct idem_digest digest;
    struct idem_record record;
    int rc = find_last(appender->cursor, &appender->last);
    while (rc == MDB_SUCCESS && appender->written < PIECE_MOST) {
        if (!idem_record_set_next(group->records, &group->next, &digest, &record)) {
            group->complete = true;
            break;
        }
        rc = append_entry(appender, &digest, &record);
        group->entries++;
    }
    return rc == MDB_SUCCESS ? flush(appender) : rc;
}

int idem_journal_append(struct idem_disk *disk, struct idem_journal_group *group) {
    struct appender appender = {.used = 0};
    struct idem_journal_group next = *group;
    MDB_txn *txn = NULL;
    int rc = idem_disk_begin(disk, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_cursor_open(txn, disk->journal, &appender.cursor);
    if (rc == MDB_SUCCESS) {
        rc = append_piece(&appender, &next);
        next.last = appender.last;
        mdb_cursor_close(appender.cursor);
    }
    rc = idem_disk_end(disk, txn, rc);
    if (rc == MDB_SUCCESS) {
        *group = next;
    }
    return rc;
}

static int trim_some(MDB_cursor *cursor, uint64_t last, bool *complete) {
    MDB_val key;
    MDB_val data;
    int rc = MDB_SUCCESS;
    *complete = false;
    for (int i = 0; i < TRIM_MOST && rc == MDB_SUCCESS; i++) {
        uint64_t number;
        rc = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
        *complete = rc == MDB_NOTFOUND ||
                    (rc == MDB_SUCCESS && get_number(&key, &number) && number > last);
        if (rc != MDB_SUCCESS || *complete) {
            break;
        }
        rc = mdb_cursor_del(cursor, 0);
    }
    return *complete ? MDB_SUCCESS : rc;
}

int idem_journal_trim(struct idem_disk *disk, uint64_t last, bool *complete) {
    MDB_cursor *cursor = NULL;
    MDB_txn *txn = NULL;
    int rc = idem_disk_begin(disk, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_cursor_open(txn, disk->journal, &cursor);
    if (rc == MDB_SUCCESS) {
        rc = trim_some(cursor, last, complete);
        mdb_cursor_close(cursor);
    }
    return idem_disk_end(disk, txn, rc);
}

/* Takes an entry off the front of blob. */
static enum idem_code take_entry(struct idem_span *blob, struct idem_digest *digest,
                                 struct idem_record *record) {
    *record = (struct idem_record){.state = IDEM_RECORD_NONE};
    if (blob->len < AT_RECORD) {
        return IDEM_ERR_FORMAT;
    }
    size_t length = get_length(blob->data + AT_LENGTH);
    memcpy(digest->bytes, blob->data, IDEM_DIGEST_SIZE);
    if (length > blob->len - AT_RECORD) {
        return IDEM_ERR_FORMAT;
    }
    struct idem_span bytes = idem_span_of(blob->data + AT_RECORD, length);
    blob->data += AT_RECORD + length;
    blob->len -= AT_RECORD + length;
    return length == 0 ? IDEM_OK : idem_record_decode(record, bytes);
}

static bool exceeds(const struct idem_record_set *records, size_t most) {
    return idem_record_set_count(records) > most ||
           records->result_bytes / IDEM_RESULT_BYTES_PER_ENTRY > most;
}

static enum idem_code read_blob(struct idem_span blob, struct idem_record_set *records) {
    enum idem_code code = IDEM_OK;
    while (code == IDEM_OK && blob.len > 0) {
        struct idem_digest digest;
        struct idem_record record;
        code = take_entry(&blob, &digest, &record);
        if (code == IDEM_OK) {
            code = idem_record_set_put(records, &digest, &record);
        }
    }
    return code;
}

enum idem_code idem_journal_read(struct idem_disk *disk, size_t most,
                                 struct idem_record_set *records, uint64_t *last) {
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val data;
    enum idem_code code = IDEM_OK;
    *last = 0;
    int rc = mdb_cursor_open(disk->view, disk->journal, &cursor);
    if (rc != MDB_SUCCESS) {
        return idem_disk_code(rc);
    }
    while (code == IDEM_OK &&
           (rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == MDB_SUCCESS) {
        code = get_number(&key, last)
                   ? read_blob(idem_span_of(data.mv_data, data.mv_size), records)
                   : IDEM_ERR_FORMAT;
        if (code == IDEM_OK && exceeds(records, most)) {
            code = IDEM_ERR_FULL;
        }
    }
    mdb_cursor_close(cursor);
    return code == IDEM_OK && rc != MDB_NOTFOUND ? idem_disk_code(rc) : code;
}

static enum idem_code refuse(const struct idem_disk *disk, enum idem_code code,
                             uint64_t last, struct idem_error *error) {
    switch ((int)code) {
    case IDEM_ERR_FULL:
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "store %s: its journal holds more records than front= "
                              "allows; open it with front= as it was before, or higher",
                              disk->path);
    case IDEM_ERR_VERSION:
        return idem_error_set(error, code, 0,
                              "store %s: its journal was written by a newer Idem; use "
                              "that one, or another path",
                              disk->path);
    case IDEM_ERR_FORMAT:
        return idem_error_set(error, code, 0,
                              "store %s is damaged: entry %llu of its journal makes no "
                              "sense; restore it, or move it away to begin with an empty "
                              "one",
                              disk->path, (unsigned long long)last);
    default:
        return idem_error_set(error, code, 0, "store %s: its journal cannot be read",
                              disk->path);
    }
}

enum idem_code idem_journal_replay(struct idem_disk *disk, size_t most,
                                   struct idem_record_set *records, uint64_t *last,
                                   struct idem_error *error) {
    *last = 0;
    enum idem_code code = idem_disk_view_begin(disk);
    if (code == IDEM_OK) {
        code = idem_journal_read(disk, most, records, last);
    }
    idem_disk_view_end(disk);
    return code == IDEM_OK ? IDEM_OK : refuse(disk, code, *last, error);
}
