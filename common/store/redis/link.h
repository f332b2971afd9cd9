/* SPDX-License-Identifier: MIT
 * One connection to a server: a non-blocking socket, what is to be sent, and what has come. */
#ifndef IDEM_REDIS_LINK_H
#define IDEM_REDIS_LINK_H

#include "store/redis/bytes.h"
#include "store/redis/location.h"
#include "store/redis/reader.h"

#include <netdb.h>

struct idem_redis_link {
    int fd; /* -1: closed */
    struct idem_reader reader;
    struct idem_bytes out; /* commands that the operating system has not taken yet */
    /* Bytes of commands that it has taken since the connection was begun. */
    uint64_t sent;
    struct idem_tls *tls;   /* owned; NULL: plain */
    struct idem_bytes wire; /* TLS: what is to be sent of handshake and records */
    bool heard;             /* TLS: something came after the handshake */
    size_t sealed;          /* TLS: bytes at the front of out whose record is in wire */
};

void idem_redis_link_init(struct idem_redis_link *link);

/* Begins to connect; the socket becomes writable when that is decided. address: one of the endpoint's host;
 * NULL where the endpoint is a Unix socket. tls: NULL for a plain connection; otherwise the certificate
 * has to be for the endpoint's host as it is named. IDEM_ERR_UNAVAILABLE, IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_redis_link_connect(struct idem_redis_link *link,
                                                     const struct idem_endpoint *endpoint,
                                                     const struct addrinfo *address,
                                                     struct idem_tls_context *tls,
                                                     struct idem_error *error);

/* After the socket became writable: whether the connection stands. */
IDEM_MUST_USE enum idem_code idem_redis_link_connected(struct idem_redis_link *link,
                                                       struct idem_error *error);

/* Sends what the operating system takes, after the handshake where there has to be one. A command counts
 * as sent when the system has taken the whole of the record that it ends in. */
IDEM_MUST_USE enum idem_code idem_redis_link_send(struct idem_redis_link *link,
                                                  struct idem_error *error);

/* Reads some of what is there, for idem_reader_next; *more: there may be more. Replies that came before
 * an error are there to be read too. */
IDEM_MUST_USE enum idem_code idem_redis_link_receive(struct idem_redis_link *link,
                                                     bool *more,
                                                     struct idem_error *error);

/* Whether there is more to send as soon as the socket takes it; a handshake may have to come first. */
bool idem_redis_link_unsent(const struct idem_redis_link *link);

/* Whether the other side has to answer a handshake first. */
bool idem_redis_link_shaking(const struct idem_redis_link *link);

/* The offset in the stream of commands behind the last one added. */
static inline uint64_t idem_redis_link_end(const struct idem_redis_link *link) {
    return link->sent + (link->out.end - link->out.start);
}

/* Accepts a closed one. */
void idem_redis_link_close(struct idem_redis_link *link);

#endif
