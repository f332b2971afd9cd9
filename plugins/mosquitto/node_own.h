/* SPDX-License-Identifier: MIT
 * The node's own struct, shared by the files that make it up. */
#ifndef IDEM_MOSQUITTO_NODE_OWN_H
#define IDEM_MOSQUITTO_NODE_OWN_H

#include "node.h"

#include "broker_log.h"
#include "control.h"
#include "figures.h"
#include "intake.h"
#include "replay.h"

#include <idem/config.h>

struct idem_node {
    struct idem_node *next;
    char *path;
    unsigned users;
    struct idem_broker_log broker_log;
    struct idem_log_limit *limit; /* in front of it */
    struct idem_log log;
    struct idem_config config;
    struct idem_store *store;
    struct idem_receiver *receiver;
    struct idem_settle settle;
    struct idem_intake intake;
    struct idem_replay replay;
    struct idem_figures figures;
    struct idem_control control;
    int64_t started_ns;  /* of the monotonic clock */
    bool remote;         /* the store is on the network */
    char *handover_path; /* NULL: the store keeps nothing, and neither do we */
    /* The file's messages are with the broker, the file is still there. */
    bool handover_open;
};

/* Reads the configuration file, and refuses what this adapter cannot do. idem_config_fini in any case. */
IDEM_MUST_USE enum idem_code idem_node_load(struct idem_config *config, const char *path,
                                            const struct idem_log *log,
                                            struct idem_error *error);

/* With the first message or tick the broker's loop has begun, and with that it has emptied its queue. */
void idem_node_remove_handovers(struct idem_node *node);

/* For the control topic: the figures of now. */
void idem_node_figures(void *arg, const struct idem_figure_visitor *visitor);

#endif
