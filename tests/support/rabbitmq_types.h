/* SPDX-License-Identifier: MIT
 * AMQP properties with every field there is, of every type there is, and a deep comparison. */
#ifndef TESTS_RABBITMQ_TYPES_H
#define TESTS_RABBITMQ_TYPES_H

/* amqp_basic_properties_t, static: every property set (user_id as guest), headers of every type that
 * RabbitMQ knows, nested tables and arrays among them. */
const void *rabbitmq_all_types(void);

/* Fails unless every field of `expected` is in `seen`, unchanged and in the same order. */
void rabbitmq_expect_properties(const void *seen, const void *expected);

#endif
