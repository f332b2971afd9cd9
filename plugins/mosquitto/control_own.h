/* SPDX-License-Identifier: MIT
 * What the files of the control topic share. */
#ifndef IDEM_MOSQUITTO_CONTROL_OWN_H
#define IDEM_MOSQUITTO_CONTROL_OWN_H

#include "control.h"

/* One that has come in, until its last command is answered. */
struct idem_control_request {
    struct idem_control_request *next;
    struct idem_control *control;
    const void *client; /* to compare only; NULL: it is gone */
    char *client_id;
    int qos;
    struct json_object *responses;
    size_t size; /* of them, about */
    size_t open; /* commands that are not answered, and one while it is read */
    int64_t now_ms;
};

/* One command, while it is carried out. */
struct idem_control_command {
    struct idem_control_request *request;
    struct json_object *json;     /* as it came */
    struct json_object *response; /* in the list already */
    const char *user;             /* for the log: who asks, "" where anonymous */
};

typedef void idem_control_handler(const struct idem_control_command *command);

idem_control_handler idem_control_get_stats;
idem_control_handler idem_control_list_rules;
idem_control_handler idem_control_set_rule_state;
idem_control_handler idem_control_get_duplicates;
idem_control_handler idem_control_lookup_key;
idem_control_handler idem_control_forget_key;

/* Answers a command: with its data, which it takes over (NULL: no memory), or with an error. */
void idem_control_answer(struct idem_control_request *request,
                         struct json_object *response, struct json_object *data);
void idem_control_refuse(struct idem_control_request *request,
                         struct json_object *response, const char *format, ...)
    IDEM_PRINTF(3, 4);

/* A command is not answered yet / has been answered by now. The last one sends the response, and the request
 * is gone. */
void idem_control_hold(struct idem_control_request *request);
void idem_control_release(struct idem_control_request *request);

/* A member of a command that is a text; NULL: it is none. Texts that hold NUL are none. */
const char *idem_control_text(struct json_object *json, const char *name);

/* Adds a member; without memory it is left out. */
void idem_control_add_text(struct json_object *object, const char *name,
                           const char *value);
void idem_control_add_number(struct json_object *object, const char *name,
                             uint64_t value);
void idem_control_add_time(struct json_object *object, const char *name, int64_t ms);

#endif
