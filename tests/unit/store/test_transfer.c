/* SPDX-License-Identifier: MIT
 * Exports: golden bytes, round trips, and every way in which a file can be none. */
#include "testing.h"

#include <idem/transfer.h>

#include <string.h>

#define T0 INT64_C(1700000000000)

/* A stream in memory. */
struct bytes {
    uint8_t data[4096];
    size_t length;
    size_t at;
    size_t fails_at; /* 0: never */
};

static struct idem_secret secret;

static bool append(void *arg, const void *from, size_t length) {
    struct bytes *bytes = arg;
    if (bytes->fails_at > 0 && bytes->length + length > bytes->fails_at) {
        return false;
    }
    assert_true(bytes->length + length <= sizeof bytes->data);
    memcpy(bytes->data + bytes->length, from, length);
    bytes->length += length;
    return true;
}

static bool take(void *arg, void *to, size_t length, size_t *got) {
    struct bytes *bytes = arg;
    size_t left = bytes->length - bytes->at;
    *got = length < left ? length : left;
    memcpy(to, bytes->data + bytes->at, *got);
    bytes->at += *got;
    return bytes->fails_at == 0 || bytes->at < bytes->fails_at;
}

static int set_up(void **state) {
    (void)state;
    assert_int_equal(idem_digest_init(NULL), IDEM_OK);
    idem_secret_default(&secret);
    return 0;
}

static struct idem_digest digest_of(uint8_t n) {
    struct idem_digest digest;
    memset(digest.bytes, n, sizeof digest.bytes);
    return digest;
}

/* Of a sequence: mark 5 and top 7 of epoch 1, in a window of 8 numbers. */
static const uint8_t numbers[35] = {
    [0] = 3, [2] = 8, [4] = 1, [12] = 5, [20] = 7, [34] = 1};

static struct idem_record record_of(enum idem_record_state state) {
    struct idem_record record = {.state = state,
                                 .owner = {.instance = UINT64_C(0x0102030405060708)},
                                 .first_seen_ms = T0,
                                 .until_ms = T0 + 1000};
    if (state == IDEM_RECORD_PENDING) {
        record.owner.incarnation = 9;
        record.has_fingerprint = true;
        record.fingerprint = digest_of(0xfe);
    } else {
        record.result = state == IDEM_RECORD_SEQUENCE
                            ? idem_span_of(numbers, sizeof numbers)
                            : idem_span_text("answer");
    }
    return record;
}

/* A pending, a done and a sequence record. */
static enum idem_code write_all(struct bytes *bytes) {
    struct idem_export *out = NULL;
    uint64_t count = 0;
    enum idem_code code = idem_export_open(&out, append, bytes, &secret, T0);
    for (int state = IDEM_RECORD_PENDING;
         state <= IDEM_RECORD_SEQUENCE && code == IDEM_OK; state++) {
        struct idem_digest digest = digest_of((uint8_t)state);
        struct idem_record record = record_of((enum idem_record_state)state);
        code = idem_export_add(out, &digest, &record);
    }
    if (code == IDEM_OK) {
        code = idem_export_finish(out, &count);
        assert_int_equal(count, 3);
    }
    idem_export_close(out);
    return code;
}

/* Reads all; returns the code at the end, and how many records there were. */
static enum idem_code read_all(struct bytes *bytes, size_t *count,
                               struct idem_error *error) {
    struct idem_import *in = NULL;
    struct idem_digest digest;
    struct idem_record record;
    *count = 0;
    *error = (struct idem_error)IDEM_ERROR_INIT;
    bytes->at = 0;
    enum idem_code code = idem_import_open(&in, take, bytes, &secret, error);
    if (code != IDEM_OK) {
        assert_null(in);
        return code;
    }
    while ((code = idem_import_next(in, &digest, &record, error)) == IDEM_OK) {
        (*count)++;
    }
    assert_int_equal(idem_import_next(in, &digest, &record, NULL), IDEM_ERR_NOT_FOUND);
    idem_import_close(in);
    return code;
}

