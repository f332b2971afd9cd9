/* SPDX-License-Identifier: MIT
 * How often each of many numbered messages arrived: the count that crash tests end with. */
#ifndef TESTS_RABBITMQ_TALLY_H
#define TESTS_RABBITMQ_TALLY_H

#include "rabbitmq.h"

#define TALLY_MESSAGES_MAX 20000

/* Publishes "m 0" to "m N-1" to the queue, and copies of the first third. */
void tally_publish(struct rabbitmq *client, const char *queue, unsigned messages);

/* Takes everything off the queue; fails where one is missing, or more came twice than were in doubt. */
void tally_check(struct rabbitmq *client, const char *queue, unsigned messages,
                 unsigned in_doubt);

#endif
