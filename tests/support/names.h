/* SPDX-License-Identifier: MIT
 * A resolver for tests: names of their own, answered at once, late or never. Programs that use it are linked
 * with NAMES_WRAP (tests/tests.mk). Other names go to the system's. */
#ifndef TESTS_NAMES_H
#define TESTS_NAMES_H

#include <stdbool.h>

/* Forgets all names and what was asked. */
void names_reset(void);

/* host has these addresses, in this order; ended by NULL. None at all: there is no such host. Borrowed. */
void names_add(const char *host, const char *const *addresses);

/* From now on the resolver says nothing of the host, or answers what it was asked. */
void names_silence(const char *host, bool silent);

/* How often names were asked for. */
unsigned names_asked(void);

#endif
