/* SPDX-License-Identifier: MIT
 * JSON pointers, resolved while the text is read.
 *
 * Why not a library: a tree is built of allocations, and a stranger chooses how many. With json-c 0.16 a
 * payload of 1 MiB that repeats "{}" costs 266 MiB and 0.8 s, inside the broker's only thread. It also
 * changes values that must stay apart (integers beyond 64 bits saturate, lone surrogates all become
 * U+FFFD) and accepts what is not JSON ("NaN", "1.", single quotes). This reader allocates nothing,
 * visits each byte once, hands out source text, and is small enough to be read.
 *
 * The reader descends by recursion, at most IDEM_JSON_DEPTH_MAX deep. It carries what is left of the
 * pointer down the one path that matches and NULL everywhere else. Of names that occur twice in an object
 * the last one counts, as in most parsers, so that Idem sees what the consumer sees. */
#include "key/json.h"

#include "base/utf8.h"

#include <idem/rule.h>

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    /* Source text of the value that pointer leads to; empty: none. */
    struct idem_span found;
};

static bool read_value(struct reader *reader, const char *pointer, unsigned depth);

static int peek(const struct reader *reader) {
    return reader->at < reader->end ? *reader->at : -1;
}

static bool accept(struct reader *reader, char wanted) {
    if (peek(reader) != wanted) {
        return false;
    }
    reader->at++;
    return true;
}

static void skip_space(struct reader *reader) {
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' ||
                                        *reader->at == '\n' || *reader->at == '\r')) {
        reader->at++;
    }
}

static bool read_word(struct reader *reader, const char *word) {
    size_t len = strlen(word);
    if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, word, len) != 0) {
        return false;
    }
    reader->at += len;
    return true;
}

static bool read_digits(struct reader *reader) {
    const uint8_t *start = reader->at;
    while (peek(reader) >= '0' && peek(reader) <= '9') {
        reader->at++;
    }
    return reader->at > start;
}

static bool read_number(struct reader *reader) {
    (void)accept(reader, '-');
    if (!accept(reader, '0') && !read_digits(reader)) {
        return false;
    }
    if (accept(reader, '.') && !read_digits(reader)) {
        return false;
    }
    if (accept(reader, 'e') || accept(reader, 'E')) {
        if (!accept(reader, '+')) {
            (void)accept(reader, '-');
        }
        return read_digits(reader);
    }
    return true;
}

static bool read_hex4(struct reader *reader, uint32_t *unit) {
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = peek(reader);
        if (digit >= '0' && digit <= '9') {
            digit -= '0';
        } else if (digit >= 'a' && digit <= 'f') {
            digit -= 'a' - 10;
        } else if (digit >= 'A' && digit <= 'F') {
            digit -= 'A' - 10;
        } else {
            return false;
        }
        *unit = *unit << 4 | (uint32_t)digit;
        reader->at++;
    }
    return true;
}

