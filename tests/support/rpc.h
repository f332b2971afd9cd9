/* SPDX-License-Identifier: MIT
 * The two who talk through a bridge in mode rpc: the requester, and the worker. Each step is the test's. */
#ifndef TESTS_RPC_H
#define TESTS_RPC_H

#include "rabbitmq.h"

#define RPC_TEXT_MAX 256

struct rpc_request {
    const char *queue;
    const char *key; /* NULL: none */
    const char *body;
    const char *reply_to; /* NULL: nobody wants an answer */
    const char *correlation_id;
    const char *user_id; /* NULL: none */
};
void rpc_ask(struct rabbitmq *client, const struct rpc_request *request);

/* A request as the worker sees it. */
struct rpc_work {
    char body[RPC_TEXT_MAX];
    char reply_to[RPC_TEXT_MAX];       /* "": none */
    char correlation_id[RPC_TEXT_MAX]; /* as a text */
};
void rpc_take(struct rabbitmq *client, const char *queue, struct rpc_work *work);

/* The worker's reply; status is a header, NULL: none. length 0: strlen. */
void rpc_reply_long(struct rabbitmq *client, const struct rpc_work *work,
                    const char *body, size_t length, const char *status);
void rpc_reply(struct rabbitmq *client, const struct rpc_work *work, const char *body,
               const char *status);

/* The next answer in a queue of the requester's is this one. */
struct rpc_answer {
    const char *queue;
    const char *body;
    const char *correlation_id;
    bool replayed; /* has the header that says so */
};
void rpc_expect(struct rabbitmq *client, const struct rpc_answer *answer);

/* A requester without a queue: RabbitMQ's direct reply-to, on a connection of its own. */
struct rpc_direct;
struct rpc_direct *rpc_direct_open(void);
void rpc_direct_ask(struct rpc_direct *direct, const struct rpc_request *request);
/* Waits for the next answer: its body, and its correlation id. */
void rpc_direct_expect(struct rpc_direct *direct, const char *body,
                       const char *correlation_id);
void rpc_direct_close(struct rpc_direct *direct);

#endif
