/* SPDX-License-Identifier: MIT
 * The correlation id that a request goes to the worker with: whose claim the reply settles. A worker gives it
 * back as it came, so that any instance that the reply comes to can settle the claim, also of one that is
 * dead; and it is signed with the secret, so that nobody else can settle anything. Pure. */
#ifndef IDEM_RABBITMQ_TOKEN_H
#define IDEM_RABBITMQ_TOKEN_H

#include <idem/ticket.h>

#define IDEM_TOKEN_SIZE                                                                  \
    112 /* of the text, terminator included; a correlation id has 255 */

struct idem_token {
    struct idem_ticket ticket;
    uint64_t rule; /* which one says what becomes of the reply: idem_token_rule */
    int64_t lease_until_ms; /* wall clock: afterwards the claim can be another copy's */
};

/* A rule by its name, in every instance that has one of that name. */
uint64_t idem_token_rule(const char *name);

/* Writes IDEM_TOKEN_SIZE bytes, terminated. After idem_digest_init only, as the next one. */
void idem_token_print(char *text, const struct idem_token *token,
                      const struct idem_secret *secret);

/* False: not a token, or not one that was made with this secret; the text may be anything. */
IDEM_MUST_USE bool idem_token_read(struct idem_token *token, struct idem_span text,
                                   const struct idem_secret *secret);

#endif
