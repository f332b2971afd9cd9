/* SPDX-License-Identifier: MIT
 * Slots, and the answers that name them. */
#include "store/redis/slot.h"

/* CRC-16/XMODEM, bit by bit: a key's tag has 16 bytes. */
static unsigned crc16(struct idem_span text) {
    unsigned crc = 0;
    for (size_t i = 0; i < text.len; i++) {
        crc ^= (unsigned)text.data[i] << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021u : 0);
        }
        crc &= 0xffff;
    }
    return crc;
}

unsigned idem_slot_of(struct idem_span key) {
    const uint8_t *end = key.data + key.len;
    const uint8_t *open = key.len > 0 ? memchr(key.data, '{', key.len) : NULL;
    const uint8_t *tag = open != NULL ? open + 1 : end;
    const uint8_t *close = tag < end ? memchr(tag, '}', (size_t)(end - tag)) : NULL;
    bool tagged = close != NULL && close > tag;
    return crc16(tagged ? idem_span_of(tag, (size_t)(close - tag)) : key) % IDEM_SLOTS;
}

static bool take_slot(struct idem_span *text, unsigned *slot) {
    size_t digits = 0;
    *slot = 0;
    while (digits < text->len && text->data[digits] >= '0' && text->data[digits] <= '9' &&
           *slot < IDEM_SLOTS) {
        *slot = *slot * 10 + (unsigned)(text->data[digits] - '0');
        digits++;
    }
    if (digits == 0 || digits >= text->len || text->data[digits] != ' ' ||
        *slot >= IDEM_SLOTS) {
        return false;
    }
    *text = idem_span_of(text->data + digits + 1, text->len - digits - 1);
    return true;
}

static bool take_word(struct idem_span *text, const char *word) {
    size_t length = strlen(word);
    if (text->len < length || memcmp(text->data, word, length) != 0) {
        return false;
    }
    *text = idem_span_of(text->data + length, text->len - length);
    return true;
}

static bool known_host(struct idem_endpoint *endpoint, struct idem_span host,
                       struct idem_span port, const struct idem_endpoint *from) {
    struct idem_span own = idem_span_text(from->host);
    return !idem_span_equal(host, idem_span_text("?")) &&
           idem_endpoint_of(endpoint, host.len > 0 ? host : own, port);
}

bool idem_redirect_read(struct idem_redirect *redirect, struct idem_span text,
                        const struct idem_endpoint *from) {
    redirect->ask = take_word(&text, "ASK ");
    if ((!redirect->ask && !take_word(&text, "MOVED ")) ||
        !take_slot(&text, &redirect->slot)) {
        return false;
    }
    size_t colon = text.len;
    while (colon > 0 && text.data[colon - 1] != ':') {
        colon--;
    }
    return colon > 0 &&
           known_host(&redirect->to, idem_span_of(text.data, colon - 1),
                      idem_span_of(text.data + colon, text.len - colon), from);
}

static bool slot_number(unsigned *slot, const redisReply *reply) {
    bool fits = reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0 &&
                reply->integer < IDEM_SLOTS;
    *slot = fits ? (unsigned)reply->integer : 0;
    return fits;
}

/* [first, last, [host, port, ...], replicas...] */
bool idem_slot_range_read(struct idem_slot_range *range, const redisReply *element,
                          const struct idem_endpoint *from) {
    if (element->type != REDIS_REPLY_ARRAY || element->elements < 3 ||
        !slot_number(&range->first, element->element[0]) ||
        !slot_number(&range->last, element->element[1]) || range->first > range->last) {
        return false;
    }
    const redisReply *master = element->element[2];
    if (master->type != REDIS_REPLY_ARRAY || master->elements < 2 ||
        master->element[1]->type != REDIS_REPLY_INTEGER ||
        master->element[1]->integer <= 0 || master->element[1]->integer > 65535 ||
        !known_host(&range->master, idem_reply_text(master->element[0]),
                    idem_span_text("1"), from)) {
        return false;
    }
    range->master.port = (uint16_t)master->element[1]->integer;
    return true;
}
