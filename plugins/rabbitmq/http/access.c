/* SPDX-License-Identifier: MIT
 * Tokens and hosts. */
#include "access.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>

#define SCHEME "Bearer "

/* Digests are compared, so that not even the length shows. */
static void digest(unsigned char *out, const char *text) {
    (void)crypto_generichash(out, crypto_generichash_BYTES, (const unsigned char *)text,
                             strlen(text), NULL, 0);
}

bool idem_access_token(const char *authorization, const char *token) {
    unsigned char expected[crypto_generichash_BYTES];
    unsigned char given[crypto_generichash_BYTES];
    bool form = authorization != NULL &&
                strncasecmp(authorization, SCHEME, sizeof SCHEME - 1) == 0;
    digest(expected, token);
    digest(given, form ? authorization + sizeof SCHEME - 1 : "");
    return sodium_memcmp(expected, given, sizeof expected) == 0 && form;
}

bool idem_access_host(const char *host) {
    unsigned char ipv4[4];
    return host == NULL || strcasecmp(host, "localhost") == 0 ||
           strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, ipv4) == 1 && ipv4[0] == 127);
}
