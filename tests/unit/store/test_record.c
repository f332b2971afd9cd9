/* SPDX-License-Identifier: MIT
 * Records as bytes: golden bytes of each version, round trips, and bytes that are no
 * records. */
#include "store/record.h"

#include "testing.h"

#include <string.h>

/* Golden bytes of version 1. They never change: stores on disk hold them. */
static const uint8_t done_v1[] = {
    1,    0x82,                                     /* version, done + fingerprint */
    0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01,             /* first seen 1700000000000 */
    0x80, 0xd2, 0xe5, 0xcf, 0x8b, 0x01,             /* until 1700000027264 */
    0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* instance */
    0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, /* fingerprint */
    0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
};
static const uint8_t pending_v1[] = {
    1,    0x81,                                     /* version, pending + fingerprint */
    0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01,             /* first seen */
    0x80, 0xd2, 0xe5, 0xcf, 0x8b, 0x01,             /* until */
    0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* instance */
    0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, /* incarnation */
    0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, /* fingerprint */
    0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
};
static const uint8_t result_v1[] = {
    1,    2,                                        /* version, done, no fingerprint */
    0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01,             /* first seen */
    0x80, 0xd2, 0xe5, 0xcf, 0x8b, 0x01,             /* until */
    0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* instance */
    'o',  'k',                                      /* result */
};

static struct idem_record sample(enum idem_record_state state) {
    struct idem_record record = {
        .state = state,
        .has_fingerprint = true,
        .owner = {.instance = UINT64_C(0x0102030405060708)},
        .first_seen_ms = INT64_C(1700000000000),
        .until_ms = INT64_C(1700000027264),
    };
    for (uint8_t i = 0; i < IDEM_DIGEST_SIZE; i++) {
        record.fingerprint.bytes[i] = (uint8_t)(0xf0 + i);
    }
    if (state == IDEM_RECORD_PENDING) {
        record.owner.incarnation = UINT64_C(0x1112131415161718);
    }
    return record;
}

static void assert_records_equal(const struct idem_record *a,
                                 const struct idem_record *b) {
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->has_fingerprint, b->has_fingerprint);
    assert_true(idem_digest_equal(&a->fingerprint, &b->fingerprint));
    assert_int_equal(a->owner.instance, b->owner.instance);
    assert_int_equal(a->owner.incarnation, b->owner.incarnation);
    assert_int_equal(a->first_seen_ms, b->first_seen_ms);
    assert_int_equal(a->until_ms, b->until_ms);
    assert_true(idem_span_equal(a->result, b->result));
}

static void assert_golden(const struct idem_record *record, const uint8_t *bytes,
                          size_t len) {
    uint8_t encoded[64];
    struct idem_record decoded;
    assert_int_equal(idem_record_size(record), len);
    idem_record_encode(encoded, record);
    assert_memory_equal(encoded, bytes, len);
    assert_int_equal(idem_record_decode(&decoded, idem_span_of(bytes, len)), IDEM_OK);
    assert_records_equal(&decoded, record);
}

static void version_1_is_what_it_was(void **state) {
    (void)state;
    struct idem_record done = sample(IDEM_RECORD_DONE);
    struct idem_record pending = sample(IDEM_RECORD_PENDING);
    struct idem_record result = sample(IDEM_RECORD_DONE);
    result.has_fingerprint = false;
    memset(&result.fingerprint, 0, sizeof result.fingerprint);
    result.result = idem_span_text("ok");
    assert_golden(&done, done_v1, sizeof done_v1);
    assert_golden(&pending, pending_v1, sizeof pending_v1);
    assert_golden(&result, result_v1, sizeof result_v1);
}

static void a_done_record_takes_38_bytes(void **state) {
    (void)state;
    struct idem_record record = sample(IDEM_RECORD_DONE);
    assert_int_equal(idem_record_size(&record), 38);
}

static void the_limits_of_the_fields_survive(void **state) {
    (void)state;
    static uint8_t result[IDEM_RESULT_MAX];
    static uint8_t bytes[IDEM_RESULT_MAX + 64];
    struct idem_record record = sample(IDEM_RECORD_DONE);
    struct idem_record decoded;
    record.owner.instance = UINT64_MAX;
    record.first_seen_ms = 0;
    record.until_ms = IDEM_TIME_MAX_MS;
    record.result = idem_span_of(result, sizeof result);
    size_t size = idem_record_size(&record);
    assert_int_equal(size, 38 + sizeof result);
    idem_record_encode(bytes, &record);
    assert_int_equal(idem_record_decode(&decoded, idem_span_of(bytes, size)), IDEM_OK);
    assert_records_equal(&decoded, &record);
}

