/* SPDX-License-Identifier: MIT
 * TLS as a filter between two byte queues: no sockets in here. OpenSSL, where the build has it. */
#ifndef IDEM_REDIS_TLS_H
#define IDEM_REDIS_TLS_H

#include "store/redis/bytes.h"

/* IDEM_ERR_UNSUPPORTED: this build has no TLS; the text says what to install. */
IDEM_MUST_USE enum idem_code idem_tls_available(struct idem_error *error);

#endif
