/* SPDX-License-Identifier: MIT
 * The broker's list of a plugin's callbacks: what was registered, and the events that go there. */
#ifndef TESTS_FAKE_CALLBACKS_H
#define TESTS_FAKE_CALLBACKS_H

#include <mosquitto_broker.h>
#include <stddef.h>

/* How many more may be registered; the next one is refused. */
void fake_callbacks_grant(size_t more);
size_t fake_callbacks_count(void);

/* An event to what is registered for it under that identifier (NULL: under any), in that order and as
 * long as they return success. */
int fake_callbacks_call(const mosquitto_plugin_id_t *identifier, int event, void *data);

#endif
