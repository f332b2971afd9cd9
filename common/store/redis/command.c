/* SPDX-License-Identifier: MIT
 * Commands in the Redis serialization protocol. */
#include "store/redis/command.h"

#define DIGITS_MAX 20

/* Writes the digits of value to the end of text; returns how many of its bytes are not used. */
static size_t put_digits(char text[DIGITS_MAX], uint64_t value) {
    size_t unused = DIGITS_MAX;
    do {
        text[--unused] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return unused;
}

/* A type character, a number and the end of the line. */
static void add_header(struct idem_bytes *bytes, char type, uint64_t number) {
    char text[DIGITS_MAX];
    size_t unused = put_digits(text, number);
    size_t length = DIGITS_MAX - unused;
    uint8_t *at = idem_bytes_reserve(bytes, length + 3);
    if (at == NULL) {
        return;
    }
    at[0] = (uint8_t)type;
    memcpy(at + 1, text + unused, length);
    at[length + 1] = '\r';
    at[length + 2] = '\n';
    idem_bytes_added(bytes, length + 3);
}

void idem_command_begin(struct idem_bytes *bytes, unsigned count) {
    add_header(bytes, '*', count);
}

void idem_command_word(struct idem_bytes *bytes, const void *data, size_t length) {
    add_header(bytes, '$', length);
    idem_bytes_add(bytes, data, length);
    idem_bytes_add(bytes, "\r\n", 2);
}

void idem_command_text(struct idem_bytes *bytes, const char *text) {
    idem_command_word(bytes, text, strlen(text));
}

void idem_command_number(struct idem_bytes *bytes, uint64_t number) {
    char text[DIGITS_MAX];
    size_t unused = put_digits(text, number);
    idem_command_word(bytes, text + unused, DIGITS_MAX - unused);
}

void idem_command_texts(struct idem_bytes *bytes, const char *const *words) {
    unsigned count = 0;
    while (words[count] != NULL) {
        count++;
    }
    idem_command_begin(bytes, count);
    for (unsigned i = 0; i < count; i++) {
        idem_command_text(bytes, words[i]);
    }
}
