/* SPDX-License-Identifier: MIT
 * What a bench of queues needs of RabbitMQ. Whatever goes wrong, or takes longer than 30 s, ends the program
 * with a line on standard error. */
#ifndef IDEM_BENCH_AMQP_LOAD_H
#define IDEM_BENCH_AMQP_LOAD_H

#include <stdint.h>

#define AMQP_LOAD_BODY 200

void amqp_load_open(unsigned port);
void amqp_load_close(void);

/* Deletes the queue and declares it anew, durable; type: classic or quorum. */
void amqp_load_renew(const char *queue, const char *type);

/* Messages that are ready in the queue. */
unsigned amqp_load_depth(const char *queue);

/* Publishes persistent messages of AMQP_LOAD_BODY bytes, each with a header idempotency-key of its own, and awaits
 * their confirms. */
void amqp_load_fill(const char *queue, unsigned messages);

/* The same at so many a second, consumed from another queue (or the same): fills us with the microseconds
 * from publishing to delivery. The clock starts when a first message, which is not counted, has passed. */
void amqp_load_latencies(const char *to, const char *from, unsigned per_second,
                         unsigned messages, double *us);

_Noreturn void amqp_load_give_up(const char *what);

#endif
