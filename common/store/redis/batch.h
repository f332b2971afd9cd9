/* SPDX-License-Identifier: MIT
 * Completions that go to the server as one command. */
#ifndef IDEM_REDIS_BATCH_H
#define IDEM_REDIS_BATCH_H

#include "store/redis/request.h"

#include <idem/store.h>

struct idem_redis;

/* Takes the completion over, to go with others at the next dispatch. False: it has to go by itself, and has
 * not been taken. */
bool idem_batch_take(struct idem_redis *redis, const struct idem_completion *completion,
                     struct idem_request *request);

/* Before a request for that key, which must find what was asked for before it. */
void idem_batch_give_way(struct idem_redis *redis, const struct idem_digest *digest);

/* Submits what has been taken. */
void idem_batch_submit(struct idem_redis *redis);

#endif
