/* SPDX-License-Identifier: MIT
 * An owned copy of one AMQP message, as it came. */
#include "letter.h"

#include <stdlib.h>

#define ROOM_MIN 512
#define ROOM_KEPT                                                                        \
    (16 * 1024) /* with a prefetch of 1000: 16 MiB at most stay with idle letters */

void idem_letter_fini(struct idem_letter *letter) {
    free(letter->buffer);
    memset(letter, 0, sizeof *letter);
}

static enum idem_code reserve(struct idem_letter *letter, size_t more) {
    if (letter->room - letter->used >= more) {
        return IDEM_OK;
    }
    size_t room = letter->used + more < ROOM_MIN ? ROOM_MIN : letter->used + more;
    uint8_t *buffer = realloc(letter->buffer, room);
    if (buffer == NULL) {
        return IDEM_ERR_NOMEM;
    }
    letter->buffer = buffer;
    letter->room = room;
    return IDEM_OK;
}

static void append(struct idem_letter *letter, struct idem_span span) {
    if (span.len > 0) {
        memcpy(letter->buffer + letter->used, span.data, span.len);
        letter->used += span.len;
    }
}

static void forget(struct idem_letter *letter) {
    uint8_t *buffer = letter->buffer;
    size_t room = letter->room;
    memset(letter, 0, sizeof *letter);
    letter->buffer = buffer;
    letter->room = room;
}

enum idem_code idem_letter_address(struct idem_letter *letter, struct idem_span exchange,
                                   struct idem_span routing_key) {
    forget(letter);
    if (reserve(letter, exchange.len + routing_key.len) != IDEM_OK) {
        return IDEM_ERR_NOMEM;
    }
    append(letter, exchange);
    append(letter, routing_key);
    letter->exchange_len = exchange.len;
    letter->routing_key_len = routing_key.len;
    return IDEM_OK;
}

enum idem_code idem_letter_header(struct idem_letter *letter, struct idem_span properties,
                                  uint64_t body_len) {
    bool again = letter->used != letter->exchange_len + letter->routing_key_len;
    if (again || body_len > IDEM_LETTER_BODY_MAX) {
        return IDEM_ERR_INVALID;
    }
    if (reserve(letter, properties.len + (size_t)body_len) != IDEM_OK) {
        return IDEM_ERR_NOMEM;
    }
    append(letter, properties);
    letter->properties_len = properties.len;
    letter->body_len = (size_t)body_len;
    return IDEM_OK;
}

static size_t body_at(const struct idem_letter *letter) {
    return letter->exchange_len + letter->routing_key_len + letter->properties_len;
}

static size_t end_of_body(const struct idem_letter *letter) {
    return body_at(letter) + letter->body_len;
}

enum idem_code idem_letter_body(struct idem_letter *letter, struct idem_span fragment) {
    if (fragment.len > end_of_body(letter) - letter->used) {
        return IDEM_ERR_INVALID;
    }
    append(letter, fragment);
    return IDEM_OK;
}

bool idem_letter_complete(const struct idem_letter *letter) {
    return letter->used >= end_of_body(letter);
}

static struct idem_span with_terminator(const char *name) {
    return idem_span_of(name, strlen(name) + 1);
}

enum idem_code idem_letter_set_key(struct idem_letter *letter, const char *const *names,
                                   struct idem_span text) {
    size_t names_len = 0;
    for (size_t i = 0; names[i] != NULL; i++) {
        names_len += with_terminator(names[i]).len;
    }
    letter->used = end_of_body(letter);
    letter->names_len = 0;
    letter->text_len = 0;
    if (reserve(letter, names_len + text.len) != IDEM_OK) {
        return IDEM_ERR_NOMEM;
    }
    for (size_t i = 0; names[i] != NULL; i++) {
        append(letter, with_terminator(names[i]));
    }
    append(letter, text);
    letter->names_len = names_len;
    letter->text_len = text.len;
    return IDEM_OK;
}

static struct idem_span part(const struct idem_letter *letter, size_t at, size_t len) {
    return idem_span_of(len > 0 ? letter->buffer + at : NULL, len);
}

struct idem_span idem_letter_exchange(const struct idem_letter *letter) {
    return part(letter, 0, letter->exchange_len);
}

struct idem_span idem_letter_routing_key(const struct idem_letter *letter) {
    return part(letter, letter->exchange_len, letter->routing_key_len);
}

struct idem_span idem_letter_properties(const struct idem_letter *letter) {
    return part(letter, letter->exchange_len + letter->routing_key_len,
                letter->properties_len);
}

struct idem_span idem_letter_payload(const struct idem_letter *letter) {
    return part(letter, body_at(letter), letter->body_len);
}

bool idem_letter_next_key_name(const struct idem_letter *letter, struct idem_span *name) {
    struct idem_span names = part(letter, end_of_body(letter), letter->names_len);
    size_t at = name->len > 0 ? (size_t)(name->data - names.data) + name->len + 1 : 0;
    if (at >= names.len) {
        return false;
    }
    *name = idem_span_text((const char *)names.data + at);
    return true;
}

struct idem_span idem_letter_key_text(const struct idem_letter *letter) {
    return part(letter, end_of_body(letter) + letter->names_len, letter->text_len);
}

void idem_letter_rest(struct idem_letter *letter) {
    if (letter->room > ROOM_KEPT) {
        idem_letter_fini(letter);
    } else {
        forget(letter);
    }
}
