/* SPDX-License-Identifier: MIT
 * Encoding and decoding of records. */
#include "store/record.h"

#include "base/little.h"

enum {
    AT_VERSION = 0,
    AT_STATE = 1,
    AT_FIRST_SEEN = 2,
    AT_UNTIL = 8,
    AT_INSTANCE = 14,
    FIXED_SIZE = 22,
    INCARNATION_SIZE = 8,
};
#define HAS_FINGERPRINT 0x80

static bool time_fits(int64_t ms) {
    return ms >= 0 && ms <= IDEM_TIME_MAX_MS;
}

size_t idem_record_size(const struct idem_record *record) {
    bool pending = record->state == IDEM_RECORD_PENDING;
    bool kept =
        record->state == IDEM_RECORD_DONE || record->state == IDEM_RECORD_SEQUENCE;
    if ((!pending && !kept) || !time_fits(record->first_seen_ms) ||
        !time_fits(record->until_ms) || record->result.len > IDEM_RESULT_MAX ||
        (pending && record->result.len > 0)) {
        return 0;
    }
    return FIXED_SIZE + (size_t)(pending ? INCARNATION_SIZE : 0) +
           (size_t)(record->has_fingerprint ? IDEM_DIGEST_SIZE : 0) + record->result.len;
}

/* The oldest version that knows the state. */
static uint8_t version_of(enum idem_record_state state) {
    return state == IDEM_RECORD_SEQUENCE ? 2 : 1;
}

void idem_record_encode(uint8_t *out, const struct idem_record *record) {
    out[AT_VERSION] = version_of(record->state);
    out[AT_STATE] =
        (uint8_t)(record->state | (record->has_fingerprint ? HAS_FINGERPRINT : 0));
    idem_time_put(out + AT_FIRST_SEEN, record->first_seen_ms);
    idem_time_put(out + AT_UNTIL, record->until_ms);
    idem_little_put(out + AT_INSTANCE, record->owner.instance, 8);
    out += FIXED_SIZE;
    if (record->state == IDEM_RECORD_PENDING) {
        idem_little_put(out, record->owner.incarnation, INCARNATION_SIZE);
        out += INCARNATION_SIZE;
    }
    if (record->has_fingerprint) {
        memcpy(out, record->fingerprint.bytes, IDEM_DIGEST_SIZE);
        out += IDEM_DIGEST_SIZE;
    }
    if (record->result.len > 0) {
        memcpy(out, record->result.data, record->result.len);
    }
}

static bool decode_tail(struct idem_record *record, struct idem_span rest) {
    if (record->state == IDEM_RECORD_PENDING) {
        const uint8_t *incarnation = idem_little_take(&rest, INCARNATION_SIZE);
        if (incarnation == NULL) {
            return false;
        }
        record->owner.incarnation = idem_little_get(incarnation, INCARNATION_SIZE);
    }
    if (record->has_fingerprint) {
        const uint8_t *fingerprint = idem_little_take(&rest, IDEM_DIGEST_SIZE);
        if (fingerprint == NULL) {
            return false;
        }
        memcpy(record->fingerprint.bytes, fingerprint, IDEM_DIGEST_SIZE);
    }
    if (rest.len > 0) {
        record->result = rest;
    }
    return rest.len <= IDEM_RESULT_MAX &&
           (rest.len == 0 || record->state != IDEM_RECORD_PENDING);
}

static bool decode_state(struct idem_record *record, uint8_t byte) {
    record->has_fingerprint = (byte & HAS_FINGERPRINT) != 0;
    switch (byte & ~HAS_FINGERPRINT) {
    case IDEM_RECORD_PENDING:
        record->state = IDEM_RECORD_PENDING;
        return true;
    case IDEM_RECORD_DONE:
        record->state = IDEM_RECORD_DONE;
        return true;
    case IDEM_RECORD_SEQUENCE:
        record->state = IDEM_RECORD_SEQUENCE;
        return true;
    default:
        return false;
    }
}

enum idem_code idem_record_decode(struct idem_record *record, struct idem_span bytes) {
    memset(record, 0, sizeof *record);
    if (bytes.len < 1 || bytes.data[AT_VERSION] == 0) {
        return IDEM_ERR_FORMAT;
    }
    if (bytes.data[AT_VERSION] > IDEM_RECORD_VERSION) {
        return IDEM_ERR_VERSION;
    }
    struct idem_record found = {.state = IDEM_RECORD_NONE};
    const uint8_t *fixed = idem_little_take(&bytes, FIXED_SIZE);
    if (fixed == NULL || !decode_state(&found, fixed[AT_STATE]) ||
        fixed[AT_VERSION] < version_of(found.state)) {
        return IDEM_ERR_FORMAT;
    }
    found.first_seen_ms = idem_time_get(fixed + AT_FIRST_SEEN);
    found.until_ms = idem_time_get(fixed + AT_UNTIL);
    found.owner.instance = idem_little_get(fixed + AT_INSTANCE, 8);
    if (!decode_tail(&found, bytes)) {
        return IDEM_ERR_FORMAT;
    }
    *record = found;
    return IDEM_OK;
}
