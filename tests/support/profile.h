/* SPDX-License-Identifier: MIT
 * The examples as they ship, made to run on the brokers of a test; and windows, which take their time. */
#ifndef TESTS_PROFILE_H
#define TESTS_PROFILE_H

#include "testing.h"

/* The text of examples/NAME with the store in @DIR@ and RabbitMQ at @PORT@. Fails where the file names no
 * store there; free it. */
char *profile_read(const char *name);

/* Every from becomes to; fails where there is none. Takes text over; free what is returned. */
char *profile_change(char *text, const char *from, const char *to);

/* Sends copies with short pauses between them, until one of them is delivered; returns how long after the
 * call that was. send: sends one; true: it was delivered. Fails at the deadline. */
int64_t profile_repeat_until_delivered(bool send(void *arg), void *arg);

/* Sends copies with short pauses for that long. False: one of them was delivered, in time; a pause that the
 * machine made longer than gap_ms proves nothing, and the copies begin anew with restart. */
bool profile_none_is_delivered(bool send(void *arg), void restart(void *arg), void *arg,
                               int64_t for_ms, int64_t gap_ms);

#endif
