/* SPDX-License-Identifier: MIT
 * The stage of tests of the control topic: rules, a store that answers when the test lets it, two clients. */
#ifndef TESTS_FAKE_ASKING_H
#define TESTS_FAKE_ASKING_H

#include "fake_broker.h"

#include <idem/receiver.h>

struct idem_control;

#define NOW_MS 1700000000000

#define LOOKUP(rule, key)                                                                \
    "{\"command\":\"lookupKey\",\"rule\":\"" rule "\",\"key\":\"" key "\"}"
#define FORGET(rule, key)                                                                \
    "{\"command\":\"forgetKey\",\"rule\":\"" rule "\",\"key\":\"" key "\"}"

extern struct idem_control asking_control;
extern struct mosquitto asking_clients[2]; /* "first", user alice; "second" */
extern char asking_log[2048];
/* The store: whether it answers later, and the code that it answers with instead. */
extern bool asking_slow;
extern enum idem_code asking_code;
/* The nth allocation in the next event is refused; 0: none. Whether it came to that. */
extern size_t asking_refuse;
extern bool asking_refused;

int asking_start(void **state);
int asking_stop(void **state);

/* The oldest question that waits, or all of them, are answered. */
void asking_answer(void);
void asking_answer_all(void);

/* A request of a client; the one response that is in the queue, which the caller frees. */
void asking_send(size_t client, const char *payload, size_t size);
struct json_object *asking_taken(const char *client);

/* Asks, and compares the response as it stands. */
void asking_expect(const char *request, const char *response);
/* Asks one command, which is refused with that text. */
void asking_expect_error(const char *command, const char *error);
/* Asks one command, and returns its response, which the caller frees. */
struct json_object *asking_ask(const char *command);
/* A member of a response's data as a text, valid as long as the response; NULL: it is not there. */
const char *asking_data(struct json_object *response, const char *name);
void asking_expect_data(const char *command, const char *name, const char *value);

/* A copy of a message from client "c1" that is delivered for certain; id is its user property of that name. */
enum idem_reason asking_submit(const char *topic, const char *id);

#endif
