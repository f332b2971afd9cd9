/* SPDX-License-Identifier: MIT
 * What an error of the database means for the messages of a transaction. Pure. */
#ifndef IDEM_RABBITMQ_POSTGRES_SQLSTATE_H
#define IDEM_RABBITMQ_POSTGRES_SQLSTATE_H

#define IDEM_SQLSTATE_SIZE 6 /* five characters and the terminator */

enum idem_sqlstate {
    /* The statement was executed, and its message is the reason that it failed: whoever executes it again
     * gets the same answer. */
    IDEM_SQLSTATE_REFUSED,
    /* The database, its state or its schema is the reason: nothing is known against the message. */
    IDEM_SQLSTATE_AGAIN,
    /* The same, and this session is of no more use. */
    IDEM_SQLSTATE_LOST,
};

/* state: five characters, or NULL where the server sent none. */
enum idem_sqlstate idem_sqlstate_class(const char *state);

#endif
