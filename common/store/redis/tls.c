/* SPDX-License-Identifier: MIT
 * TLS for connections to Redis. */
#include "store/redis/tls.h"

enum idem_code idem_tls_available(struct idem_error *error) {
    return idem_error_set(error, IDEM_ERR_UNSUPPORTED, 0,
                          "store URL: this build has no TLS for Redis; use redis:// over "
                          "a local socket or a tunnel");
}
