/* SPDX-License-Identifier: MIT
 * Messages that wait for the store's answer, in the order in which they arrived.
 *
 * They leave in that order too, whatever order the answers come in: first copies, duplicates and what is
 * set aside alike. So the order of each publisher is kept, also over a claim that takes several rounds
 * and over a reconnection to the store. One message that waits holds up those behind it, but no longer
 * than store.deadline: then the store answers that it has no answer.
 *
 * The publisher has been told that the broker has the message. What that means in a crash: see the guide. */
#ifndef IDEM_MOSQUITTO_PARK_H
#define IDEM_MOSQUITTO_PARK_H

#include "copy.h"

#include <idem/receiver.h>

#define IDEM_PARK_BUCKETS 4096

struct idem_parked {
    struct idem_parked *next;     /* in order of arrival */
    struct idem_parked *by_route; /* in a bucket of client and topic */
    struct idem_parked *by_key;   /* in a bucket of digests, once it has claimed */
    void *owner;                  /* of whoever submits it */
    int64_t submitted_ns;         /* of the monotonic clock */
    struct idem_delivery delivery;
    bool kept; /* the message is in here; until then only its claim is under way */
    bool decided;
    bool given_up; /* the message could not be kept: whatever is claimed is abandoned */
    uint32_t hash; /* of client and topic */
    char *client;  /* id, in one block with topic */
    char *topic;
    struct idem_copy copy;
    uint32_t payload_size;
    int qos;
    bool retain;
    size_t bytes;
    struct idem_stamp key; /* to propagate */
    void *carried;         /* owned: what key points to, in one block */
    uint8_t *result;       /* owned: to answer with; NULL: none */
    size_t result_size;
};

struct idem_park {
    size_t most_messages;
    size_t most_bytes;
    struct idem_parked *first;
    struct idem_parked **last;
    size_t count;
    size_t bytes;
    struct idem_parked *routes[IDEM_PARK_BUCKETS];
    struct idem_parked *keys[IDEM_PARK_BUCKETS];
};

void idem_park_init(struct idem_park *park, size_t most_messages, size_t most_bytes);
void idem_park_fini(struct idem_park *park);

/* Whether a message of that size may be added. */
bool idem_park_has_room(const struct idem_park *park,
                        const struct mosquitto_evt_message *event);

/* A place of its own for a message that may have to wait; NULL: no memory. */
struct idem_parked *idem_parked_new(void);
void idem_parked_free(struct idem_parked *parked);
/* As new; for a message that did not have to wait. */
void idem_parked_clear(struct idem_parked *parked);

/* Copies the message and turns the arriving one into a sink: it waits now, last in line.
 * MOSQ_ERR_NOMEM: nothing has changed. */
int idem_park_add(struct idem_park *park, struct idem_parked *parked,
                  struct mosquitto_evt_message *event);

/* Whether the client has a message to that topic waiting. */
bool idem_park_has_route(const struct idem_park *park, const char *client,
                         const char *topic);

/* Takes note of the verdict, once it is in parked->delivery. */
void idem_parked_decide(struct idem_park *park, struct idem_parked *parked);

/* Copies what the message is to carry on. Without memory it goes on without: better than not at all. */
void idem_parked_carry(struct idem_parked *parked, const struct idem_stamp *key);

/* The same for what it is answered with, which counts as its own bytes. */
void idem_parked_carry_result(struct idem_park *park, struct idem_parked *parked,
                              struct idem_span result);

/* Whether the message that claimed the digest waits. */
bool idem_park_holds(const struct idem_park *park, const struct idem_digest *digest);

/* Takes the first message out, which is the caller's now. */
struct idem_parked *idem_park_take(struct idem_park *park);

#endif
