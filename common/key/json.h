/* SPDX-License-Identifier: MIT
 * Finds one value in a JSON text (RFC 8259) by a JSON pointer (RFC 6901), in place. */
#ifndef IDEM_KEY_JSON_H
#define IDEM_KEY_JSON_H

#include <idem/span.h>

/* The scalar at pointer as text: a string's characters, the source text of a number, "true" or "false".
 * Returns false where the document is not one well-formed JSON text within IDEM_JSON_MAX and
 * IDEM_JSON_DEPTH_MAX, where pointer leads to nothing, null, an object or an array, and where the text
 * is longer than size. *value is part of the document, or of buffer (size bytes) where escapes had to
 * be resolved. Pure; reads the document once, from its first byte to its last. */
bool idem_json_find(struct idem_span document, const char *pointer, uint8_t *buffer,
                    size_t size, struct idem_span *value);

#endif
