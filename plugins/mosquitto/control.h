/* SPDX-License-Identifier: MIT
 * Commands on $CONTROL/idem/v1, in the form of Mosquitto's own control topics: a JSON object with a list of
 * commands comes in, one with their responses goes out on $CONTROL/idem/v1/response, to the client that asked
 * and to no other. docs/reference/control.md is the reference.
 *
 * Who may ask is for the broker's ACLs to say, which it checks before the plugin sees anything, and for
 * mqtt.control, since a broker without ACLs lets everyone publish there.
 *
 * The broker is never kept waiting: what the store does not answer at once is answered when it does. What is
 * asked, how much of it at once, and what is answered are bounded. All on the broker's thread. */
#ifndef IDEM_MOSQUITTO_CONTROL_H
#define IDEM_MOSQUITTO_CONTROL_H

#include "figure_tree.h"

#include <idem/config.h>

#include <json-c/json.h>
#include <mosquitto_broker.h>

#define IDEM_CONTROL_TOPIC          "$CONTROL/idem/v1"
#define IDEM_CONTROL_RESPONSE_TOPIC IDEM_CONTROL_TOPIC "/response"

#define IDEM_CONTROL_REQUEST_MAX   16384   /* bytes of a request */
#define IDEM_CONTROL_DEPTH_MAX     8       /* nesting of its JSON */
#define IDEM_CONTROL_COMMANDS_MAX  32      /* in a request */
#define IDEM_CONTROL_QUESTIONS_MAX 64      /* that the store has not answered, in all */
#define IDEM_CONTROL_RESPONSE_MAX  1048576 /* bytes, about: further commands are refused */

struct idem_control_request;

struct idem_control {
    enum idem_control_mode mode;
    struct idem_receiver *receiver; /* borrowed, as is all else that is pointed to */
    struct idem_store *store;
    const struct idem_ruleset *rules;
    const struct idem_log *log;
    /* Gives the figures of now to the visitor. */
    void (*figures)(void *arg, const struct idem_figure_visitor *visitor);
    void *figures_arg;
    struct idem_control_counts counts;
    struct idem_control_request *open; /* that wait for the store */
    size_t questions;
    bool stopped;
};

/* The event; always MOSQ_ERR_SUCCESS, as any other answer would disconnect the client. */
int idem_control_event(struct idem_control *control,
                       const struct mosquitto_evt_control *event, int64_t now_ms);

/* Its answers are for nobody any more: another client may come under its name. */
void idem_control_client_gone(struct idem_control *control, const void *client);

/* Nothing is sent any more. Closing the store then answers what is open, which frees it. */
void idem_control_stop(struct idem_control *control);

#endif
