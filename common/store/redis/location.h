/* SPDX-License-Identifier: MIT
 * Where a Redis is and how to talk to it: the URL, taken apart. */
#ifndef IDEM_REDIS_LOCATION_H
#define IDEM_REDIS_LOCATION_H

#include "store/redis/tls.h"

#include <idem/span.h>

#define IDEM_REDIS_ENDPOINTS_MAX 16 /* that a URL may list */

struct idem_endpoint {
    char host[256]; /* a name or an address, without brackets; "" for a socket */
    uint16_t port;
    char path[104]; /* of a Unix socket; "" otherwise */
};

enum idem_redis_kind {
    IDEM_REDIS_SINGLE,
    IDEM_REDIS_SENTINEL, /* the endpoints are sentinels, which know where master is */
    IDEM_REDIS_CLUSTER,  /* the endpoints are some of the nodes */
};

struct idem_redis_location {
    enum idem_redis_kind kind;
    bool tls;
    struct idem_tls_options tls_options;
    struct idem_endpoint endpoints[IDEM_REDIS_ENDPOINTS_MAX];
    size_t endpoint_count;
    char master[128];
    char user[128];
    char password[512];
    unsigned database;
    int64_t timeout_ms;
    bool timeout_given;
    int64_t connect_timeout_ms;
    int64_t idle_ms;
    unsigned wait_replicas;
};

/* Takes the URL apart. IDEM_ERR_INVALID (the text says what is wrong and what would be right),
 * IDEM_ERR_UNSUPPORTED (TLS in a build without it: what to install). Never shows the password. */
IDEM_MUST_USE enum idem_code idem_redis_locate(struct idem_redis_location *location,
                                               const char *url, struct idem_error *error);

/* "host:port" or the path of the socket, for messages. */
#define IDEM_ENDPOINT_TEXT_MAX 272
void idem_endpoint_text(const struct idem_endpoint *endpoint, char *text);

/* From a host and a port as a server names them. */
IDEM_MUST_USE bool idem_endpoint_of(struct idem_endpoint *endpoint, struct idem_span host,
                                    struct idem_span port);

/* "host:port", "[v6]:port" or "host", over length bytes. */
IDEM_MUST_USE bool idem_endpoint_parse(struct idem_endpoint *endpoint, const char *text,
                                       size_t length, uint16_t default_port);

#endif