/* Never changes: files out there look like this. */
static const uint8_t golden[] = {
    0x89, 0x49, 0x44, 0x45, 0x4d, 0x0d, 0x0a, 0x1a, 0x01, 0x00, 0x00, 0x00, 0x00, 0x68,
    0xe5, 0xcf, 0x8b, 0x01, 0x58, 0x0f, 0x4a, 0x52, 0xa7, 0x39, 0x6b, 0x70, 0xfa, 0xc6,
    0xb0, 0x56, 0x7f, 0x06, 0x8e, 0x9e, 0x2e, 0x00, 0x00, 0x00, 0x01, 0x01, 0x01, 0x01,
    0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x81,
    0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 0xe8, 0x6b, 0xe5, 0xcf, 0x8b, 0x01, 0x08, 0x07,
    0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe,
    0xfe, 0xfe, 0x1c, 0x00, 0x00, 0x00, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02,
    0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x01, 0x02, 0x00, 0x68, 0xe5, 0xcf,
    0x8b, 0x01, 0xe8, 0x6b, 0xe5, 0xcf, 0x8b, 0x01, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03,
    0x02, 0x01, 0x61, 0x6e, 0x73, 0x77, 0x65, 0x72, 0x39, 0x00, 0x00, 0x00, 0x03, 0x03,
    0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03,
    0x02, 0x03, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 0xe8, 0x6b, 0xe5, 0xcf, 0x8b, 0x01,
    0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0x03, 0x00, 0x08, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xa9,
    0x62, 0x31, 0x79, 0xa0, 0xe1, 0xbd, 0x6e, 0x24, 0x94, 0x8a, 0x7f, 0x02, 0xa7, 0x63,
    0x58,
};

static void test_the_bytes_of_version_1_stay_as_they_are(void **state) {
    (void)state;
    struct bytes bytes = {.length = 0};
    assert_int_equal(write_all(&bytes), IDEM_OK);
    assert_int_equal(bytes.length, sizeof golden);
    assert_memory_equal(bytes.data, golden, sizeof golden);
}

static void test_what_is_written_is_read(void **state) {
    (void)state;
    struct bytes bytes = {.length = sizeof golden};
    struct idem_import *in = NULL;
    struct idem_error error = IDEM_ERROR_INIT;
    memcpy(bytes.data, golden, sizeof golden);
    assert_int_equal(idem_import_open(&in, take, &bytes, &secret, &error), IDEM_OK);
    assert_int_equal(idem_import_created_ms(in), T0);
    for (int i = IDEM_RECORD_PENDING; i <= IDEM_RECORD_SEQUENCE; i++) {
        struct idem_digest digest;
        struct idem_digest expected = digest_of((uint8_t)i);
        struct idem_record record;
        struct idem_record wanted = record_of((enum idem_record_state)i);
        assert_int_equal(idem_import_next(in, &digest, &record, &error), IDEM_OK);
        assert_true(idem_digest_equal(&digest, &expected));
        assert_int_equal(record.state, wanted.state);
        assert_int_equal(record.owner.instance, wanted.owner.instance);
        assert_int_equal(record.owner.incarnation, wanted.owner.incarnation);
        assert_int_equal(record.first_seen_ms, wanted.first_seen_ms);
        assert_int_equal(record.until_ms, wanted.until_ms);
        assert_int_equal(record.has_fingerprint, wanted.has_fingerprint);
        assert_true(idem_span_equal(record.result, wanted.result));
    }
    struct idem_digest digest;
    struct idem_record record;
    assert_int_equal(idem_import_next(in, &digest, &record, &error), IDEM_ERR_NOT_FOUND);
    idem_import_close(in);
}

static void test_one_that_is_cut_off_anywhere_is_refused(void **state) {
    (void)state;
    for (size_t length = 0; length < sizeof golden; length++) {
        struct bytes bytes = {.length = length};
        struct idem_error error;
        size_t count;
        memcpy(bytes.data, golden, length);
        assert_int_equal(read_all(&bytes, &count, &error), IDEM_ERR_FORMAT);
        assert_non_null(
            strstr(error.text, length == 0 ? "no export of Idem" : "cut off"));
    }
}

static void test_one_with_any_bit_changed_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < 8 * sizeof golden; i++) {
        struct bytes bytes = {.length = sizeof golden};
        struct idem_error error;
        size_t count;
        memcpy(bytes.data, golden, sizeof golden);
        bytes.data[i / 8] ^= (uint8_t)(1U << (i % 8));
        enum idem_code code = read_all(&bytes, &count, &error);
        assert_true(code == IDEM_ERR_FORMAT || code == IDEM_ERR_VERSION);
        assert_true(error.text[0] != '\0');
    }
}

static void test_bytes_after_the_end_are_refused(void **state) {
    (void)state;
    struct bytes bytes = {.length = sizeof golden + 1};
    struct idem_error error;
    size_t count;
    memcpy(bytes.data, golden, sizeof golden);
    assert_int_equal(read_all(&bytes, &count, &error), IDEM_ERR_FORMAT);
    assert_non_null(strstr(error.text, "follows its end"));
}

