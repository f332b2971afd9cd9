/* SPDX-License-Identifier: MIT
 * The MQTT 5 properties that a PUBLISH can bring to a plugin: five kinds, in one neutral form.
 *
 * mosquitto_property_copy_all() is not used anywhere: in 2.0.11 it crashes on a string that came empty
 * from the network, and its copies are not counted (see compat.h). */
#ifndef IDEM_MOSQUITTO_PROPERTIES_H
#define IDEM_MOSQUITTO_PROPERTIES_H

#include <mosquitto.h>
#include <stdbool.h>
#include <stdint.h>

struct idem_property {
    const char *name;  /* user property: terminated, else NULL */
    const void *value; /* all kinds but the byte: terminated; may hold NUL where binary */
    int id;            /* MQTT_PROP_..., 0: none of the five kinds */
    uint16_t size;     /* of value */
    uint8_t byte;      /* payload format indicator */
};

/* User properties that are to have one value, each instead of any other of its name. */
struct idem_stamp {
    const char *const *names; /* NULL ends them; NULL itself: nothing to set */
    const char *value;
};

/* Copies the first property of a list; fini it in any case. MOSQ_ERR_SUCCESS or _NOMEM. */
int idem_property_read(struct idem_property *property, const mosquitto_property *from);
void idem_property_fini(struct idem_property *property);

/* Adds a copy at the end; on any error the list is as it was. */
int idem_property_add(mosquitto_property **list, const struct idem_property *property);
int idem_property_add_user(mosquitto_property **list, const char *name,
                           const char *value);

/* Whether there is a user property of one of the names; also true where memory is too short to tell. */
bool idem_properties_have(const mosquitto_property *list, const char *const *names);

/* A copy of the list in its order, without the user properties of these names (NULL: of all). */
int idem_properties_copy(mosquitto_property **copy, const mosquitto_property *list,
                         const char *const *without);

#endif
