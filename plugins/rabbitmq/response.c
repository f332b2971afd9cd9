/* SPDX-License-Identifier: MIT
 * A worker's reply as a stored result, and back.
 *
 * rabbitmq-c encodes tables, not single values; a value is what follows the name in a table of one entry whose
 * name is empty. */
#include "response.h"

#define TABLE_HEAD 5 /* length of the table, length of the name */

static void read_fields(struct idem_response *response,
                        const amqp_basic_properties_t *properties) {
    struct idem_span *fields = response->result.fields;
    const amqp_flags_t flags = properties->_flags;
#define TEXT(flag, field, member)                                                        \
    if ((flags & AMQP_BASIC_##flag##_FLAG) != 0) {                                       \
        fields[IDEM_RESULT_##field] = idem_rabbit_span(properties->member);              \
    }
#define NUMBER(flag, field, member)                                                      \
    if ((flags & AMQP_BASIC_##flag##_FLAG) != 0) {                                       \
        fields[IDEM_RESULT_##field] = idem_field_unsigned(                               \
            response->numbers[IDEM_RESULT_##field], properties->member);                 \
    }
    TEXT(CONTENT_TYPE, CONTENT_TYPE, content_type)
    TEXT(CONTENT_ENCODING, CONTENT_ENCODING, content_encoding)
    TEXT(TYPE, TYPE, type)
    TEXT(MESSAGE_ID, MESSAGE_ID, message_id)
    TEXT(APP_ID, APP_ID, app_id)
    TEXT(EXPIRATION, EXPIRATION, expiration)
    NUMBER(TIMESTAMP, TIMESTAMP, timestamp)
    NUMBER(PRIORITY, PRIORITY, priority)
    NUMBER(DELIVERY_MODE, DELIVERY_MODE, delivery_mode)
#undef TEXT
#undef NUMBER
}

/* A value that is the same as a text, and of which only one type makes that text. */
static bool read_plain(struct idem_result_header *header, const amqp_field_value_t *value,
                       char *text) {
    if (value->kind == AMQP_FIELD_KIND_UTF8) {
        header->kind = IDEM_RESULT_TEXT;
        header->value = idem_rabbit_span(value->value.bytes);
    } else if (value->kind == AMQP_FIELD_KIND_BOOLEAN) {
        header->kind = IDEM_RESULT_BOOLEAN;
        header->value = idem_span_text(value->value.boolean ? "true" : "false");
    } else if (value->kind == AMQP_FIELD_KIND_I64) {
        header->kind = IDEM_RESULT_INTEGER;
        header->value = idem_field_signed(text, value->value.i64);
    } else {
        return false;
    }
    return true;
}

/* Other types that have a text, when only the text counts. */
static bool read_as_text(struct idem_result_header *header,
                         const amqp_field_value_t *value, char *text) {
    header->kind = IDEM_RESULT_TEXT;
    return idem_field_text(value, text, &header->value);
}

static enum idem_code encode_value(struct idem_span *encoded,
                                   const amqp_field_value_t *value, amqp_pool_t *pool) {
    amqp_table_entry_t entry = {.key = amqp_empty_bytes, .value = *value};
    amqp_table_t table = {1, &entry};
    size_t room = 256;
    for (;;) { /* nobody says how long it will be, but the frame that it came in */
        amqp_bytes_t bytes;
        size_t len = 0;
        amqp_pool_alloc_bytes(pool, room, &bytes);
        if (bytes.bytes == NULL) {
            return IDEM_ERR_NOMEM;
        }
        int status = amqp_encode_table(bytes, &table, &len);
        if (status == AMQP_STATUS_OK && len >= TABLE_HEAD) {
            *encoded =
                idem_span_of((uint8_t *)bytes.bytes + TABLE_HEAD, len - TABLE_HEAD);
            return IDEM_OK;
        }
        if (room > 1024 * 1024) {
            return IDEM_ERR_NOMEM;
        }
        room *= 8;
    }
}

static enum idem_code read_header(struct idem_response *response,
                                  const amqp_table_entry_t *entry,
                                  enum idem_response_form form, amqp_pool_t *pool) {
    struct idem_result *result = &response->result;
    struct idem_result_header *header = &result->headers[result->header_count];
    char *text = response->values[result->header_count];
    header->name = idem_rabbit_span(entry->key);
    result->header_count++;
    if (read_plain(header, &entry->value, text) ||
        (form == IDEM_RESPONSE_TO_JUDGE && read_as_text(header, &entry->value, text))) {
        return IDEM_OK;
    }
    header->kind = IDEM_RESULT_AMQP;
    return encode_value(&header->value, &entry->value, pool);
}

enum idem_code idem_response_read(struct idem_response *response,
                                  const amqp_basic_properties_t *properties,
                                  struct idem_span payload, enum idem_response_form form,
                                  amqp_pool_t *pool, bool *whole) {
    memset(&response->result, 0, sizeof response->result);
    response->result.payload = payload;
    read_fields(response, properties);
    bool has = (properties->_flags & AMQP_BASIC_HEADERS_FLAG) != 0;
    int count = has ? properties->headers.num_entries : 0;
    *whole = count <= IDEM_RESULT_HEADERS_MAX;
    for (int i = 0; i < count && *whole; i++) {
        enum idem_code code =
            read_header(response, &properties->headers.entries[i], form, pool);
        if (code != IDEM_OK) {
            return code;
        }
    }
    return IDEM_OK;
}

static bool parse_number(struct idem_span text, uint64_t most, uint64_t *value) {
    *value = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9 || *value > (most - digit) / 10) {
            return false;
        }
        *value = *value * 10 + digit;
    }
    return text.len > 0;
}

static void write_fields(amqp_basic_properties_t *properties,
                         const struct idem_result *result) {
    const struct idem_span *fields = result->fields;
    uint64_t value = 0;
#define TEXT(flag, field, member)                                                        \
    if (fields[IDEM_RESULT_##field].len > 0 && fields[IDEM_RESULT_##field].len < 256) {  \
        properties->_flags |= AMQP_BASIC_##flag##_FLAG;                                  \
        properties->member = idem_rabbit_bytes(fields[IDEM_RESULT_##field]);             \
    }
#define NUMBER(flag, field, member, type, most)                                          \
    if (parse_number(fields[IDEM_RESULT_##field], most, &value)) {                       \
        properties->_flags |= AMQP_BASIC_##flag##_FLAG;                                  \
        properties->member = (type)value;                                                \
    }
    TEXT(CONTENT_TYPE, CONTENT_TYPE, content_type)
    TEXT(CONTENT_ENCODING, CONTENT_ENCODING, content_encoding)
    TEXT(TYPE, TYPE, type)
    TEXT(MESSAGE_ID, MESSAGE_ID, message_id)
    TEXT(APP_ID, APP_ID, app_id)
    TEXT(EXPIRATION, EXPIRATION, expiration)
    NUMBER(TIMESTAMP, TIMESTAMP, timestamp, uint64_t, UINT64_MAX)
    NUMBER(PRIORITY, PRIORITY, priority, uint8_t, UINT8_MAX)
    NUMBER(DELIVERY_MODE, DELIVERY_MODE, delivery_mode, uint8_t, UINT8_MAX)
#undef TEXT
#undef NUMBER
}

static void write_integer(amqp_field_value_t *value, struct idem_span text) {
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t digits = 0;
    if (negative) {
        text = idem_span_of(text.data + 1, text.len - 1);
    }
    (void)parse_number(text, (uint64_t)INT64_MAX + negative, &digits);
    value->kind = AMQP_FIELD_KIND_I64;
    value->value.i64 = negative ? (int64_t)(0 - digits) : (int64_t)digits;
}

/* What was not written by a bridge may be anything. */
static bool decode_value(amqp_field_value_t *value, struct idem_span encoded,
                         amqp_pool_t *pool) {
    amqp_bytes_t bytes;
    amqp_table_t table;
    size_t offset = 0;
    amqp_pool_alloc_bytes(pool, TABLE_HEAD + encoded.len, &bytes);
    if (bytes.bytes == NULL || encoded.len == 0) {
        return false;
    }
    uint8_t *at = bytes.bytes;
    uint32_t len = (uint32_t)encoded.len + 1;
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(len >> (24 - 8 * i));
    }
    at[4] = 0;
    memcpy(at + TABLE_HEAD, encoded.data, encoded.len);
    if (amqp_decode_table(bytes, pool, &table, &offset) != AMQP_STATUS_OK ||
        table.num_entries != 1) {
        return false;
    }
    *value = table.entries[0].value;
    return true;
}

static bool write_header(amqp_table_entry_t *entry,
                         const struct idem_result_header *header, amqp_pool_t *pool) {
    if (header->name.len > 255) {
        return false;
    }
    entry->key = idem_rabbit_bytes(header->name);
    switch (header->kind) {
    case IDEM_RESULT_INTEGER:
        write_integer(&entry->value, header->value);
        return true;
    case IDEM_RESULT_BOOLEAN:
        entry->value.kind = AMQP_FIELD_KIND_BOOLEAN;
        entry->value.value.boolean =
            idem_span_equal(header->value, idem_span_text("true"));
        return true;
    case IDEM_RESULT_AMQP:
        return decode_value(&entry->value, header->value, pool);
    case IDEM_RESULT_TEXT:
    case IDEM_RESULT_KIND_COUNT:
        break;
    }
    entry->value.kind = AMQP_FIELD_KIND_UTF8;
    entry->value.value.bytes = idem_rabbit_bytes(header->value);
    return true;
}

enum idem_code idem_response_write(amqp_basic_properties_t *properties,
                                   const struct idem_result *result, amqp_pool_t *pool) {
    memset(properties, 0, sizeof *properties);
    write_fields(properties, result);
    if (result->header_count == 0) {
        return IDEM_OK;
    }
    amqp_table_entry_t *entries =
        amqp_pool_alloc(pool, result->header_count * sizeof *entries);
    if (entries == NULL) {
        return IDEM_ERR_NOMEM;
    }
    int count = 0;
    for (size_t i = 0; i < result->header_count; i++) {
        count += write_header(&entries[count], &result->headers[i], pool);
    }
    properties->headers.num_entries = count;
    properties->headers.entries = entries;
    properties->_flags |= AMQP_BASIC_HEADERS_FLAG;
    return IDEM_OK;
}
