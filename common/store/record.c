/* SPDX-License-Identifier: MIT
 * Encoding and decoding of records. */
#include "store/record.h"

enum {
    AT_VERSION = 0,
    AT_STATE = 1,
    AT_FIRST_SEEN = 2,
    FIXED_SIZE = 8,
    TIME_SIZE = 6,
    SPAN_SIZE = 4,
    OWNER_SIZE = 8,
};
#define HAS_FINGERPRINT 0x80
#define HAS_LONG_UNTIL  0x40

static void put_little(uint8_t *out, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get_little(const uint8_t *in, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint64_t)in[i] << (8 * i);
    }
    return value;
}

void idem_time_put(uint8_t out[6], int64_t ms) {
    put_little(out, (uint64_t)ms, TIME_SIZE);
}

int64_t idem_time_get(const uint8_t in[6]) {
    return (int64_t)get_little(in, TIME_SIZE);
}

static bool time_fits(int64_t ms) {
    return ms >= 0 && ms <= IDEM_TIME_MAX_MS;
}

/* Leases and most ttls fit 32 bits of milliseconds; a clock that was set back may
 * leave an end before the beginning, which does not. */
static bool until_fits_span(const struct idem_record *record) {
    return record->until_ms >= record->first_seen_ms &&
           record->until_ms - record->first_seen_ms <= UINT32_MAX;
}

size_t idem_record_size(const struct idem_record *record) {
    bool pending = record->state == IDEM_RECORD_PENDING;
    bool done = record->state == IDEM_RECORD_DONE;
    if ((!pending && !done) || !time_fits(record->first_seen_ms) ||
        !time_fits(record->until_ms) || record->result.len > IDEM_RESULT_MAX ||
        (pending && record->result.len > 0)) {
        return 0;
    }
    size_t size = FIXED_SIZE + OWNER_SIZE + record->result.len;
    size += until_fits_span(record) ? SPAN_SIZE : TIME_SIZE;
    size += pending ? OWNER_SIZE : 0;
    return size + (record->has_fingerprint ? IDEM_DIGEST_SIZE : 0);
}

static uint8_t *put_until(uint8_t *out, const struct idem_record *record) {
    if (until_fits_span(record)) {
        put_little(out, (uint64_t)(record->until_ms - record->first_seen_ms), SPAN_SIZE);
        return out + SPAN_SIZE;
    }
    idem_time_put(out, record->until_ms);
    return out + TIME_SIZE;
}

void idem_record_encode(uint8_t *out, const struct idem_record *record) {
    int flags = (record->has_fingerprint ? HAS_FINGERPRINT : 0) |
                (until_fits_span(record) ? 0 : HAS_LONG_UNTIL);
    out[AT_VERSION] = IDEM_RECORD_VERSION;
    out[AT_STATE] = (uint8_t)((int)record->state | flags);
    idem_time_put(out + AT_FIRST_SEEN, record->first_seen_ms);
    out = put_until(out + FIXED_SIZE, record);
    put_little(out, record->owner.instance, OWNER_SIZE);
    out += OWNER_SIZE;
    if (record->state == IDEM_RECORD_PENDING) {
        put_little(out, record->owner.incarnation, OWNER_SIZE);
        out += OWNER_SIZE;
    }
    if (record->has_fingerprint) {
        memcpy(out, record->fingerprint.bytes, IDEM_DIGEST_SIZE);
        out += IDEM_DIGEST_SIZE;
    }
    if (record->result.len > 0) {
        memcpy(out, record->result.data, record->result.len);
    }
}

/* Takes count bytes off the front of rest; NULL where there are fewer. */
static const uint8_t *take(struct idem_span *rest, size_t count) {
    if (rest->len < count) {
        return NULL;
    }
    const uint8_t *taken = rest->data;
    rest->data += count;
    rest->len -= count;
    return taken;
}

static bool take_number(struct idem_span *rest, size_t bytes, uint64_t *number) {
    const uint8_t *taken = take(rest, bytes);
    *number = taken != NULL ? get_little(taken, bytes) : 0;
    return taken != NULL;
}

static bool decode_until(struct idem_record *record, bool is_long,
                         struct idem_span *rest) {
    uint64_t number;
    if (!take_number(rest, is_long ? TIME_SIZE : SPAN_SIZE, &number)) {
        return false;
    }
    record->until_ms = (int64_t)number + (is_long ? 0 : record->first_seen_ms);
    return time_fits(record->until_ms);
}

static bool decode_owner(struct idem_record *record, struct idem_span *rest) {
    return take_number(rest, OWNER_SIZE, &record->owner.instance) &&
           (record->state != IDEM_RECORD_PENDING ||
            take_number(rest, OWNER_SIZE, &record->owner.incarnation));
}

static bool decode_fingerprint(struct idem_record *record, struct idem_span *rest) {
    if (record->has_fingerprint) {
        const uint8_t *fingerprint = take(rest, IDEM_DIGEST_SIZE);
        if (fingerprint == NULL) {
            return false;
        }
        memcpy(record->fingerprint.bytes, fingerprint, IDEM_DIGEST_SIZE);
    }
    return true;
}

static bool decode_result(struct idem_record *record, struct idem_span rest) {
    if (rest.len > 0) {
        record->result = rest;
    }
    return rest.len == 0 ||
           (record->state == IDEM_RECORD_DONE && rest.len <= IDEM_RESULT_MAX);
}

static bool decode_state(struct idem_record *record, uint8_t byte) {
    record->has_fingerprint = (byte & HAS_FINGERPRINT) != 0;
    switch (byte & ~(HAS_FINGERPRINT | HAS_LONG_UNTIL)) {
    case IDEM_RECORD_PENDING:
        record->state = IDEM_RECORD_PENDING;
        return true;
    case IDEM_RECORD_DONE:
        record->state = IDEM_RECORD_DONE;
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
    const uint8_t *fixed = take(&bytes, FIXED_SIZE);
    if (fixed == NULL || !decode_state(&found, fixed[AT_STATE])) {
        return IDEM_ERR_FORMAT;
    }
    found.first_seen_ms = idem_time_get(fixed + AT_FIRST_SEEN);
    if (!decode_until(&found, (fixed[AT_STATE] & HAS_LONG_UNTIL) != 0, &bytes) ||
        !decode_owner(&found, &bytes) || !decode_fingerprint(&found, &bytes) ||
        !decode_result(&found, bytes)) {
        return IDEM_ERR_FORMAT;
    }
    *record = found;
    return IDEM_OK;
}
