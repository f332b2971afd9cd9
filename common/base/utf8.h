/* SPDX-License-Identifier: MIT
 * UTF-8 (RFC 3629) one code point at a time: no overlong forms, no surrogates. */
#ifndef IDEM_BASE_UTF8_H
#define IDEM_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IDEM_UTF8_MAX 4

/* The length of the well-formed sequence that bytes begin with, and its code point; 0: there is none. */
size_t idem_utf8_decode(const uint8_t *bytes, size_t len, uint32_t *code_point);

/* Writes a code point (no surrogate, at most U+10FFFF) into out, which holds IDEM_UTF8_MAX bytes. */
size_t idem_utf8_encode(uint32_t code_point, uint8_t *out);

/* Whether it may stand in a line for people and in an MQTT string: neither a control character nor one
 * of the noncharacters that Unicode keeps for itself. */
bool idem_utf8_printable(uint32_t code_point);

#endif
