/* SPDX-License-Identifier: MIT
 * The bridge's web server: a thread of its own that reads what workers left for it. It changes nothing,
 * whatever is asked, and no request makes a worker wait. */
#ifndef IDEM_RABBITMQ_HTTP_SERVER_H
#define IDEM_RABBITMQ_HTTP_SERVER_H

#include "observation.h"

#include <idem/log.h>

struct idem_http;

/* Borrowed until the server is closed. */
struct idem_http_options {
    const char *listen; /* ADDRESS:PORT, as the configuration takes it */
    const char *token;  /* what clients must have; NULL: nothing */
    struct idem_log log;
    /* Fills an observation that is zero, but for the time and the key that is asked for. Called on the server's thread; must not wait. */
    void (*observe)(void *arg, struct idem_observation *observation);
    void *arg;
};

/* Takes the port; answers from idem_http_start on. *http is the caller's to close, and NULL on error.
 * IDEM_ERR_BUSY: the port is taken. IDEM_ERR_IO, _NOMEM. Blocks where a name is to be looked up. */
IDEM_MUST_USE enum idem_code idem_http_open(struct idem_http **http,
                                            const struct idem_http_options *options,
                                            struct idem_error *error);
IDEM_MUST_USE enum idem_code idem_http_start(struct idem_http *http,
                                             struct idem_error *error);

/* Waits for the thread, which leaves at once; what it was sending breaks off. NULL is accepted. */
void idem_http_close(struct idem_http *http);

#endif