static void what_cannot_be_encoded_has_no_size(void **state) {
    (void)state;
    static uint8_t result[IDEM_RESULT_MAX + 1];
    struct idem_record record = sample(IDEM_RECORD_NONE);
    assert_int_equal(idem_record_size(&record), 0);
    record = sample(IDEM_RECORD_DONE);
    record.first_seen_ms = -1;
    assert_int_equal(idem_record_size(&record), 0);
    record = sample(IDEM_RECORD_DONE);
    record.until_ms = IDEM_TIME_MAX_MS + 1;
    assert_int_equal(idem_record_size(&record), 0);
    record = sample(IDEM_RECORD_DONE);
    record.result = idem_span_of(result, sizeof result);
    assert_int_equal(idem_record_size(&record), 0);
    record = sample(IDEM_RECORD_PENDING);
    record.result = idem_span_text("x");
    assert_int_equal(idem_record_size(&record), 0);
}

static enum idem_code decode_changed(size_t at, uint8_t value, size_t len) {
    uint8_t bytes[sizeof pending_v1 + 8] = {0};
    struct idem_record record;
    memcpy(bytes, pending_v1, sizeof pending_v1);
    bytes[at] = value;
    enum idem_code code = idem_record_decode(&record, idem_span_of(bytes, len));
    assert_true(code == IDEM_OK || record.state == IDEM_RECORD_NONE);
    return code;
}

static void a_shortened_record_is_refused_at_each_length(void **state) {
    (void)state;
    struct idem_record record;
    assert_int_equal(idem_record_decode(&record, idem_span_of(NULL, 0)), IDEM_ERR_FORMAT);
    for (size_t len = 0; len < sizeof pending_v1; len++) {
        assert_int_equal(decode_changed(0, 1, len), IDEM_ERR_FORMAT);
    }
    for (size_t len = 0; len < sizeof done_v1; len++) {
        assert_int_equal(idem_record_decode(&record, idem_span_of(done_v1, len)),
                         IDEM_ERR_FORMAT);
    }
}

static void a_lengthened_pending_record_is_refused(void **state) {
    (void)state;
    assert_int_equal(decode_changed(0, 1, sizeof pending_v1), IDEM_OK);
    assert_int_equal(decode_changed(0, 1, sizeof pending_v1 + 1), IDEM_ERR_FORMAT);
}

static void other_versions_are_told_apart_from_damage(void **state) {
    (void)state;
    assert_int_equal(decode_changed(0, 0, sizeof pending_v1), IDEM_ERR_FORMAT);
    for (unsigned version = IDEM_RECORD_VERSION + 1; version < 256; version++) {
        assert_int_equal(decode_changed(0, (uint8_t)version, sizeof pending_v1),
                         IDEM_ERR_VERSION);
    }
}

static void unknown_states_are_refused(void **state) {
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool known =
            (byte & 0x7f) == IDEM_RECORD_PENDING || (byte & 0x7f) == IDEM_RECORD_DONE;
        enum idem_code code = decode_changed(1, (uint8_t)byte, sizeof pending_v1);
        if (!known) {
            assert_int_equal(code, IDEM_ERR_FORMAT);
        }
    }
}

static void a_result_beyond_the_limit_is_refused(void **state) {
    (void)state;
    static uint8_t bytes[sizeof done_v1 + IDEM_RESULT_MAX + 1];
    struct idem_record record;
    memcpy(bytes, done_v1, sizeof done_v1);
    assert_int_equal(idem_record_decode(&record, idem_span_of(bytes, sizeof bytes)),
                     IDEM_ERR_FORMAT);
    assert_int_equal(idem_record_decode(&record, idem_span_of(bytes, sizeof bytes - 1)),
                     IDEM_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_is_what_it_was),
        cmocka_unit_test(a_done_record_takes_38_bytes),
        cmocka_unit_test(the_limits_of_the_fields_survive),
        cmocka_unit_test(what_cannot_be_encoded_has_no_size),
        cmocka_unit_test(a_shortened_record_is_refused_at_each_length),
        cmocka_unit_test(a_lengthened_pending_record_is_refused),
        cmocka_unit_test(other_versions_are_told_apart_from_damage),
        cmocka_unit_test(unknown_states_are_refused),
        cmocka_unit_test(a_result_beyond_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
