/* SPDX-License-Identifier: MIT
 * The broker's properties, as far as a plugin has to do with them: how they come from the network, and
 * which memory each function uses in which version. */
#include "fake_broker.h"

#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mqtt5__property {
    struct mqtt5__property *next;
    int id;
    uint8_t byte;
    char *name;
    char *value; /* NULL where it came empty from the network */
    uint16_t size;
};

static void free_property(mosquitto_property *property) {
    mosquitto_free(property->name);
    mosquitto_free(property->value);
    mosquitto_free(property);
}

void mosquitto_property_free_all(mosquitto_property **properties) {
    while (properties != NULL && *properties != NULL) {
        mosquitto_property *next = (*properties)->next;
        free_property(*properties);
        *properties = next;
    }
}

/* NULL stays NULL. */
static char *counted_copy(const void *bytes, size_t size) {
    char *copy = bytes == NULL ? NULL : mosquitto_malloc(size + 1);
    if (copy != NULL) {
        memcpy(copy, bytes, size);
        copy[size] = '\0';
    }
    return copy;
}

static int append(mosquitto_property **list, int id, const char *name, const void *value,
                  size_t size) {
    mosquitto_property *added = mosquitto_calloc(1, sizeof *added);
    if (added == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    added->id = id;
    added->size = (uint16_t)size;
    added->name = name == NULL ? NULL : mosquitto_strdup(name);
    added->value = counted_copy(value, size);
    if ((name != NULL && added->name == NULL) ||
        (value != NULL && added->value == NULL)) {
        free_property(added);
        return MOSQ_ERR_NOMEM;
    }
    while (*list != NULL) {
        list = &(*list)->next;
    }
    *list = added;
    return MOSQ_ERR_SUCCESS;
}

void fake_property_add(mosquitto_property **list, int id, const char *name,
                       const void *value, size_t size) {
    if (id == MQTT_PROP_PAYLOAD_FORMAT_INDICATOR) {
        assert_int_equal(mosquitto_property_add_byte(list, id, *(const uint8_t *)value),
                         MOSQ_ERR_SUCCESS);
        return;
    }
    assert_int_equal(append(list, id, name != NULL && name[0] != '\0' ? name : NULL,
                            size > 0 ? value : NULL, size),
                     MOSQ_ERR_SUCCESS);
}

void fake_user_property_add(mosquitto_property **list, const char *name,
                            const char *value) {
    fake_property_add(list, MQTT_PROP_USER_PROPERTY, name, value, strlen(value));
}

int mosquitto_property_add_byte(mosquitto_property **proplist, int identifier,
                                uint8_t value) {
    int rc = append(proplist, identifier, NULL, NULL, 0);
    mosquitto_property *last = *proplist;
    while (rc == MOSQ_ERR_SUCCESS && last->next != NULL) {
        last = last->next;
    }
    if (rc == MOSQ_ERR_SUCCESS) {
        last->byte = value;
    }
    return rc;
}

int mosquitto_property_add_binary(mosquitto_property **proplist, int identifier,
                                  const void *value, uint16_t len) {
    return append(proplist, identifier, NULL, len > 0 ? value : NULL, len);
}

/* Stands for the real check of UTF-8: no text holds the byte 0xFF. */
static bool is_text(const char *text) {
    return text == NULL || strchr(text, 0xFF) == NULL;
}

int mosquitto_property_add_string(mosquitto_property **proplist, int identifier,
                                  const char *value) {
    if (!is_text(value)) {
        return MOSQ_ERR_MALFORMED_UTF8;
    }
    size_t size = value == NULL ? 0 : strlen(value);
    return append(proplist, identifier, NULL, size > 0 ? value : NULL, size);
}

int mosquitto_property_add_string_pair(mosquitto_property **proplist, int identifier,
                                       const char *name, const char *value) {
    if (!is_text(name)) {
        return MOSQ_ERR_MALFORMED_UTF8;
    }
    return append(proplist, identifier, name, value, value == NULL ? 0 : strlen(value));
}

int mosquitto_property_identifier(const mosquitto_property *property) {
    return property == NULL ? 0 : property->id;
}

const mosquitto_property *mosquitto_property_next(const mosquitto_property *proplist) {
    return proplist == NULL ? NULL : proplist->next;
}

static const mosquitto_property *find(const mosquitto_property *list, int id,
                                      bool skip_first) {
    for (; list != NULL; list = list->next) {
        if (list->id == id && !skip_first) {
            return list;
        }
        skip_first = skip_first && list->id != id;
    }
    return NULL;
}

/* Terminated; never NULL for want of a value, as in the broker. */
static void *read_copy(const char *bytes, size_t size) {
    char *copy = fake_broker_version() >= FAKE_2_0_21 ? mosquitto_calloc(1, size + 1)
                                                      : calloc(1, size + 1);
    if (copy != NULL && size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

static void free_copy(void *copy) {
    if (fake_broker_version() >= FAKE_2_0_21) {
        mosquitto_free(copy);
    } else {
        free(copy);
    }
}

const mosquitto_property *mosquitto_property_read_byte(const mosquitto_property *proplist,
                                                       int identifier, uint8_t *value,
                                                       bool skip_first) {
    const mosquitto_property *found = find(proplist, identifier, skip_first);
    if (found != NULL) {
        *value = found->byte;
    }
    return found;
}

const mosquitto_property *
mosquitto_property_read_binary(const mosquitto_property *proplist, int identifier,
                               void **value, uint16_t *len, bool skip_first) {
    const mosquitto_property *found = find(proplist, identifier, skip_first);
    if (found == NULL) {
        return NULL;
    }
    *len = found->size;
    *value = read_copy(found->value, found->size);
    return *value == NULL ? NULL : found;
}

const mosquitto_property *
mosquitto_property_read_string(const mosquitto_property *proplist, int identifier,
                               char **value, bool skip_first) {
    const mosquitto_property *found = find(proplist, identifier, skip_first);
    if (found == NULL) {
        return NULL;
    }
    *value = read_copy(found->value, found->size);
    return *value == NULL ? NULL : found;
}

const mosquitto_property *
mosquitto_property_read_string_pair(const mosquitto_property *proplist, int identifier,
                                    char **name, char **value, bool skip_first) {
    const mosquitto_property *found = find(proplist, identifier, skip_first);
    if (found == NULL) {
        return NULL;
    }
    *value = NULL;
    *name = read_copy(found->name, found->name == NULL ? 0 : strlen(found->name));
    if (*name == NULL) {
        return NULL;
    }
    *value = read_copy(found->value, found->size);
    if (*value == NULL) {
        free_copy(*name);
        *name = NULL;
        return NULL;
    }
    return found;
}

/* Crashes on strings that came empty (2.0.11), and does not count: nothing for a plugin. */
int mosquitto_property_copy_all(mosquitto_property **dest,
                                const mosquitto_property *src) {
    (void)dest;
    (void)src;
    fail_msg("mosquitto_property_copy_all was called");
    return MOSQ_ERR_NOMEM;
}

static int print_property(char *text, size_t size, const mosquitto_property *property) {
    const char *value = property->value == NULL ? "" : property->value;
    switch (property->id) {
    case MQTT_PROP_USER_PROPERTY:
        return snprintf(text, size, "user:%s=%s",
                        property->name == NULL ? "" : property->name, value);
    case MQTT_PROP_CONTENT_TYPE:
        return snprintf(text, size, "content:%s", value);
    case MQTT_PROP_RESPONSE_TOPIC:
        return snprintf(text, size, "response:%s", value);
    case MQTT_PROP_CORRELATION_DATA:
        return snprintf(text, size, "correlation:%u:%s", property->size, value);
    case MQTT_PROP_PAYLOAD_FORMAT_INDICATOR:
        return snprintf(text, size, "format:%u", property->byte);
    default:
        return snprintf(text, size, "other:%d", property->id);
    }
}

char *fake_properties_text(const mosquitto_property *list) {
    size_t room = 1;
    for (const mosquitto_property *at = list; at != NULL; at = at->next) {
        room += (size_t)print_property(NULL, 0, at) + 1;
    }
    char *text = calloc(1, room);
    size_t length = 0;
    for (; text != NULL && list != NULL; list = list->next) {
        length += (size_t)print_property(text + length, room - length, list);
        if (list->next != NULL) {
            text[length++] = ' ';
        }
    }
    return text;
}
