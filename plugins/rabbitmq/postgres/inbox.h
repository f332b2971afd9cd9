/* SPDX-License-Identifier: MIT
 * The records of the database sink while they are under way: an idem_store whose claims wait here until a
 * transaction takes them into the inbox table, and are done when it commits.
 *
 *     claim -> waiting -> [ asked -> ours ] -> gone          [ ]: in the open transaction
 *
 *   waiting   nobody has been told                 a crash: nothing happened
 *   asked     BEGIN and the claim were sent        rolled back with the transaction
 *   ours      the row is ours until the end        the same
 *   gone      committed, or not ours after all     the table knows
 *
 * A claim stays in the transaction when that is rolled back: the next attempt asks for it again, and only
 * where the table then knows another's record has it been lost. complete has nothing left to do: what is
 * complete was committed together with its effect. Nothing here does I/O. */
#ifndef IDEM_RABBITMQ_POSTGRES_INBOX_H
#define IDEM_RABBITMQ_POSTGRES_INBOX_H

#include <idem/store.h>

#include <sys/queue.h>

enum idem_pg_inbox_reply {
    IDEM_PG_INBOX_UNKNOWN, /* the table has not said yet */
    IDEM_PG_INBOX_OURS,    /* inserted */
    IDEM_PG_INBOX_TAKEN,   /* another's row, which lives */
    IDEM_PG_INBOX_EXPIRED, /* another's row, to be removed and asked for again */
};

struct idem_pg_inbox_claim {
    struct idem_claim claim;
    struct idem_record found; /* TAKEN */
    enum idem_pg_inbox_reply reply;
    bool open;      /* in the transaction */
    bool answered;  /* the receiver knows that it is ours */
    bool refused;   /* its statement failed: its row goes before the commit */
    bool withdrawn; /* given back: the same, and the key is free already */
    idem_store_done *done;
    void *arg;
    TAILQ_ENTRY(idem_pg_inbox_claim)
    order; /* among those waiting, or those in the transaction */
    struct idem_pg_inbox_claim *next; /* of the same bucket */
};

TAILQ_HEAD(idem_pg_inbox_claims, idem_pg_inbox_claim);

struct idem_pg_inbox {
    struct idem_store store;
    struct idem_pg_inbox_claim **buckets; /* by digest; withdrawn ones are not in there */
    size_t mask;
    struct idem_pg_inbox_claims waiting; /* in the order of their coming */
    struct idem_pg_inbox_claims open;
    size_t open_count;
    uint64_t purged; /* for figures */
};

/* room: how many claims there will be at a time, about. IDEM_ERR_NOMEM; fini it in any case. */
IDEM_MUST_USE enum idem_code idem_pg_inbox_init(struct idem_pg_inbox *inbox, size_t room);
void idem_pg_inbox_fini(struct idem_pg_inbox *inbox);

/* A transaction begins, or begins again: what was open is asked for again; where nothing is, up to most of
 * those that wait. */
void idem_pg_inbox_begin(struct idem_pg_inbox *inbox, size_t most);

/* What the table said. A digest that nobody asked for changes nothing. */
void idem_pg_inbox_inserted(struct idem_pg_inbox *inbox,
                            const struct idem_digest *digest);
void idem_pg_inbox_found(struct idem_pg_inbox *inbox, const struct idem_digest *digest,
                         const struct idem_record *record);

/* Whether the table still owes an answer: a row was expired, or was purged in between. */
bool idem_pg_inbox_unresolved(const struct idem_pg_inbox *inbox);

/* Hands the answers to the receiver, in the order of the claims. Claims that are not ours leave. */
void idem_pg_inbox_answer(struct idem_pg_inbox *inbox);

/* The claim of a digest in the open transaction, if it is ours; NULL. */
struct idem_pg_inbox_claim *idem_pg_inbox_ours(const struct idem_pg_inbox *inbox,
                                               const struct idem_digest *digest);

/* It has been committed: nothing is under way any more. */
void idem_pg_inbox_committed(struct idem_pg_inbox *inbox);

#endif
