/* SPDX-License-Identifier: MIT
 * The confirms of a channel in confirm mode: which of its messages the broker has taken. */
#ifndef TESTS_RABBITMQ_CONFIRMS_H
#define TESTS_RABBITMQ_CONFIRMS_H

#include "rabbitmq_library.h"

#include <stdint.h>

/* Messages are numbered from 1 in the order in which they were published. */
struct rabbitmq_confirms {
    uint64_t published;
    uint64_t confirmed; /* all up to this one */
};

/* Until all that was published is confirmed. Fails the test, and says why, where the broker refuses or
 * returns a message, closes the channel, or says nothing for a minute. */
void rabbitmq_await_confirms(struct rabbitmq_confirms *confirms,
                             amqp_connection_state_t connection);

#endif
