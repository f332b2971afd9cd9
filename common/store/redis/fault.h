/* SPDX-License-Identifier: MIT
 * What the errors that Redis answers mean here. */
#ifndef IDEM_REDIS_FAULT_H
#define IDEM_REDIS_FAULT_H

#include "store/redis/session.h"

enum idem_fault_remedy {
    IDEM_FAULT_NONE,
    IDEM_FAULT_LEAVE,  /* this server cannot serve us: connect anew, perhaps elsewhere */
    IDEM_FAULT_SCRIPT, /* it has lost our scripts: send them whole */
    IDEM_FAULT_MAP,    /* whose slots are whose has changed, or is not settled */
    IDEM_FAULT_SYNTAX, /* it does not know the command in this form */
};

struct idem_fault {
    enum idem_code code;
    enum idem_fault_remedy remedy;
};

/* reply is an error. A command that was answered with one has changed nothing. */
struct idem_fault idem_fault_of(const redisReply *reply);

/* Acts on an error where it says something about the connection: breaks it off where it says so. */
void idem_fault_note(struct idem_session *session, const redisReply *reply);

#endif
