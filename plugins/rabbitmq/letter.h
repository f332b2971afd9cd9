/* SPDX-License-Identifier: MIT
 * An owned copy of one AMQP message, as it came: where it was sent to, its properties in their encoded
 * form, its body. One buffer, kept between messages, so that the hot path allocates nothing. */
#ifndef IDEM_RABBITMQ_LETTER_H
#define IDEM_RABBITMQ_LETTER_H

#include <idem/error.h>
#include <idem/span.h>

/* No broker hands out larger ones (RabbitMQ refuses above 512 MiB). */
#define IDEM_LETTER_BODY_MAX (UINT64_C(512) * 1024 * 1024)

struct idem_letter {
    uint8_t *buffer; /* owned */
    size_t room;
    size_t used;
    size_t exchange_len; /* the parts follow each other in this order */
    size_t routing_key_len;
    size_t properties_len;
    size_t body_len;  /* announced */
    size_t names_len; /* of the headers to add, each terminated; 0: none */
    size_t text_len;  /* their one value */
};

void idem_letter_fini(struct idem_letter *letter);

/* A new message begins: what the letter held is forgotten. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_letter_address(struct idem_letter *letter,
                                                 struct idem_span exchange,
                                                 struct idem_span routing_key);

/* Its header: the encoded properties, and how long the body will be. IDEM_ERR_NOMEM; IDEM_ERR_INVALID:
 * longer than any broker would send, or the second one. */
IDEM_MUST_USE enum idem_code idem_letter_header(struct idem_letter *letter,
                                                struct idem_span properties,
                                                uint64_t body_len);

/* More of its body. IDEM_ERR_INVALID: more than announced. */
IDEM_MUST_USE enum idem_code idem_letter_body(struct idem_letter *letter,
                                              struct idem_span fragment);
bool idem_letter_complete(const struct idem_letter *letter);

/* The headers (NULL ends their names) to add to a complete letter when it is published, each with the same
 * value, instead of any that it has. Replaces what was set before. IDEM_ERR_NOMEM: nothing is set. */
IDEM_MUST_USE enum idem_code idem_letter_set_key(struct idem_letter *letter,
                                                 const char *const *names,
                                                 struct idem_span text);

/* Parts of a complete letter; valid until it is changed. */
struct idem_span idem_letter_exchange(const struct idem_letter *letter);
struct idem_span idem_letter_routing_key(const struct idem_letter *letter);
struct idem_span idem_letter_properties(const struct idem_letter *letter);
struct idem_span idem_letter_payload(const struct idem_letter *letter);
struct idem_span idem_letter_key_text(const struct idem_letter *letter);

/* The names of the headers to add, one after the other: *name is empty before the first. */
bool idem_letter_next_key_name(const struct idem_letter *letter, struct idem_span *name);

/* The message has gone: gives back the memory of an unusually large one. */
void idem_letter_rest(struct idem_letter *letter);

#endif
