/* SPDX-License-Identifier: MIT
 * One idempotent receiver inside the broker: configuration, store, receiver, and what is on its way.
 * Plugin instances that name the same configuration file (several listeners) share one node, since a
 * store can be opened once only. Everything here belongs to the broker's thread. */
#ifndef IDEM_MOSQUITTO_NODE_H
#define IDEM_MOSQUITTO_NODE_H

#include <idem/error.h>

#include <mosquitto_broker.h>

struct idem_node;

/* Opens the node of a configuration file, or shares the one that is open. Every acquire needs a
 * release. Blocks on disk. *first: whether this call opened it. */
IDEM_MUST_USE enum idem_code idem_node_acquire(struct idem_node **node,
                                               const char *config_path, bool *first,
                                               struct idem_error *error);
void idem_node_release(struct idem_node *node);

/* The broker's events. Each returns what the callback returns. */
int idem_node_on_message(struct idem_node *node, struct mosquitto_evt_message *event);
int idem_node_on_tick(struct idem_node *node, bool whole_turn);
int idem_node_on_disconnect(struct idem_node *node,
                            const struct mosquitto_evt_disconnect *event);

int idem_node_on_control(struct idem_node *node,
                         const struct mosquitto_evt_control *event);

/* Reads the configuration again; keeps the old one, and says why, where the new one is refused. */
int idem_node_on_reload(struct idem_node *node);

#endif
