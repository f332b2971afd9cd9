/* SPDX-License-Identifier: MIT
 * Where a broker is and who we are there: an AMQP URL, taken apart. Pure, but for the password's file. */
#ifndef IDEM_RABBITMQ_ADDRESS_H
#define IDEM_RABBITMQ_ADDRESS_H

#include <idem/config.h>
#include <idem/error.h>

#include <stdbool.h>

struct idem_address {
    char *text; /* owned: what the others point into */
    const char *host;
    int port;
    const char *vhost;
    const char *user;
    const char *password;
    bool tls;
    char *secret;            /* owned: the password, where it came from a file */
    const char *ca_file;     /* borrowed; NULL: the system's */
    const char *certificate; /* borrowed, with private_key; NULL: none */
    const char *private_key;
};

/* amqp[s]://USER:PASSWORD@HOST:PORT/VHOST. *address is initialised whatever happens; fini it in any case.
 * Texts of errors name no password. IDEM_ERR_CONFIG, IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_address_parse(struct idem_address *address,
                                                const char *url,
                                                struct idem_error *error);

/* Takes the password from a file: its first line. IDEM_ERR_IO, _NOMEM, _CONFIG (empty, too long). */
IDEM_MUST_USE enum idem_code idem_address_read_password(struct idem_address *address,
                                                        const char *path,
                                                        struct idem_error *error);

/* Takes the password, or the user, from the environment, which must not change afterwards.
 * IDEM_ERR_CONFIG: the variable is not there, empty or too long; the text names it, and not its value. */
IDEM_MUST_USE enum idem_code idem_address_read_variable(const char **value,
                                                        const char *name,
                                                        struct idem_error *error);

void idem_address_fini(struct idem_address *address);

/* Several brokers, tried in turn. */
struct idem_addresses {
    struct idem_address list[IDEM_URLS_MAX];
    size_t count;
};

#endif
