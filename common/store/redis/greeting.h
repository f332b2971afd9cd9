/* SPDX-License-Identifier: MIT
 * The first words on a connection: who we are, what the server is, and whether it is fit for records. */
#ifndef IDEM_REDIS_GREETING_H
#define IDEM_REDIS_GREETING_H

#include "store/redis/session.h"

/* Writes the whole greeting. The session is told greeted by the last answer, or is broken off by the
 * first that is not as it should be. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_greeting_server(struct idem_session *session);

/* Asks a sentinel for the master. The session is told found, and broken off to go there. */
IDEM_MUST_USE enum idem_code idem_greeting_sentinel(struct idem_session *session);

#endif
