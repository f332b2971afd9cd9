/* SPDX-License-Identifier: MIT
 * A service manager as a program sees one: a socket that takes what it tells (sd_notify(3)). */
#ifndef TESTS_MANAGER_H
#define TESTS_MANAGER_H

#include "testing.h"

/* Sets NOTIFY_SOCKET for the programs that the test starts; watchdog_ms: WATCHDOG_USEC, 0: none. */
void manager_open(unsigned watchdog_ms);

/* Waits for a datagram with a line that begins so; the ones before it are forgotten. */
void manager_expect(const char *line);

/* How many datagrams with such a line have come and were not taken yet; takes all that is there. */
unsigned manager_count(const char *line);

/* Test teardown's part: closes it and clears the environment. */
void manager_close(void);

#endif
