/* SPDX-License-Identifier: MIT
 * One connection to a RabbitMQ, with one channel: opened with deadlines, read without blocking, and with
 * what every connection must answer (heartbeats, closing, blocking) answered here.
 *
 * rabbitmq-c writes block. They are bounded by the system: data that the broker does not take within
 * IDEM_LINK_WRITE_TIMEOUT_MS ends the connection (TCP_USER_TIMEOUT, RFC 5482). Callers that write much
 * look at idem_link_writable first. One thread. */
#ifndef IDEM_RABBITMQ_LINK_H
#define IDEM_RABBITMQ_LINK_H

#include "rabbit.h"

#include <idem/error.h>
#include <idem/log.h>

#define IDEM_LINK_CHANNEL          1
#define IDEM_LINK_CONNECT_MS       5000 /* TCP, TLS and AMQP handshakes: each */
#define IDEM_LINK_GOODBYE_MS       1000 /* for the broker to say that it has taken everything */
#define IDEM_LINK_WRITE_TIMEOUT_MS 30000 /* data that nobody takes */
#define IDEM_LINK_HEARTBEAT_S      20
#define IDEM_LINK_FRAME_MAX        131072

struct idem_address; /* address.h */

struct idem_link {
    const char *name; /* "source", "sink": for logs */
    const struct idem_log *log;
    amqp_connection_state_t connection; /* NULL: not connected */
    bool blocked;                       /* the broker asked not to publish */
    bool channel_closed; /* the broker closed the channel, not the connection */
};

enum idem_link_result {
    IDEM_LINK_FRAME,   /* a frame of the channel was read */
    IDEM_LINK_NOTHING, /* there is none now */
    IDEM_LINK_LOST,    /* the connection or the channel is over; it has been logged */
};

/* Connects, logs in, opens the channel. Blocks, for as long as the deadlines above allow.
 * IDEM_ERR_UNAVAILABLE: try again; IDEM_ERR_CONFIG: the broker knows us and says no. */
IDEM_MUST_USE enum idem_code idem_link_open(struct idem_link *link,
                                            const struct idem_address *address,
                                            struct idem_error *error);

/* Ends the connection; politely where it is still good: then all that was written has been taken. */
void idem_link_close(struct idem_link *link, bool politely);

/* The next frame of the channel, valid until idem_link_release. Never blocks for data. */
IDEM_MUST_USE enum idem_link_result idem_link_read(struct idem_link *link,
                                                   amqp_frame_t *frame);

/* Frames that were read are not needed any more: the memory behind them is used again. */
void idem_link_release(struct idem_link *link);

/* Whether frames wait inside the library, where the descriptor does not show them. */
bool idem_link_buffered(const struct idem_link *link);

int idem_link_fd(const struct idem_link *link);
bool idem_link_writable(const struct idem_link *link);

/* While it gathers, what is written goes out in full segments only: for many small messages in a row. */
void idem_link_gather(const struct idem_link *link, bool gather);

/* Bytes of encoded properties that fit into one content header. */
size_t idem_link_properties_max(const struct idem_link *link);

/* Whether an RPC of rabbitmq-c succeeded. IDEM_ERR_CONFIG: the broker refused it, and the text says why;
 * IDEM_ERR_UNAVAILABLE: the connection failed. what: "declaring the queue orders". */
IDEM_MUST_USE enum idem_code idem_link_reply(const struct idem_link *link,
                                             const char *what, struct idem_error *error);

/* Whether a library call that gives a status succeeded; logs where it did not. */
IDEM_MUST_USE bool idem_link_ok(const struct idem_link *link, const char *what,
                                int status);

#endif
