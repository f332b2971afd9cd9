/* SPDX-License-Identifier: MIT
 * Options of callers that were built with other headers than this library. */
#ifndef IDEM_BASE_OPTIONS_H
#define IDEM_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Copies a struct of options as its caller knows it, given_size bytes, into own, as this library knows it.
 * Members that an older caller does not know are zero, which is always the behaviour before they came.
 * False where a newer caller has set one that we do not know: it asks for what we cannot do. */
bool idem_options_read(void *own, size_t own_size, const void *given, size_t given_size);

#endif
