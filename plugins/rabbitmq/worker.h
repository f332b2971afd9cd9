/* SPDX-License-Identifier: MIT
 * One worker: a thread with its own connections, store handle, receiver and event loop. It shares nothing
 * with the others but the options, which do not change. */
#ifndef IDEM_RABBITMQ_WORKER_H
#define IDEM_RABBITMQ_WORKER_H

#include "http/observation.h"
#include "options.h"

struct idem_worker;

/* Opens the store, and tries both brokers once: a broker that cannot be reached is tried again later, one
 * that says no (login, a queue or exchange that is not there) is an error. Blocks. */
IDEM_MUST_USE enum idem_code idem_worker_open(struct idem_worker **worker,
                                              const struct idem_bridge_options *options,
                                              const struct idem_log *log,
                                              uint64_t incarnation,
                                              struct idem_error *error);

/* Before it runs: turn at least that often, so that idem_worker_turned can tell a worker that has nothing to do
 * from one that hangs. */
IDEM_MUST_USE enum idem_code idem_worker_pulse(struct idem_worker *worker,
                                               int64_t every_ms);

/* From any thread: whether its loop has turned since this was asked last, or has come to its end. */
bool idem_worker_turned(struct idem_worker *worker);

/* Runs until it was asked to stop and has drained, or the deadline for that has passed. */
void idem_worker_run(struct idem_worker *worker);

/* From any thread: stop consuming, carry to its end what is under way, leave. */
void idem_worker_stop(struct idem_worker *worker);

/* From any thread: use the rules of config, which becomes the worker's. */
void idem_worker_reload(struct idem_worker *worker, struct idem_config *config);

/* From any thread: say in the log what is under way, and what it waits for. */
void idem_worker_report(struct idem_worker *worker);

/* Adds what is known of it to what is observed. Any thread, while it is open; waits for nobody. */
void idem_worker_observe(struct idem_worker *worker,
                         struct idem_observation *observation);

/* Writes the final figures to the log. Blocks on the store. NULL is accepted. */
void idem_worker_close(struct idem_worker *worker);

#endif
