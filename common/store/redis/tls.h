/* SPDX-License-Identifier: MIT
 * TLS as a filter between bytes: no sockets in here. OpenSSL, where the build has it. */
#ifndef IDEM_REDIS_TLS_H
#define IDEM_REDIS_TLS_H

#include "store/redis/bytes.h"

#define IDEM_TLS_PATH_MAX   256
#define IDEM_TLS_RECORD_MAX ((size_t)16384) /* of plain text */

struct idem_tls_options {
    char ca[IDEM_TLS_PATH_MAX];          /* "": the authorities of the system */
    char certificate[IDEM_TLS_PATH_MAX]; /* our own; "": none */
    char key[IDEM_TLS_PATH_MAX];
    bool insecure; /* the server's certificate is not looked at */
};

struct idem_tls_context; /* the files, read; shared by connections */
struct idem_tls;         /* one connection */

/* IDEM_ERR_UNSUPPORTED: this build has no TLS; the text says what to install. */
IDEM_MUST_USE enum idem_code idem_tls_available(struct idem_error *error);

/* Reads the files. IDEM_ERR_INVALID: the text names the one that cannot be used. */
IDEM_MUST_USE enum idem_code idem_tls_context_open(struct idem_tls_context **context,
                                                   const struct idem_tls_options *options,
                                                   struct idem_error *error);
void idem_tls_context_close(struct idem_tls_context *context); /* accepts NULL */

/* host: a name or an address that the certificate must be for. The context outlives what is opened. */
IDEM_MUST_USE enum idem_code idem_tls_open(struct idem_tls **tls,
                                           struct idem_tls_context *context,
                                           const char *host, struct idem_error *error);
void idem_tls_close(struct idem_tls *tls); /* accepts NULL */

/* Goes on with the handshake as far as what has come allows; the first call begins it.
 * IDEM_ERR_INVALID: the certificate is refused, by us or by the server; IDEM_ERR_FORMAT: no TLS. */
IDEM_MUST_USE enum idem_code idem_tls_handshake(struct idem_tls *tls,
                                                struct idem_error *error);
bool idem_tls_established(const struct idem_tls *tls);

/* Plain text of at most IDEM_TLS_RECORD_MAX bytes becomes one record, after the handshake. */
IDEM_MUST_USE enum idem_code idem_tls_seal(struct idem_tls *tls, struct idem_span plain,
                                           struct idem_error *error);

/* Moves what has to go to the other side, handshake and records alike, to the end of wire.
 * IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_tls_drain(struct idem_tls *tls,
                                            struct idem_bytes *wire);

/* Takes what came from the other side. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_tls_feed(struct idem_tls *tls, const void *data,
                                           size_t length, struct idem_error *error);

/* Plain text of what came; *length 0: no whole record is left. Errors as idem_tls_handshake. */
IDEM_MUST_USE enum idem_code idem_tls_unseal(struct idem_tls *tls, void *plain,
                                             size_t room, size_t *length,
                                             struct idem_error *error);

#endif
