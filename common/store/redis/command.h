/* SPDX-License-Identifier: MIT
 * Commands in the Redis serialization protocol, version 2: an array of bulk strings, binary-safe. */
#ifndef IDEM_REDIS_COMMAND_H
#define IDEM_REDIS_COMMAND_H

#include "store/redis/bytes.h"

/* Begins a command of count words; count calls of the others must follow. Where memory runs out,
 * bytes->failed says so at the end. */
void idem_command_begin(struct idem_bytes *bytes, unsigned count);
void idem_command_word(struct idem_bytes *bytes, const void *data, size_t length);
void idem_command_text(struct idem_bytes *bytes, const char *text);
void idem_command_number(struct idem_bytes *bytes, uint64_t number);

/* A whole command of texts: the last argument is NULL. */
void idem_command_texts(struct idem_bytes *bytes, const char *const *words);

#endif
