/* SPDX-License-Identifier: MIT
 * What a part of the library has logged to its test. */
#ifndef TESTS_LOGGED_H
#define TESTS_LOGGED_H

#include <idem/log.h>

#include <stdbool.h>

/* A log, empty, of what is at least a notice. There is one at a time. */
struct idem_log logged_open(void);

/* Lines "EVENT: TEXT" so far, as far as there was room; and whether one of them has the text. */
const char *logged_lines(void);
bool logged_has(const char *text);

#endif
