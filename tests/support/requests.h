/* SPDX-License-Identifier: MIT
 * Requests and responses over MQTT 5: a requester, a responder, and what each sees. */
#ifndef TESTS_REQUESTS_H
#define TESTS_REQUESTS_H

#include "scene.h"

struct request {
    const char *key;
    const char *payload;     /* NULL: "pay" */
    const char *reply_to;    /* response topic */
    const char *correlation; /* NULL: none */
};

/* On topic requests/1; the broker has to acknowledge with success. */
void requests_send(struct mqtt *client, uint8_t qos, const struct request *request);

/* The responder receives the next request and answers it. status: a user property; NULL: none. */
void requests_answer(struct mqtt *responder, uint8_t qos, const char *payload,
                     const char *status);

/* The requester receives this next. */
void requests_expect(struct mqtt *client, const char *topic, const char *payload,
                     const char *correlation, bool replayed);

#endif
