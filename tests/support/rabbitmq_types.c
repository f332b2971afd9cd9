/* SPDX-License-Identifier: MIT
 * AMQP properties with every field there is, of every type there is, and a deep comparison. */
#include "rabbitmq_types.h"
#include "rabbitmq_library.h"
#include "testing.h"

#include <string.h>

#define BYTES(text)                                                                      \
    { sizeof(text) - 1, (void *)(uintptr_t)(text) }
#define FIELD(field_kind, member, ...)                                                   \
    { .kind = (field_kind), .value.member = __VA_ARGS__ }
#define ENTRY(name, ...)                                                                 \
    { .key = BYTES(name), .value = __VA_ARGS__ }

static amqp_field_value_t items[] = {
    FIELD(AMQP_FIELD_KIND_UTF8, bytes, BYTES("in an array")),
    FIELD(AMQP_FIELD_KIND_I64, i64, INT64_MIN),
};
static amqp_table_entry_t inner[] = {
    ENTRY("text", FIELD(AMQP_FIELD_KIND_UTF8, bytes, BYTES("in a table"))),
    ENTRY("array", FIELD(AMQP_FIELD_KIND_ARRAY, array, {2, items})),
    ENTRY("empty", FIELD(AMQP_FIELD_KIND_TABLE, table, {0, NULL})),
};
static amqp_field_value_t outer_items[] = {
    FIELD(AMQP_FIELD_KIND_TABLE, table, {3, inner}),
    FIELD(AMQP_FIELD_KIND_ARRAY, array, {2, items}),
    FIELD(AMQP_FIELD_KIND_VOID, u64, 0),
};
static amqp_table_entry_t entries[] = {
    ENTRY("boolean", FIELD(AMQP_FIELD_KIND_BOOLEAN, boolean, 1)),
    ENTRY("i8", FIELD(AMQP_FIELD_KIND_I8, i8, -128)),
    ENTRY("u8", FIELD(AMQP_FIELD_KIND_U8, u8, 255)),
    ENTRY("i16", FIELD(AMQP_FIELD_KIND_I16, i16, -32768)),
    ENTRY("u16", FIELD(AMQP_FIELD_KIND_U16, u16, 65535)),
    ENTRY("i32", FIELD(AMQP_FIELD_KIND_I32, i32, INT32_MIN)),
    ENTRY("u32", FIELD(AMQP_FIELD_KIND_U32, u32, UINT32_MAX)),
    ENTRY("i64", FIELD(AMQP_FIELD_KIND_I64, i64, INT64_MIN)),
    ENTRY("f32", FIELD(AMQP_FIELD_KIND_F32, f32, 1.5f)),
    ENTRY("f64", FIELD(AMQP_FIELD_KIND_F64, f64, -2.25)),
    ENTRY("decimal", FIELD(AMQP_FIELD_KIND_DECIMAL, decimal, {2, 12345})),
    ENTRY("utf8", FIELD(AMQP_FIELD_KIND_UTF8, bytes, BYTES("gr\xc3\xbc\xc3\x9f"))),
    ENTRY("bytes", FIELD(AMQP_FIELD_KIND_BYTES, bytes, BYTES("\0\xff binary \0"))),
    ENTRY("timestamp", FIELD(AMQP_FIELD_KIND_TIMESTAMP, u64, 1700000000)),
    ENTRY("void", FIELD(AMQP_FIELD_KIND_VOID, u64, 0)),
    ENTRY("table", FIELD(AMQP_FIELD_KIND_TABLE, table, {3, inner})),
    ENTRY("array", FIELD(AMQP_FIELD_KIND_ARRAY, array, {3, outer_items})),
    ENTRY("empty", FIELD(AMQP_FIELD_KIND_UTF8, bytes, BYTES(""))),
};

static const amqp_basic_properties_t all = {
    ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
              AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
              AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG |
              AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_EXPIRATION_FLAG |
              AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG |
              AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_USER_ID_FLAG | AMQP_BASIC_APP_ID_FLAG |
              AMQP_BASIC_CLUSTER_ID_FLAG,
    .content_type = BYTES("application/json"),
    .content_encoding = BYTES("identity"),
    .headers = {sizeof entries / sizeof entries[0], entries},
    .delivery_mode = 2,
    .priority = 7,
    .correlation_id = BYTES("correlation \0 id"),
    .reply_to = BYTES("answers"),
    .expiration = BYTES("3600000"),
    .message_id = BYTES("message-1"),
    .timestamp = UINT64_C(1700000000),
    .type = BYTES("order.created"),
    .user_id = BYTES("guest"),
    .app_id = BYTES("shop"),
    .cluster_id = BYTES("cluster"),
};

