/* SPDX-License-Identifier: MIT
 * Writing an export. */
#include <idem/transfer.h>

#include "base/little.h"
#include "store/transfer/stream.h"

#include <sodium.h>
#include <stdlib.h>

struct idem_export {
    crypto_generichash_state sum;
    idem_export_write *write;
    void *arg;
    uint64_t records;
    uint8_t *buffer; /* owned */
    size_t room;
};

static enum idem_code put(struct idem_export *export_, const void *bytes, size_t length) {
    (void)crypto_generichash_update(&export_->sum, bytes, length);
    return export_->write(export_->arg, bytes, length) ? IDEM_OK : IDEM_ERR_IO;
}

static enum idem_code put_head(struct idem_export *export_,
                               const struct idem_secret *secret, int64_t now_ms) {
    uint8_t head[IDEM_STREAM_HEAD_SIZE];
    struct idem_digest check;
    idem_digest_of(&check, secret, IDEM_DOMAIN_SECRET_CHECK, NULL, 0);
    memcpy(head, IDEM_STREAM_MAGIC, IDEM_STREAM_MAGIC_SIZE);
    idem_little_put(head + IDEM_STREAM_AT_VERSION, IDEM_STREAM_VERSION, 2);
    idem_little_put(head + IDEM_STREAM_AT_FLAGS, 0, 2);
    idem_time_put(head + IDEM_STREAM_AT_TIME, now_ms);
    memcpy(head + IDEM_STREAM_AT_CHECK, check.bytes, sizeof check.bytes);
    return put(export_, head, sizeof head);
}

enum idem_code idem_export_open(struct idem_export **export_, idem_export_write *write,
                                void *arg, const struct idem_secret *secret,
                                int64_t now_ms) {
    /* The hash's state is aligned to more than malloc gives. */
    void *memory = NULL;
    *export_ = NULL;
    if (posix_memalign(&memory, _Alignof(struct idem_export), sizeof **export_) != 0) {
        return IDEM_ERR_NOMEM;
    }
    struct idem_export *own = memory;
    memset(own, 0, sizeof *own);
    own->write = write;
    own->arg = arg;
    (void)crypto_generichash_init(&own->sum, NULL, 0, IDEM_STREAM_SUM_SIZE);
    enum idem_code code = put_head(own, secret, now_ms);
    if (code != IDEM_OK) {
        idem_export_close(own);
        return code;
    }
    *export_ = own;
    return IDEM_OK;
}

static bool make_room(struct idem_export *export_, size_t size) {
    if (size <= export_->room) {
        return true;
    }
    uint8_t *bigger = realloc(export_->buffer, size);
    if (bigger == NULL) {
        return false;
    }
    export_->buffer = bigger;
    export_->room = size;
    return true;
}

enum idem_code idem_export_add(struct idem_export *export_,
                               const struct idem_digest *digest,
                               const struct idem_record *record) {
    size_t size = idem_record_size(record);
    size_t ahead = IDEM_STREAM_LENGTH_SIZE + IDEM_DIGEST_SIZE;
    if (size == 0) {
        return IDEM_ERR_INVALID;
    }
    if (!make_room(export_, ahead + size)) {
        return IDEM_ERR_NOMEM;
    }
    idem_little_put(export_->buffer, size, IDEM_STREAM_LENGTH_SIZE);
    memcpy(export_->buffer + IDEM_STREAM_LENGTH_SIZE, digest->bytes, IDEM_DIGEST_SIZE);
    idem_record_encode(export_->buffer + ahead, record);
    export_->records++;
    return put(export_, export_->buffer, ahead + size);
}

enum idem_code idem_export_finish(struct idem_export *export_, uint64_t *records) {
    uint8_t end[IDEM_STREAM_LENGTH_SIZE + IDEM_STREAM_COUNT_SIZE];
    uint8_t sum[IDEM_STREAM_SUM_SIZE];
    idem_little_put(end, 0, IDEM_STREAM_LENGTH_SIZE);
    idem_little_put(end + IDEM_STREAM_LENGTH_SIZE, export_->records,
                    IDEM_STREAM_COUNT_SIZE);
    *records = export_->records;
    enum idem_code code = put(export_, end, sizeof end);
    (void)crypto_generichash_final(&export_->sum, sum, sizeof sum);
    return code == IDEM_OK ? put(export_, sum, sizeof sum) : code;
}

void idem_export_close(struct idem_export *export_) {
    if (export_ != NULL) {
        free(export_->buffer);
        free(export_);
    }
}
