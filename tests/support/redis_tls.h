/* SPDX-License-Identifier: MIT
 * Redis servers with TLS for tests, and the certificates that they need. */
#ifndef TESTS_REDIS_TLS_H
#define TESTS_REDIS_TLS_H

#include "redis.h"

struct redis_tls {
    unsigned port; /* the one that speaks TLS; the server's own is plain */
    char port_text[8];
    char certificate[FILES_PATH_MAX + 32];
    char key[FILES_PATH_MAX + 32];
    char authority[FILES_PATH_MAX + 32];
    const char *options[24];
};

/* Makes DIR/NAME.pem and DIR/NAME.key, for subject alternative names such as "DNS:a,IP:127.0.0.1".
 * issuer: the name of one that was made before; NULL: signed by itself. */
void redis_tls_certify(const char *dir, const char *name, const char *issuer,
                       const char *alternatives);

/* Starts a server whose TLS port shows DIR/NAME.pem. authority: clients must show a certificate signed by
 * DIR/AUTHORITY.pem; NULL: they need none. more: words for the command line, ended by NULL, or NULL.
 * Everything in *tls has to stay. */
void redis_tls_start(struct redis_server *server, struct redis_tls *tls, const char *dir,
                     const char *name, const char *authority, const char *const *more);

#endif
