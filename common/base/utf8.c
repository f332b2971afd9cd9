/* SPDX-License-Identifier: MIT
 * UTF-8, strict, for bytes that came from outside. */
#include "base/utf8.h"

static bool continues(uint8_t byte) {
    return (byte & 0xC0) == 0x80;
}

/* How many bytes follow this first one, and the bits that it carries; -1: it is no first byte. */
static int split_first(uint8_t first, uint32_t *bits) {
    if (first < 0x80) {
        *bits = first;
        return 0;
    }
    if ((first & 0xE0) == 0xC0) {
        *bits = first & 0x1Fu;
        return 1;
    }
    if ((first & 0xF0) == 0xE0) {
        *bits = first & 0x0Fu;
        return 2;
    }
    if ((first & 0xF8) == 0xF0) {
        *bits = first & 0x07u;
        return 3;
    }
    return -1;
}

size_t idem_utf8_decode(const uint8_t *bytes, size_t len, uint32_t *code_point) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000}; /* below: overlong */
    uint32_t value = 0;
    int more = len > 0 ? split_first(bytes[0], &value) : -1;
    if (more < 0 || (size_t)more >= len) {
        return 0;
    }
    for (int i = 1; i <= more; i++) {
        if (!continues(bytes[i])) {
            return 0;
        }
        value = value << 6 | (bytes[i] & 0x3Fu);
    }
    if (value < least[more] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
        return 0;
    }
    *code_point = value;
    return (size_t)more + 1;
}

size_t idem_utf8_encode(uint32_t code_point, uint8_t *out) {
    if (code_point < 0x80) {
        out[0] = (uint8_t)code_point;
        return 1;
    }
    size_t len = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (code_point & 0x3F));
        code_point >>= 6;
    }
    static const uint8_t marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    out[0] = (uint8_t)(marks[len] | code_point);
    return len;
}

bool idem_utf8_printable(uint32_t code_point) {
    if (code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0)) {
        return false;
    }
    return (code_point & 0xFFFE) != 0xFFFE &&
           (code_point < 0xFDD0 || code_point > 0xFDEF);
}
