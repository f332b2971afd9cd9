/* SPDX-License-Identifier: MIT
 * Reading an export, which may be anything. */
#include <idem/transfer.h>

#include "base/little.h"
#include "store/sequence/state.h"
#include "store/transfer/stream.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>

struct idem_import {
    crypto_generichash_state sum;
    idem_import_read *read;
    void *arg;
    int64_t created_ms;
    uint64_t records; /* read so far */
    bool over;
    uint8_t *buffer; /* owned */
    size_t room;
};

static enum idem_code get(struct idem_import *import, void *bytes, size_t length,
                          struct idem_error *error) {
    size_t got = 0;
    if (!import->read(import->arg, bytes, length, &got)) {
        return idem_error_set(error, IDEM_ERR_IO, 0, "it cannot be read");
    }
    if (got != length) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0,
                              "it ends early, after %" PRIu64 " records: it was cut off",
                              import->records);
    }
    return IDEM_OK;
}

static enum idem_code get_summed(struct idem_import *import, void *bytes, size_t length,
                                 struct idem_error *error) {
    enum idem_code code = get(import, bytes, length, error);
    if (code == IDEM_OK) {
        (void)crypto_generichash_update(&import->sum, bytes, length);
    }
    return code;
}

static enum idem_code check_head(struct idem_import *import,
                                 const uint8_t head[IDEM_STREAM_HEAD_SIZE],
                                 const struct idem_secret *secret,
                                 struct idem_error *error) {
    struct idem_digest check;
    idem_digest_of(&check, secret, IDEM_DOMAIN_SECRET_CHECK, NULL, 0);
    if (memcmp(head, IDEM_STREAM_MAGIC, IDEM_STREAM_MAGIC_SIZE) != 0) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0, "it is no export of Idem");
    }
    uint64_t version = idem_little_get(head + IDEM_STREAM_AT_VERSION, 2);
    if (version > IDEM_STREAM_VERSION ||
        idem_little_get(head + IDEM_STREAM_AT_FLAGS, 2) != 0) {
        return idem_error_set(error, IDEM_ERR_VERSION, 0,
                              "it was written by a newer Idem: format %" PRIu64
                              ", this one reads %d",
                              version, IDEM_STREAM_VERSION);
    }
    if (version == 0) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0, "it is damaged: no format");
    }
    if (memcmp(head + IDEM_STREAM_AT_CHECK, check.bytes, sizeof check.bytes) != 0) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0,
                              "it was written under another secret: its keys would "
                              "never be found again");
    }
    import->created_ms = idem_time_get(head + IDEM_STREAM_AT_TIME);
    return IDEM_OK;
}

/* A file that is shorter than a head is no export either. */
static enum idem_code read_head(struct idem_import *import,
                                const struct idem_secret *secret,
                                struct idem_error *error) {
    uint8_t head[IDEM_STREAM_HEAD_SIZE] = {0};
    size_t got = 0;
    if (!import->read(import->arg, head, sizeof head, &got)) {
        return idem_error_set(error, IDEM_ERR_IO, 0, "it cannot be read");
    }
    if (got < sizeof head &&
        (got == 0 ||
         memcmp(head, IDEM_STREAM_MAGIC,
                got < IDEM_STREAM_MAGIC_SIZE ? got : IDEM_STREAM_MAGIC_SIZE) != 0)) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0, "it is no export of Idem");
    }
    if (got < sizeof head) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0,
                              "it ends early, within its head: it was cut off");
    }
    (void)crypto_generichash_update(&import->sum, head, sizeof head);
    return check_head(import, head, secret, error);
}

enum idem_code idem_import_open(struct idem_import **import, idem_import_read *read,
                                void *arg, const struct idem_secret *secret,
                                struct idem_error *error) {
    void *memory = NULL;
    *import = NULL;
    if (posix_memalign(&memory, _Alignof(struct idem_import), sizeof **import) != 0) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    struct idem_import *own = memory;
    memset(own, 0, sizeof *own);
    own->read = read;
    own->arg = arg;
    (void)crypto_generichash_init(&own->sum, NULL, 0, IDEM_STREAM_SUM_SIZE);
    enum idem_code code = read_head(own, secret, error);
    if (code != IDEM_OK) {
        idem_import_close(own);
        return code;
    }
    *import = own;
    return IDEM_OK;
}

