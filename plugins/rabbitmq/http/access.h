/* SPDX-License-Identifier: MIT
 * Who may read what. Pure. */
#ifndef IDEM_RABBITMQ_HTTP_ACCESS_H
#define IDEM_RABBITMQ_HTTP_ACCESS_H

#include <idem/error.h>

#include <stdbool.h>

/* Whether what a client says in Authorization is the token; takes as long whatever it says. NULL: it says
 * nothing. */
bool idem_access_token(const char *authorization, const char *token);

/* Whether a request for that host (NULL: it names none) may be meant for a server that only this machine can
 * reach. A page from elsewhere whose name was made to point here (DNS rebinding) may not read it. */
bool idem_access_host(const char *host);

#endif
