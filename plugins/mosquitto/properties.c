/* SPDX-License-Identifier: MIT
 * The MQTT 5 properties that a PUBLISH can bring to a plugin. */
#include "properties.h"

#include "compat.h"

#include <mqtt_protocol.h>
#include <string.h>

int idem_property_read(struct idem_property *property, const mosquitto_property *from) {
    const mosquitto_property *found = from;
    int id = mosquitto_property_identifier(from);
    char *name = NULL;
    char *text = NULL;
    void *data = NULL;
    memset(property, 0, sizeof *property);
    switch (id) {
    case MQTT_PROP_USER_PROPERTY:
        found = mosquitto_property_read_string_pair(from, id, &name, &text, false);
        break;
    case MQTT_PROP_CONTENT_TYPE:
    case MQTT_PROP_RESPONSE_TOPIC:
        found = mosquitto_property_read_string(from, id, &text, false);
        break;
    case MQTT_PROP_CORRELATION_DATA:
        found = mosquitto_property_read_binary(from, id, &data, &property->size, false);
        break;
    case MQTT_PROP_PAYLOAD_FORMAT_INDICATOR:
        found = mosquitto_property_read_byte(from, id, &property->byte, false);
        break;
    default:
        id = 0;
        break;
    }
    property->id = id;
    property->name = name;
    property->value = data;
    if (text != NULL) {
        property->value = text;
        property->size = (uint16_t)strlen(text);
    }
    return found != NULL ? MOSQ_ERR_SUCCESS : MOSQ_ERR_NOMEM;
}

void idem_property_fini(struct idem_property *property) {
    idem_compat_free_read(property->name);
    idem_compat_free_read(property->value);
    memset(property, 0, sizeof *property);
}

int idem_property_add(mosquitto_property **list, const struct idem_property *property) {
    const int id = property->id;
    switch (id) {
    case MQTT_PROP_USER_PROPERTY:
        return idem_property_add_user(list, property->name, property->value);
    case MQTT_PROP_CONTENT_TYPE:
    case MQTT_PROP_RESPONSE_TOPIC:
        return mosquitto_property_add_string(list, id, property->value);
    case MQTT_PROP_CORRELATION_DATA:
        return mosquitto_property_add_binary(list, id, property->value, property->size);
    case MQTT_PROP_PAYLOAD_FORMAT_INDICATOR:
        return mosquitto_property_add_byte(list, id, property->byte);
    default:
        return MOSQ_ERR_INVAL;
    }
}

int idem_property_add_user(mosquitto_property **list, const char *name,
                           const char *value) {
    return mosquitto_property_add_string_pair(list, MQTT_PROP_USER_PROPERTY, name, value);
}

static bool is_called(const struct idem_property *property, const char *const *names) {
    for (; property->name != NULL && names != NULL && *names != NULL; names++) {
        if (strcmp(property->name, *names) == 0) {
            return true;
        }
    }
    return false;
}

bool idem_properties_have(const mosquitto_property *list, const char *const *names) {
    bool found = false;
    for (; list != NULL && !found; list = mosquitto_property_next(list)) {
        struct idem_property property;
        found = idem_property_read(&property, list) != MOSQ_ERR_SUCCESS ||
                is_called(&property, names);
        idem_property_fini(&property);
    }
    return found;
}

static int copy_first(mosquitto_property **copy, const mosquitto_property *list,
                      const char *const *without) {
    struct idem_property property;
    int rc = idem_property_read(&property, list);
    if (rc == MOSQ_ERR_SUCCESS && property.id != 0 && !is_called(&property, without)) {
        rc = idem_property_add(copy, &property);
    }
    idem_property_fini(&property);
    return rc;
}

int idem_properties_copy(mosquitto_property **copy, const mosquitto_property *list,
                         const char *const *without) {
    int rc = MOSQ_ERR_SUCCESS;
    *copy = NULL;
    for (; list != NULL && rc == MOSQ_ERR_SUCCESS; list = mosquitto_property_next(list)) {
        rc = copy_first(copy, list, without);
    }
    if (rc != MOSQ_ERR_SUCCESS) {
        mosquitto_property_free_all(copy);
    }
    return rc;
}
