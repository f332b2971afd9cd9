/* SPDX-License-Identifier: MIT
 * The bytes of the handover file: as documented, and each record checked on its own, since whoever can
 * write the file can also compute its digest. */
#include "handover_codec.h"

#include "testing.h"

#include <idem/digest.h>

#include <mqtt_protocol.h>
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A file in memory of exactly its size, so that a sanitizer sees each byte too many that is read. */
struct file {
    uint8_t *data;
    size_t size;
};

static void digest_of(struct idem_digest *digest, const uint8_t *data, size_t size) {
    struct idem_secret secret;
    struct idem_span span = idem_span_of(data, size);
    idem_secret_default(&secret);
    idem_digest_of(digest, &secret, IDEM_DOMAIN_COPY, &span, 1);
}

static void seal(struct file *file) {
    struct idem_digest digest;
    size_t size = file->size - IDEM_DIGEST_SIZE;
    digest_of(&digest, file->data, size);
    memcpy(file->data + size, digest.bytes, IDEM_DIGEST_SIZE);
}

static struct file sealed_file(const char *magic, const void *records, size_t size) {
    struct file file = {malloc(8 + size + IDEM_DIGEST_SIZE), 8 + size + IDEM_DIGEST_SIZE};
    assert_non_null(file.data);
    memcpy(file.data, magic, 8);
    memcpy(file.data + 8, records, size);
    seal(&file);
    return file;
}

static bool opens(const struct file *file) {
    struct idem_handover_reader reader;
    return idem_handover_open(&reader, idem_span_of(file->data, file->size));
}

static const struct idem_handover_message message = {
    "a/b", {(const uint8_t *)"p\0q", 3}, 2, true};
static const struct idem_property properties[] = {
    {.id = MQTT_PROP_USER_PROPERTY, .name = "name", .value = "value", .size = 5},
    {.id = MQTT_PROP_CONTENT_TYPE, .value = "text", .size = 4},
    {.id = MQTT_PROP_RESPONSE_TOPIC, .value = ""},
    {.id = MQTT_PROP_CORRELATION_DATA, .value = "x\0y", .size = 3},
    {.id = MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, .byte = 1},
};

/* Two messages, the first one with a property of each kind. */
static struct file written_file(void) {
    struct idem_handover_writer writer = {NULL, 0, 0, false};
    const struct idem_handover_message bare = {"t", {NULL, 0}, 0, false};
    idem_handover_begin(&writer);
    idem_handover_write(&writer, &message);
    for (size_t i = 0; i < COUNT(properties); i++) {
        idem_handover_write_property(&writer, &properties[i]);
    }
    idem_handover_write(&writer, &bare);
    assert_true(idem_handover_end(&writer));
    struct file file = {malloc(writer.size), writer.size};
    assert_non_null(file.data);
    memcpy(file.data, writer.bytes, writer.size);
    free(writer.bytes);
    return file;
}

static void assert_property(const struct idem_property *read,
                            const struct idem_property *written) {
    assert_int_equal(read->id, written->id);
    assert_int_equal(read->byte, written->byte);
    assert_string_equal(read->name, written->name == NULL ? "" : written->name);
    assert_int_equal(read->size, written->size);
    assert_true(read->size == 0 || memcmp(read->value, written->value, read->size) == 0);
    assert_int_equal(((const char *)read->value)[read->size], 0);
}

static void what_is_written_is_read(void **state) {
    (void)state;
    struct idem_handover_reader reader;
    struct idem_handover_message read;
    struct idem_property property;
    struct file file = written_file();
    assert_true(idem_handover_open(&reader, idem_span_of(file.data, file.size)));
    assert_true(idem_handover_read(&reader, &read));
    assert_string_equal(read.topic, "a/b");
    assert_int_equal(read.payload.len, 3);
    assert_memory_equal(read.payload.data, "p\0q", 3);
    assert_int_equal(read.qos, 2);
    assert_true(read.retain);
    for (size_t i = 0; i < COUNT(properties); i++) {
        assert_true(idem_handover_read_property(&reader, &property));
        assert_property(&property, &properties[i]);
    }
    assert_false(idem_handover_read_property(&reader, &property));
    assert_true(idem_handover_read(&reader, &read));
    assert_string_equal(read.topic, "t");
    assert_int_equal(read.payload.len, 0);
    assert_false(read.retain);
    assert_false(idem_handover_read_property(&reader, &property));
    assert_false(idem_handover_read(&reader, &read));
    free(file.data);
}

/* A change of the format takes another magic, and a reader that still knows this one. */
static void the_format_is_as_documented(void **state) {
    (void)state;
    static const char expected[] = "IDEMHND1"
                                   "m\2\1\3\0\0\0a/b\0\3\0\0\0p\0q\0"
                                   "p\46\0\4\0\0\0name\0\5\0\0\0value\0";
    struct file file = written_file();
    assert_true(file.size > sizeof expected);
    assert_memory_equal(file.data, expected, sizeof expected - 1);
    assert_int_equal(file.data[file.size - IDEM_DIGEST_SIZE - 1], 'e');
    free(file.data);
}

#define MESSAGE "m\2\0\1\0\0\0t\0\0\0\0\0\0"

