/* SPDX-License-Identifier: MIT
 * The operations of the store interface as requests to Redis. */
#ifndef IDEM_REDIS_OPERATION_H
#define IDEM_REDIS_OPERATION_H

#include "base/pool.h"
#include "store/redis/request.h"

#include <idem/store.h>

/* For the pool of a store's claims and completions. */
size_t idem_operation_size(void);

/* Each makes a request whose answer goes to done; NULL: no memory, and done is not called. */
struct idem_request *idem_operation_claim(struct idem_pool *pool,
                                          const struct idem_claim *claim,
                                          idem_store_done *done, void *arg);
struct idem_request *idem_operation_complete(struct idem_pool *pool,
                                             const struct idem_completion *completion,
                                             idem_store_done *done, void *arg);
struct idem_request *idem_operation_abandon(const struct idem_abandonment *abandonment,
                                            idem_store_done *done, void *arg);
struct idem_request *idem_operation_lookup(const struct idem_digest *digest,
                                           int64_t now_ms, idem_store_done *done,
                                           void *arg);
struct idem_request *idem_operation_forget(const struct idem_digest *digest,
                                           idem_store_done *done, void *arg);

/* NULL: *code says why. */
struct idem_request *idem_operation_restore(const struct idem_restoration *restoration,
                                            idem_store_done *done, void *arg,
                                            enum idem_code *code);

/* The digest of a request made here. */
const struct idem_digest *idem_operation_digest(const struct idem_request *request);

#endif
