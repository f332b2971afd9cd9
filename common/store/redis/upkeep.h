/* SPDX-License-Identifier: MIT
 * Requests of a session's own while it is up: heartbeats, which are probes too, and waits for replicas. */
#ifndef IDEM_REDIS_UPKEEP_H
#define IDEM_REDIS_UPKEEP_H

#include "store/redis/session.h"

/* IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_heartbeat_send(struct idem_session *session,
                                                 int64_t deadline_ms);

/* Asks for the confirmation of the replicas for everything that session->held holds. */
IDEM_MUST_USE enum idem_code idem_replication_send(struct idem_session *session,
                                                   int64_t deadline_ms);

/* Lets the next command use a slot that is on its way to this node. */
IDEM_MUST_USE enum idem_code idem_asking_send(struct idem_session *session,
                                              int64_t deadline_ms);

/* Asks for the map of the slots; the nodes learn it. */
IDEM_MUST_USE enum idem_code idem_map_send(struct idem_session *session,
                                           int64_t deadline_ms);

#endif