int64_t idem_import_created_ms(const struct idem_import *import) {
    return import->created_ms;
}

/* The count, the checksum, and nothing after them. */
static enum idem_code read_end(struct idem_import *import, struct idem_error *error) {
    uint8_t count[IDEM_STREAM_COUNT_SIZE];
    uint8_t sum[IDEM_STREAM_SUM_SIZE];
    uint8_t found[IDEM_STREAM_SUM_SIZE];
    uint8_t more;
    size_t got = 0;
    enum idem_code code = get_summed(import, count, sizeof count, error);
    if (code == IDEM_OK) {
        code = get(import, found, sizeof found, error);
    }
    if (code != IDEM_OK) {
        return code;
    }
    (void)crypto_generichash_final(&import->sum, sum, sizeof sum);
    if (memcmp(sum, found, sizeof sum) != 0 ||
        idem_little_get(count, sizeof count) != import->records) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0,
                              "it is damaged: its checksum is another");
    }
    if (!import->read(import->arg, &more, 1, &got) || got != 0) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0,
                              "it is damaged: something follows its end");
    }
    return IDEM_ERR_NOT_FOUND;
}

static bool make_room(struct idem_import *import, size_t size) {
    if (size <= import->room) {
        return true;
    }
    free(import->buffer);
    import->buffer = malloc(size);
    import->room = import->buffer != NULL ? size : 0;
    return import->buffer != NULL;
}

/* A checksum is no proof of who wrote it: a state that no store would take is refused here, as is all that a store
 * would refuse, so that whoever reads to the end first finds out before anything is taken over. */
static enum idem_code check_sequence(const struct idem_record *record) {
    struct idem_sequence sequence;
    return idem_sequence_decode(&sequence, record->result) ? IDEM_OK : IDEM_ERR_FORMAT;
}

static enum idem_code read_record(struct idem_import *import, size_t size,
                                  struct idem_digest *digest, struct idem_record *record,
                                  struct idem_error *error) {
    if (size > IDEM_STREAM_RECORD_MAX) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0,
                              "it is damaged, after %" PRIu64
                              " records: the next one would be too long",
                              import->records);
    }
    if (!make_room(import, size)) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    enum idem_code code = get_summed(import, digest->bytes, sizeof digest->bytes, error);
    if (code == IDEM_OK) {
        code = get_summed(import, import->buffer, size, error);
    }
    if (code != IDEM_OK) {
        return code;
    }
    code = idem_record_decode(record, idem_span_of(import->buffer, size));
    if (code == IDEM_OK && record->state == IDEM_RECORD_SEQUENCE) {
        code = check_sequence(record);
    }
    if (code != IDEM_OK) {
        return idem_error_set(error, code, 0, "%s, after %" PRIu64 " records: %s",
                              code == IDEM_ERR_VERSION ? "it is of a newer Idem"
                                                       : "it is damaged",
                              import->records, idem_code_text(code));
    }
    import->records++;
    return IDEM_OK;
}

enum idem_code idem_import_next(struct idem_import *import, struct idem_digest *digest,
                                struct idem_record *record, struct idem_error *error) {
    uint8_t length[IDEM_STREAM_LENGTH_SIZE];
    if (import->over) {
        return idem_error_set(error, IDEM_ERR_NOT_FOUND, 0, "there is no next record");
    }
    enum idem_code code = get_summed(import, length, sizeof length, error);
    if (code == IDEM_OK) {
        size_t size = (size_t)idem_little_get(length, sizeof length);
        code = size > 0 ? read_record(import, size, digest, record, error)
                        : read_end(import, error);
    }
    import->over = code != IDEM_OK;
    return code;
}

void idem_import_close(struct idem_import *import) {
    if (import != NULL) {
        free(import->buffer);
        free(import);
    }
}