/* After "\u". Surrogates must come in pairs: alone they are no character (RFC 7493, section 2.1). */
static bool read_unicode_escape(struct reader *reader, uint32_t *code_point) {
    uint32_t low = 0;
    if (!read_hex4(reader, code_point)) {
        return false;
    }
    if (*code_point < 0xD800 || *code_point > 0xDFFF) {
        return true;
    }
    if (*code_point > 0xDBFF || !accept(reader, '\\') || !accept(reader, 'u') ||
        !read_hex4(reader, &low) || low < 0xDC00 || low > 0xDFFF) {
        return false;
    }
    *code_point = 0x10000 + ((*code_point - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

static bool read_escape(struct reader *reader, uint32_t *code_point) {
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (accept(reader, 'u')) {
        return read_unicode_escape(reader, code_point);
    }
    int letter = peek(reader);
    const char *known = letter > 0 ? strchr(letters, letter) : NULL;
    if (known == NULL) {
        return false;
    }
    *code_point = (uint32_t)(unsigned char)meanings[known - letters];
    reader->at++;
    return true;
}

/* One character inside a string, not its closing quote. */
static bool read_character(struct reader *reader, uint32_t *code_point) {
    if (peek(reader) < 0x20) { /* the end, too */
        return false;
    }
    if (accept(reader, '\\')) {
        return read_escape(reader, code_point);
    }
    size_t len =
        idem_utf8_decode(reader->at, (size_t)(reader->end - reader->at), code_point);
    reader->at += len;
    return len > 0;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The high bit of some byte: one of those in word is 0. */
static uint64_t has_zero(uint64_t word) {
    return (word - EACH(1)) & ~word & EACH(0x80);
}

/* Eight bytes that mean themselves: no control character, no quote, no backslash, ASCII. */
static bool is_plain(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    uint64_t special = ((word - EACH(0x20)) & ~word & EACH(0x80)) | (word & EACH(0x80)) |
                       has_zero(word ^ EACH('"')) | has_zero(word ^ EACH('\\'));
    return special == 0;
}

static void skip_plain(struct reader *reader) {
    while (reader->end - reader->at >= 8 && is_plain(reader->at)) {
        reader->at += 8;
    }
    while (reader->at < reader->end && *reader->at >= 0x20 && *reader->at < 0x80 &&
           *reader->at != '"' && *reader->at != '\\') {
        reader->at++;
    }
}

static bool read_string(struct reader *reader) {
    uint32_t ignored = 0;
    if (!accept(reader, '"')) {
        return false;
    }
    for (skip_plain(reader); !accept(reader, '"'); skip_plain(reader)) {
        if (!read_character(reader, &ignored)) {
            return false;
        }
    }
    return true;
}

/* The pointer's first token ends at a '/' or at the end of the pointer. */
static const char *after_token(const char *pointer) {
    return pointer + strcspn(pointer, "/");
}

/* One byte of a token, ~0 and ~1 resolved. */
static uint8_t token_byte(const char **token) {
    uint8_t byte = (uint8_t) * (*token)++;
    if (byte != '~' || (**token != '0' && **token != '1')) {
        return byte;
    }
    return *(*token)++ == '0' ? '~' : '/';
}

/* The next character of a string, escapes resolved. */
static bool read_as_utf8(struct reader *reader, uint8_t bytes[IDEM_UTF8_MAX],
                         size_t *len) {
    uint32_t code_point = 0;
    if (!read_character(reader, &code_point)) {
        return false;
    }
    *len = idem_utf8_encode(code_point, bytes);
    return true;
}

/* string is well-formed source text, quotes included. */
static bool names_token(struct idem_span string, const char *token) {
    struct reader reader = {string.data + 1, string.data + string.len - 1, {NULL, 0}};
    const char *token_end = after_token(token);
    while (reader.at < reader.end) {
        uint8_t bytes[IDEM_UTF8_MAX];
        size_t len = 0;
        if (!read_as_utf8(&reader, bytes, &len)) {
            return false;
        }
        for (size_t i = 0; i < len; i++) {
            if (token >= token_end || token_byte(&token) != bytes[i]) {
                return false;
            }
        }
    }
    return token == token_end;
}

/* Array indices are decimal, without leading zeros; "-" (the element after the last) names nothing. */
static bool indexes_token(size_t index, const char *token) {
    size_t value = 0;
    size_t len = strcspn(token, "/");
    if (len == 0 || len > 8 || (len > 1 && token[0] == '0')) {
        return false; /* 8 digits: more than an array within IDEM_JSON_MAX can hold */
    }
    for (size_t i = 0; i < len; i++) {
        if (token[i] < '0' || token[i] > '9') {
            return false;
        }
        value = value * 10 + (size_t)(token[i] - '0');
    }
    return value == index;
}

static bool read_member(struct reader *reader, const char *pointer, unsigned depth) {
    const uint8_t *start = reader->at;
    if (!read_string(reader)) {
        return false;
    }
    struct idem_span name = idem_span_of(start, (size_t)(reader->at - start));
    bool on_path = pointer != NULL && pointer[0] == '/' && names_token(name, pointer + 1);
    skip_space(reader);
    return accept(reader, ':') &&
           read_value(reader, on_path ? after_token(pointer + 1) : NULL, depth);
}

static bool read_object(struct reader *reader, const char *pointer, unsigned depth) {
    skip_space(reader);
    if (accept(reader, '}')) {
        return true;
    }
    do {
        skip_space(reader);
        if (!read_member(reader, pointer, depth)) {
            return false;
        }
    } while (accept(reader, ','));
    return accept(reader, '}');
}

static bool read_array(struct reader *reader, const char *pointer, unsigned depth) {
    size_t index = 0;
    skip_space(reader);
    if (accept(reader, ']')) {
        return true;
    }
    do {
        bool on_path =
            pointer != NULL && pointer[0] == '/' && indexes_token(index, pointer + 1);
        if (!read_value(reader, on_path ? after_token(pointer + 1) : NULL, depth)) {
            return false;
        }
        index++;
    } while (accept(reader, ','));
    return accept(reader, ']');
}

static bool read_bare_value(struct reader *reader, const char *pointer, unsigned depth) {
    switch (peek(reader)) {
    case '{':
        reader->at++;
        return depth > 0 && read_object(reader, pointer, depth - 1);
    case '[':
        reader->at++;
        return depth > 0 && read_array(reader, pointer, depth - 1);
    case '"':
        return read_string(reader);
    case 't':
        return read_word(reader, "true");
    case 'f':
        return read_word(reader, "false");
    case 'n':
        return read_word(reader, "null");
    default:
        return read_number(reader);
    }
}

/* pointer is what is left of it here: "" means this very value, NULL that it leads elsewhere. */
static bool read_value(struct reader *reader, const char *pointer, unsigned depth) {
    skip_space(reader);
    if (pointer != NULL) {
        reader->found.len = 0; /* an earlier member of the same name does not count */
    }
    const uint8_t *start = reader->at;
    if (!read_bare_value(reader, pointer, depth)) {
        return false;
    }
    if (pointer != NULL && pointer[0] == '\0') {
        reader->found = idem_span_of(start, (size_t)(reader->at - start));
    }
    skip_space(reader);
    return true;
}

static bool unescape(struct idem_span string, uint8_t *buffer, size_t size,
                     struct idem_span *value) {
    struct reader reader = {string.data, string.data + string.len, {NULL, 0}};
    size_t used = 0;
    while (reader.at < reader.end) {
        uint8_t bytes[IDEM_UTF8_MAX];
        size_t len = 0;
        if (!read_as_utf8(&reader, bytes, &len)) {
            return false;
        }
        if (len > size - used) {
            return false;
        }
        memcpy(buffer + used, bytes, len);
        used += len;
    }
    *value = idem_span_of(buffer, used);
    return true;
}

static bool scalar_text(struct idem_span source, uint8_t *buffer, size_t size,
                        struct idem_span *value) {
    if (source.len == 0 || strchr("{[n", source.data[0]) != NULL) {
        return false;
    }
    if (source.data[0] != '"') {
        *value = source;
        return source.len <= size;
    }
    struct idem_span inside = idem_span_of(source.data + 1, source.len - 2);
    if (inside.len > 0 && memchr(inside.data, '\\', inside.len) != NULL) {
        return unescape(inside, buffer, size, value);
    }
    *value = inside;
    return inside.len <= size;
}

bool idem_json_find(struct idem_span document, const char *pointer, uint8_t *buffer,
                    size_t size, struct idem_span *value) {
    if (document.len == 0 || document.len > IDEM_JSON_MAX) {
        return false;
    }
    struct reader reader = {document.data, document.data + document.len, {NULL, 0}};
    return read_value(&reader, pointer, IDEM_JSON_DEPTH_MAX) && reader.at == reader.end &&
           scalar_text(reader.found, buffer, size, value);
}