static void test_one_of_a_newer_format_is_refused_as_such(void **state) {
    (void)state;
    struct bytes bytes = {.length = sizeof golden};
    struct idem_error error;
    size_t count;
    memcpy(bytes.data, golden, sizeof golden);
    bytes.data[8] = 2;
    assert_int_equal(read_all(&bytes, &count, &error), IDEM_ERR_VERSION);
    assert_non_null(strstr(error.text, "newer Idem"));
}

static void test_one_of_another_secret_is_refused(void **state) {
    (void)state;
    struct bytes bytes = {.length = sizeof golden};
    struct idem_error error;
    size_t count;
    memcpy(bytes.data, golden, sizeof golden);
    memset(&secret, 7, sizeof secret);
    assert_int_equal(read_all(&bytes, &count, &error), IDEM_ERR_FORMAT);
    assert_non_null(strstr(error.text, "another secret"));
    idem_secret_default(&secret);
}

static void test_a_length_beyond_every_record_takes_no_memory(void **state) {
    (void)state;
    struct bytes bytes = {.length = sizeof golden};
    struct idem_error error;
    size_t count;
    memcpy(bytes.data, golden, sizeof golden);
    memset(bytes.data + 34, 0xff, 4);
    assert_int_equal(read_all(&bytes, &count, &error), IDEM_ERR_FORMAT);
    assert_non_null(strstr(error.text, "too long"));
    assert_int_equal(count, 0);
}

static void test_what_cannot_be_written_or_read_is_told(void **state) {
    (void)state;
    for (size_t at = 1; at < sizeof golden; at++) {
        struct bytes bytes = {.fails_at = at};
        assert_int_equal(write_all(&bytes), IDEM_ERR_IO);
    }
    for (size_t at = 1; at < sizeof golden; at++) {
        struct bytes bytes = {.length = sizeof golden, .fails_at = at};
        struct idem_error error;
        size_t count;
        memcpy(bytes.data, golden, sizeof golden);
        assert_int_equal(read_all(&bytes, &count, &error), IDEM_ERR_IO);
    }
}

static void test_what_is_no_record_is_not_written(void **state) {
    (void)state;
    struct bytes bytes = {.length = 0};
    struct idem_export *out = NULL;
    struct idem_digest digest = digest_of(1);
    struct idem_record none = {.state = IDEM_RECORD_NONE};
    assert_int_equal(idem_export_open(&out, append, &bytes, &secret, T0), IDEM_OK);
    assert_int_equal(idem_export_add(out, &digest, &none), IDEM_ERR_INVALID);
    idem_export_close(out);
    idem_export_close(NULL);
    idem_import_close(NULL);
}

/* The checksum is right: whoever can write a file can write that, too. */
static void
test_a_state_that_no_store_would_take_is_refused_when_it_is_read(void **state) {
    (void)state;
    struct bytes bytes = {.length = 0};
    struct idem_export *out = NULL;
    struct idem_digest digest = digest_of(1);
    struct idem_record record = record_of(IDEM_RECORD_SEQUENCE);
    struct idem_error error;
    size_t count;
    uint64_t written;
    uint8_t forged[sizeof numbers];
    memcpy(forged, numbers, sizeof numbers);
    forged[20] = 4; /* the highest number below the mark */
    assert_int_equal(idem_export_open(&out, append, &bytes, &secret, T0), IDEM_OK);
    assert_int_equal(idem_export_add(out, &digest, &record), IDEM_OK);
    record.result = idem_span_of(forged, sizeof forged);
    assert_int_equal(idem_export_add(out, &digest, &record), IDEM_OK);
    assert_int_equal(idem_export_finish(out, &written), IDEM_OK);
    idem_export_close(out);
    assert_int_equal(read_all(&bytes, &count, &error), IDEM_ERR_FORMAT);
    assert_int_equal(count, 1);
    assert_non_null(strstr(error.text, "it is damaged, after 1 records"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bytes_of_version_1_stay_as_they_are),
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_one_that_is_cut_off_anywhere_is_refused),
        cmocka_unit_test(test_one_with_any_bit_changed_is_refused),
        cmocka_unit_test(test_bytes_after_the_end_are_refused),
        cmocka_unit_test(test_one_of_a_newer_format_is_refused_as_such),
        cmocka_unit_test(test_one_of_another_secret_is_refused),
        cmocka_unit_test(test_a_length_beyond_every_record_takes_no_memory),
        cmocka_unit_test(test_what_cannot_be_written_or_read_is_told),
        cmocka_unit_test(test_what_is_no_record_is_not_written),
        cmocka_unit_test(
            test_a_state_that_no_store_would_take_is_refused_when_it_is_read),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
