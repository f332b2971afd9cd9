/* SPDX-License-Identifier: MIT
 * What differs between the brokers that may load the plugin: who frees what, and how.
 *
 * A broker counts the memory that mosquitto_malloc() gives and mosquitto_free() takes back, and refuses
 * to give any above its memory_limit. Memory that is counted on one of the two ways only makes the count
 * drift, until it reaches the limit or wraps below zero: then the broker has no memory ever after. So each
 * block goes back the way it came. (Up to 2.0.20 the broker itself miscounts the properties that it
 * frees; that is beyond a plugin.) */
#ifndef IDEM_MOSQUITTO_COMPAT_H
#define IDEM_MOSQUITTO_COMPAT_H

#include <idem/span.h>

#include <mosquitto.h>
#include <mosquitto_broker.h>

/* Once, before the first event. Until then everything is taken for the older kind, which at worst
 * leaks. Broker's thread only, as is all of this file. */
void idem_compat_learn(void);

/* Whether the broker frees a topic or a property list that a plugin replaces (2.0.15 and later); older
 * ones forget it. The payload is freed by all. */
bool idem_compat_frees_replaced(void);

/* Frees what a mosquitto_property_read_*() function returned: plain memory up to 2.0.20, counted memory
 * later. NULL is accepted. */
void idem_compat_free_read(const void *memory);

/* mosquitto_broker_publish() with a copy of the payload. Takes properties over on success only. Instead of
 * mosquitto_broker_publish_copy(), whose copy is not counted when it is made but when it is freed, and
 * leaks where publishing fails (2.0.x). */
int idem_compat_publish(const char *topic, struct idem_span payload, int qos, bool retain,
                        mosquitto_property *properties);

/* The same to one client, whatever it subscribes to; NULL: to all that do. */
int idem_compat_publish_to(const char *client_id, const char *topic,
                           struct idem_span payload, int qos, bool retain,
                           mosquitto_property *properties);

#endif