const void *rabbitmq_all_types(void) {
    return &all;
}

static void expect_bytes(amqp_bytes_t seen, amqp_bytes_t expected) {
    assert_int_equal(seen.len, expected.len);
    if (expected.len > 0) {
        assert_memory_equal(seen.bytes, expected.bytes, expected.len);
    }
}

static void expect_table(const amqp_table_t *seen, const amqp_table_t *expected);
static void expect_array(const amqp_array_t *seen, const amqp_array_t *expected);

static void expect_field(const amqp_field_value_t *seen,
                         const amqp_field_value_t *expected) {
    assert_int_equal(seen->kind, expected->kind);
    switch (expected->kind) {
    case AMQP_FIELD_KIND_UTF8:
    case AMQP_FIELD_KIND_BYTES:
        expect_bytes(seen->value.bytes, expected->value.bytes);
        break;
    case AMQP_FIELD_KIND_TABLE:
        expect_table(&seen->value.table, &expected->value.table);
        break;
    case AMQP_FIELD_KIND_ARRAY:
        expect_array(&seen->value.array, &expected->value.array);
        break;
    case AMQP_FIELD_KIND_DECIMAL:
        assert_int_equal(seen->value.decimal.decimals, expected->value.decimal.decimals);
        assert_int_equal(seen->value.decimal.value, expected->value.decimal.value);
        break;
    case AMQP_FIELD_KIND_BOOLEAN:
        assert_int_equal(seen->value.boolean, expected->value.boolean);
        break;
    case AMQP_FIELD_KIND_I8:
    case AMQP_FIELD_KIND_U8:
        assert_int_equal(seen->value.u8, expected->value.u8);
        break;
    case AMQP_FIELD_KIND_I16:
    case AMQP_FIELD_KIND_U16:
        assert_int_equal(seen->value.u16, expected->value.u16);
        break;
    case AMQP_FIELD_KIND_I32:
    case AMQP_FIELD_KIND_U32:
        assert_int_equal(seen->value.u32, expected->value.u32);
        break;
    case AMQP_FIELD_KIND_F32:
        assert_memory_equal(&seen->value.f32, &expected->value.f32, sizeof(float));
        break;
    case AMQP_FIELD_KIND_VOID:
        break;
    default: /* 64 bits of any kind */
        assert_int_equal(seen->value.u64, expected->value.u64);
    }
}

static void expect_array(const amqp_array_t *seen, const amqp_array_t *expected) {
    assert_int_equal(seen->num_entries, expected->num_entries);
    for (int i = 0; i < expected->num_entries; i++) {
        expect_field(&seen->entries[i], &expected->entries[i]);
    }
}

static const amqp_field_value_t *find(const amqp_table_t *table, amqp_bytes_t key) {
    for (int i = 0; i < table->num_entries; i++) {
        const amqp_table_entry_t *entry = &table->entries[i];
        if (entry->key.len == key.len &&
            memcmp(entry->key.bytes, key.bytes, key.len) == 0) {
            return &entry->value;
        }
    }
    fail_msg("no header %.*s", (int)key.len, (const char *)key.bytes);
    return NULL;
}

/* By name: a table has no order, and RabbitMQ 4 sorts the headers. */
static void expect_table(const amqp_table_t *seen, const amqp_table_t *expected) {
    assert_true(seen->num_entries >= expected->num_entries);
    for (int i = 0; i < expected->num_entries; i++) {
        expect_field(find(seen, expected->entries[i].key), &expected->entries[i].value);
    }
}

void rabbitmq_expect_properties(const void *seen_properties,
                                const void *expected_properties) {
    const amqp_basic_properties_t *seen = seen_properties;
    const amqp_basic_properties_t *expected = expected_properties;
    assert_int_equal(seen->_flags, expected->_flags);
    expect_bytes(seen->content_type, expected->content_type);
    expect_bytes(seen->content_encoding, expected->content_encoding);
    expect_table(&seen->headers, &expected->headers);
    assert_int_equal(seen->delivery_mode, expected->delivery_mode);
    assert_int_equal(seen->priority, expected->priority);
    expect_bytes(seen->correlation_id, expected->correlation_id);
    expect_bytes(seen->reply_to, expected->reply_to);
    expect_bytes(seen->expiration, expected->expiration);
    expect_bytes(seen->message_id, expected->message_id);
    assert_int_equal(seen->timestamp, expected->timestamp);
    expect_bytes(seen->type, expected->type);
    expect_bytes(seen->user_id, expected->user_id);
    expect_bytes(seen->app_id, expected->app_id);
    expect_bytes(seen->cluster_id, expected->cluster_id);
}
