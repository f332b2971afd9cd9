/* SPDX-License-Identifier: MIT
 * Fuzz target: any bytes as the correlation id of a reply. What is no token is refused, and so is every other
 * text than the one that was made: bytes that become a token's content, signed, come back as they were,
 * and with one bit of the text changed they do not come back at all. */
#include "token.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what) {
    if (!holds) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

static bool same(const struct idem_token *a, const struct idem_token *b) {
    return idem_digest_equal(&a->ticket.digest, &b->ticket.digest) &&
           a->ticket.owner.instance == b->ticket.owner.instance &&
           a->ticket.owner.incarnation == b->ticket.owner.incarnation &&
           a->ticket.ttl_ms == b->ticket.ttl_ms && a->rule == b->rule &&
           a->lease_until_ms == b->lease_until_ms;
}

/* What is read can be printed, and is the same text: there is one for each token. */
static void read_any(const uint8_t *data, size_t size, const struct idem_secret *secret) {
    struct idem_token token;
    char text[IDEM_TOKEN_SIZE];
    uint8_t *exact = malloc(size > 0 ? size : 1);
    require(exact != NULL, "out of memory");
    if (size > 0) {
        memcpy(exact, data, size);
    }
    if (idem_token_read(&token, idem_span_of(exact, size), secret)) {
        idem_token_print(text, &token, secret);
        require(strlen(text) == size && memcmp(text, exact, size) == 0,
                "two texts for a token");
    }
    free(exact);
}

static void print_and_read(const uint8_t *data, size_t size,
                           const struct idem_secret *secret) {
    struct idem_token made;
    struct idem_token token;
    char text[IDEM_TOKEN_SIZE];
    memset(&made, 0, sizeof made);
    memcpy(&made, data, size < sizeof made ? size : sizeof made);
    idem_token_print(text, &made, secret);
    require(idem_token_read(&token, idem_span_text(text), secret), "not read");
    require(same(&made, &token), "not the same");
    size_t at = data[size - 1] % strlen(text);
    text[at] = (char)(text[at] ^ (1 << (data[0] & 7)));
    require(!idem_token_read(&token, idem_span_of(text, IDEM_TOKEN_SIZE - 1), secret) &&
                !idem_token_read(&token, idem_span_text(text), secret),
            "a changed one was taken");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct idem_secret secret;
    require(idem_digest_init(NULL) == IDEM_OK, "no hash");
    idem_secret_default(&secret);
    read_any(data, size, &secret);
    if (size > 0) {
        print_and_read(data, size, &secret);
    }
    return 0;
}
