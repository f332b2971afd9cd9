/* SPDX-License-Identifier: MIT
 * The backends that a URL may name. To add one: write its two functions, and add its
 * row in store.c. */
#ifndef IDEM_STORE_BACKEND_H
#define IDEM_STORE_BACKEND_H

#include <idem/store.h>

/* Both get the whole URL, which begins with the scheme of their row, in options->url
 * or url. */
typedef enum idem_code idem_backend_open(struct idem_store **store,
                                         const struct idem_store_options *options,
                                         struct idem_error *error);
typedef enum idem_code idem_backend_check(const char *url, struct idem_error *error);

idem_backend_open idem_memory_open;
idem_backend_check idem_memory_check;

idem_backend_open idem_embedded_open;
idem_backend_check idem_embedded_check;

idem_backend_open idem_redis_open;
idem_backend_check idem_redis_check;

#endif
