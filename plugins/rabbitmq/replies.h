/* SPDX-License-Identifier: MIT
 * The queue that workers reply to: each reply ends the claim of its request. See rpc.h. */
#ifndef IDEM_RABBITMQ_REPLIES_H
#define IDEM_RABBITMQ_REPLIES_H

#include "worker_state.h"

#include <idem/result.h>

struct idem_replies;

/* Does not connect. *replies is NULL, or is to be freed, whatever happens. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_replies_open(struct idem_replies **replies,
                                               struct idem_worker *worker);

/* The first try to connect: see idem_end_start. */
IDEM_MUST_USE enum idem_code idem_replies_start(struct idem_replies *replies,
                                                struct idem_error *error);

/* One turn; whether there is more to read. */
bool idem_replies_read(struct idem_replies *replies);
void idem_replies_flush(struct idem_replies *replies);

/* Between two turns: deals with a lost connection. */
void idem_replies_mend(struct idem_replies *replies);

/* Whether read has something to do that no descriptor tells of. */
bool idem_replies_pending(const struct idem_replies *replies);

/* The worker ends. What is not acknowledged comes again. */
void idem_replies_leave(struct idem_replies *replies);

struct idem_observed_end idem_replies_observe(struct idem_replies *replies);

struct idem_reply_figures {
    uint64_t ended
        [IDEM_RESULT_FATE_COUNT]; /* ended their claim, by what became of their result */
    uint64_t stray;               /* came when it was another's, or nobody's any more */
    uint64_t alien;               /* no reply to anything that was asked */
    uint64_t unexpected;          /* events that their state does not know */
};
/* On any thread. */
void idem_replies_figures(const struct idem_replies *replies,
                          struct idem_reply_figures *figures);

/* NULL is accepted. The store must be closed, or have nothing to answer. */
void idem_replies_free(struct idem_replies *replies);

#endif
