/* SPDX-License-Identifier: MIT
 * The broker as a plugin sees it, without a broker: its memory, its properties, its queue of published
 * messages, and its part before and after the message event, each as a given version of Mosquitto does
 * it. Unit tests of the plugin link it in the place of libmosquitto and of the broker.
 *
 * It counts memory like the broker: what is counted on the way in and not on the way out, or the other
 * way round, fails the test at fake_broker_stop(), and so does what is left over. */
#ifndef TESTS_FAKE_BROKER_H
#define TESTS_FAKE_BROKER_H

#include "testing.h"

#include <mosquitto.h>
#include <mosquitto_broker.h>

enum fake_version {
    FAKE_2_0_11, /* forgets what a plugin replaces; reads properties into plain memory */
    FAKE_2_0_15, /* frees what a plugin replaces; reads the same way */
    FAKE_2_0_21, /* frees it; reads into counted memory */
    FAKE_2_1_0,  /* the same */
    FAKE_VERSION_COUNT
};

void fake_broker_start(enum fake_version version);
void fake_broker_stop(void);
enum fake_version fake_broker_version(void);

/* The nth allocation from now on, whoever asks for it, is refused, and count in all. */
void fake_broker_refuse(size_t nth, size_t count);
bool fake_broker_refused(void); /* whether it came to that; also ends the refusing */

/* What stands for a client: the plugin only sees the pointer. */
struct mosquitto {
    const char *id;
    const char *username;
    int protocol_version;
};

/* Adds a property as it comes from the network: an empty string is a NULL. */
void fake_property_add(mosquitto_property **list, int id, const char *name,
                       const void *value, size_t size);
void fake_user_property_add(mosquitto_property **list, const char *name,
                            const char *value);

/* The list as one text, "user:name=value content:text ..."; free it. */
char *fake_properties_text(const mosquitto_property *list);

/* A message that has arrived and, after the event, what the broker goes on with. */
struct fake_arrival {
    char *topic;
    uint8_t *payload;
    uint32_t payloadlen;
    uint8_t qos;
    bool retain;
    mosquitto_property *properties;
};

void fake_arrival_init(struct fake_arrival *arrival, const char *topic,
                       const void *payload, size_t size, int qos, bool retain);
void fake_arrival_fini(struct fake_arrival *arrival);

/* The broker's part around one message event; returns what the callback returned. */
typedef int fake_callback(struct mosquitto_evt_message *event, void *arg);
int fake_arrival_event(struct fake_arrival *arrival, struct mosquitto *client,
                       fake_callback *callback, void *arg);

/* A message in the broker's queue. */
struct fake_published {
    struct fake_published *next;
    char *client_id; /* NULL: for all that subscribe */
    char *topic;
    void *payload;
    size_t size;
    int qos;
    bool retain;
    mosquitto_property *properties;
};

const struct fake_published *fake_broker_queue(void);
size_t fake_broker_queued(void);

/* The start of a turn: the broker takes its queue, and frees it. */
void fake_broker_take_queue(void);

/* The log. Lines are numbered from 0; NULL: there is no such line. */
size_t fake_broker_lines(void);
const char *fake_broker_line(size_t index);
int fake_broker_line_level(size_t index);

#endif