static const struct {
    const char *why;
    const char *records;
    size_t size;
} wrong[] = {
#define RECORDS(why, text)                                                               \
    { why, text, sizeof(text) - 1 }
    RECORDS("no end", ""),
    RECORDS("no end after a message", MESSAGE),
    RECORDS("two ends", "ee"),
    RECORDS("a message after the end", "e" MESSAGE),
    RECORDS("an unknown record", "xe"),
    RECORDS("QoS 3", "m\3\0\1\0\0\0t\0\0\0\0\0\0e"),
    RECORDS("retain is neither 0 nor 1", "m\2\2\1\0\0\0t\0\0\0\0\0\0e"),
    RECORDS("an empty topic", "m\2\0\0\0\0\0\0\0\0\0\0\0e"),
    RECORDS("NUL in a topic", "m\2\0\2\0\0\0t\0\0\0\0\0\0\0e"),
    RECORDS("a topic without its NUL", "m\2\0\1\0\0\0tx\0\0\0\0\0e"),
    RECORDS("a payload without its NUL", "m\2\0\1\0\0\0t\0\0\0\0\0xe"),
    RECORDS("a payload longer than the file", "m\2\0\1\0\0\0t\0\1\0\0\0e"),
    RECORDS("a payload longer than any", "m\2\0\1\0\0\0t\0\377\377\377\377e"),
    RECORDS("a property of no message", "p\46\0\0\0\0\0\0\0\0\0\0\0e"),
    RECORDS("an unknown property", MESSAGE "p\2\0\0\0\0\0\0\0\0\0\0\0e"),
    RECORDS("NUL in a name", MESSAGE "p\46\0\1\0\0\0\0\0\0\0\0\0\0e"),
    RECORDS("NUL in a text", MESSAGE "p\46\0\0\0\0\0\0\1\0\0\0\0\0e"),
    RECORDS("a value without its NUL", MESSAGE "p\46\0\0\0\0\0\0\0\0\0\0xe"),
#undef RECORDS
};

static void records_that_are_wrong_are_refused_whatever_the_digest_says(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct file file = sealed_file("IDEMHND1", wrong[i].records, wrong[i].size);
        if (opens(&file)) {
            fail_msg("%s", wrong[i].why);
        }
        free(file.data);
    }
}

/* Records with one text of that length between two pieces. */
static bool opens_with_text(const void *before, size_t size, size_t length,
                            const void *after, size_t after_size) {
    uint8_t *records = calloc(1, size + 4 + length + after_size);
    assert_non_null(records);
    memcpy(records, before, size);
    for (size_t i = 0; i < 4; i++) {
        records[size + i] = (uint8_t)(length >> (8 * i));
    }
    memset(records + size + 4, 't', length);
    memcpy(records + size + 4 + length, after, after_size);
    struct file file = sealed_file("IDEMHND1", records, size + 4 + length + after_size);
    bool open = opens(&file);
    free(file.data);
    free(records);
    return open;
}

static void texts_longer_than_those_of_mqtt_are_refused(void **state) {
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        const size_t length = 65535 + more;
        assert_int_equal(opens_with_text("m\2\0", 3, length, "\0\0\0\0\0\0e", 7), !more);
        assert_int_equal(opens_with_text(MESSAGE "p\46\0", sizeof MESSAGE - 1 + 3, length,
                                         "\0\0\0\0\0\0e", 7),
                         !more);
        assert_int_equal(opens_with_text(MESSAGE "p\46\0\0\0\0\0\0",
                                         sizeof MESSAGE - 1 + 8, length, "\0e", 2),
                         !more);
    }
}

static void another_magic_is_refused(void **state) {
    (void)state;
    struct file right = sealed_file("IDEMHND1", MESSAGE "e", sizeof MESSAGE);
    struct file newer = sealed_file("IDEMHND2", MESSAGE "e", sizeof MESSAGE);
    assert_true(opens(&right));
    assert_false(opens(&newer));
    free(right.data);
    free(newer.data);
}

static void what_is_not_sealed_is_refused(void **state) {
    (void)state;
    struct file file = sealed_file("IDEMHND1", MESSAGE "e", sizeof MESSAGE);
    for (size_t at = 0; at < file.size; at++) {
        file.data[at] ^= 0x10;
        assert_false(opens(&file));
        file.data[at] ^= 0x10;
    }
    assert_true(opens(&file));
    free(file.data);
}

/* Reads a file that opened to its end, as publishing does. */
static size_t read_all(const struct file *file) {
    struct idem_handover_reader reader;
    struct idem_handover_message read;
    struct idem_property property;
    size_t count = 0;
    assert_true(idem_handover_open(&reader, idem_span_of(file->data, file->size)));
    while (idem_handover_read(&reader, &read)) {
        assert_in_range(read.qos, 0, 2);
        assert_in_range(strlen(read.topic), 1, 65535);
        while (idem_handover_read_property(&reader, &property)) {
            assert_non_null(property.name);
            assert_non_null(property.value);
        }
        count++;
    }
    assert_int_equal(*reader.at, 'e');
    return count;
}

static void
a_sealed_file_with_any_bit_changed_is_refused_or_read_to_its_end(void **state) {
    (void)state;
    size_t refused = 0;
    size_t accepted = 0;
    struct file file = written_file();
    for (size_t bit = 0; bit < 8 * (file.size - IDEM_DIGEST_SIZE); bit++) {
        const uint8_t mask = (uint8_t)(1U << (bit % 8));
        file.data[bit / 8] ^= mask;
        seal(&file);
        if (!opens(&file)) {
            refused++;
        } else {
            assert_in_range(read_all(&file), 1, 2);
            accepted++;
        }
        file.data[bit / 8] ^= mask;
    }
    assert_true(refused > 500);
    assert_true(accepted > 100); /* such as another letter of a topic */
    free(file.data);
}

static int start(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    return idem_digest_init(&error) == IDEM_OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_format_is_as_documented),
        cmocka_unit_test(records_that_are_wrong_are_refused_whatever_the_digest_says),
        cmocka_unit_test(texts_longer_than_those_of_mqtt_are_refused),
        cmocka_unit_test(another_magic_is_refused),
        cmocka_unit_test(what_is_not_sealed_is_refused),
        cmocka_unit_test(
            a_sealed_file_with_any_bit_changed_is_refused_or_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
