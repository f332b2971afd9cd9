/* SPDX-License-Identifier: MIT
 * The properties of a message that is handed on. */
#include "outgoing.h"

#define ENTRY_OVERHEAD 6 /* length of the name, kind, length of the value */
#define TABLE_OVERHEAD 4
#define TIME_SIZE      8

void idem_outgoing_add(struct idem_outgoing *outgoing, const char *name,
                       struct idem_span text) {
    if (outgoing->added_count < IDEM_HEADERS_ADDED_MAX) {
        struct idem_header header = {idem_span_text(name), text, 0};
        outgoing->added[outgoing->added_count++] = header;
    }
}

void idem_outgoing_add_time(struct idem_outgoing *outgoing, const char *name,
                            int64_t time_s) {
    idem_outgoing_add(outgoing, name, idem_span_of(NULL, 0));
    outgoing->added[outgoing->added_count - 1].time_s = time_s;
}

static size_t encoded_len(const struct idem_outgoing *outgoing) {
    size_t len = outgoing->encoded_len + TABLE_OVERHEAD;
    for (size_t i = 0; i < outgoing->added_count; i++) {
        const struct idem_header *header = &outgoing->added[i];
        len += ENTRY_OVERHEAD + header->name.len +
               (header->time_s > 0 ? TIME_SIZE : header->text.len);
    }
    return len;
}

static bool is_replaced(const struct idem_outgoing *outgoing,
                        const amqp_table_entry_t *entry) {
    struct idem_span name = idem_rabbit_span(entry->key);
    for (size_t i = 0; i < outgoing->added_count && name.len > 0; i++) {
        if (idem_span_equal(name, outgoing->added[i].name)) {
            return true;
        }
    }
    return false;
}

static amqp_table_entry_t entry_of(const struct idem_header *header) {
    amqp_table_entry_t entry = {.key = idem_rabbit_bytes(header->name)};
    if (header->time_s > 0) {
        entry.value.kind = AMQP_FIELD_KIND_TIMESTAMP;
        entry.value.value.u64 = (uint64_t)header->time_s;
    } else {
        entry.value.kind = AMQP_FIELD_KIND_UTF8;
        entry.value.value.bytes = idem_rabbit_bytes(header->text);
    }
    return entry;
}

static enum idem_code add_headers(const struct idem_outgoing *outgoing, amqp_pool_t *pool,
                                  amqp_basic_properties_t *result) {
    bool has = (result->_flags & AMQP_BASIC_HEADERS_FLAG) != 0;
    const amqp_table_t none = {0, NULL};
    const amqp_table_t old = has ? result->headers : none;
    size_t most = (size_t)old.num_entries + outgoing->added_count;
    amqp_table_entry_t *entries = amqp_pool_alloc(pool, most * sizeof *entries);
    if (entries == NULL) {
        return IDEM_ERR_NOMEM;
    }
    int count = 0;
    for (int i = 0; i < old.num_entries; i++) {
        if (!is_replaced(outgoing, &old.entries[i])) {
            entries[count++] = old.entries[i];
        }
    }
    for (size_t i = 0; i < outgoing->added_count; i++) {
        entries[count++] = entry_of(&outgoing->added[i]);
    }
    result->headers.num_entries = count;
    result->headers.entries = entries;
    result->_flags |= AMQP_BASIC_HEADERS_FLAG;
    return IDEM_OK;
}

static void move_user_id(struct idem_outgoing *outgoing,
                         amqp_basic_properties_t *result) {
    if ((result->_flags & AMQP_BASIC_USER_ID_FLAG) == 0 ||
        idem_span_equal(idem_rabbit_span(result->user_id), outgoing->user)) {
        return;
    }
    result->_flags &= ~(amqp_flags_t)AMQP_BASIC_USER_ID_FLAG;
    idem_outgoing_add(outgoing, "x-idem-user-id", idem_rabbit_span(result->user_id));
}

enum idem_code idem_outgoing_build(struct idem_outgoing *outgoing, amqp_pool_t *pool,
                                   amqp_basic_properties_t *result, bool *whole) {
    *result = *outgoing->properties;
    move_user_id(outgoing, result);
    *whole = encoded_len(outgoing) <= outgoing->room;
    if (!*whole || outgoing->added_count == 0) {
        return IDEM_OK;
    }
    return add_headers(outgoing, pool, result);
}
