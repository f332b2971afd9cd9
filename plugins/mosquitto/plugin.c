/* SPDX-License-Identifier: MIT
 * What Mosquitto loads: registers a table of hooks, and takes them back in reverse. */
#include "control.h"
#include "node.h"

#include <mosquitto.h>
#include <mosquitto_plugin.h>
#include <stdlib.h>
#include <string.h>

struct instance {
    struct idem_node *node;
    mosquitto_plugin_id_t *identifier;
    /* Of the instances that share a node, one counts the turns of the loop. */
    bool counts_turns;
    bool has_control; /* its callback is the one of the control topic */
};

static int on_message(int event, void *data, void *userdata) {
    (void)event;
    return idem_node_on_message(((struct instance *)userdata)->node, data);
}

static int on_tick(int event, void *data, void *userdata) {
    (void)event;
    (void)data;
    struct instance *instance = userdata;
    return idem_node_on_tick(instance->node, instance->counts_turns);
}

static int on_disconnect(int event, void *data, void *userdata) {
    (void)event;
    return idem_node_on_disconnect(((struct instance *)userdata)->node, data);
}

static int on_reload(int event, void *data, void *userdata) {
    (void)event;
    (void)data;
    return idem_node_on_reload(((struct instance *)userdata)->node);
}

static int on_control(int event, void *data, void *userdata) {
    (void)event;
    return idem_node_on_control(((struct instance *)userdata)->node, data);
}

static const struct {
    int event;
    MOSQ_FUNC_generic_callback callback;
} hooks[] = {
    {MOSQ_EVT_MESSAGE, on_message},
    {MOSQ_EVT_TICK, on_tick},
    {MOSQ_EVT_DISCONNECT, on_disconnect},
    {MOSQ_EVT_RELOAD, on_reload},
};
#define HOOK_COUNT (sizeof hooks / sizeof hooks[0])

/* Messages are judged without it as well: so it is no reason not to start. Under settings that all listeners
 * share, the first instance answers for all of them. */
static void register_control(struct instance *instance) {
    int rc = mosquitto_callback_register(instance->identifier, MOSQ_EVT_CONTROL,
                                         on_control, IDEM_CONTROL_TOPIC, instance);
    instance->has_control = rc == MOSQ_ERR_SUCCESS;
    if (rc != MOSQ_ERR_SUCCESS && instance->counts_turns) {
        mosquitto_log_printf(
            MOSQ_LOG_WARNING,
            "idem: control.impossible: the broker gives " IDEM_CONTROL_TOPIC
            " to somebody else, or to nobody: %s",
            mosquitto_strerror(rc));
    }
}

static void unregister_control(struct instance *instance) {
    if (instance->has_control) {
        (void)mosquitto_callback_unregister(instance->identifier, MOSQ_EVT_CONTROL,
                                            on_control, IDEM_CONTROL_TOPIC);
    }
}

static void unregister(struct instance *instance, size_t count) {
    while (count > 0) {
        count--;
        (void)mosquitto_callback_unregister(instance->identifier, hooks[count].event,
                                            hooks[count].callback, NULL);
    }
}

static int register_all(struct instance *instance) {
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        int rc = mosquitto_callback_register(instance->identifier, hooks[i].event,
                                             hooks[i].callback, NULL, instance);
        if (rc != MOSQ_ERR_SUCCESS) {
            unregister(instance, i);
            return rc;
        }
    }
    return MOSQ_ERR_SUCCESS;
}

/* The one option there is; NULL, and a line in the log, where the options are not right. */
static const char *config_path(const struct mosquitto_opt *options, int count) {
    const char *path = NULL;
    for (int i = 0; i < count; i++) {
        if (strcmp(options[i].key, "config") != 0) {
            mosquitto_log_printf(MOSQ_LOG_ERR,
                                 "idem: unknown option plugin_opt_%s; the only one is "
                                 "plugin_opt_config PATH",
                                 options[i].key);
            return NULL;
        }
        path = options[i].value;
    }
    if (path == NULL) {
        mosquitto_log_printf(MOSQ_LOG_ERR,
                             "idem: the configuration file is not named; add "
                             "\"plugin_opt_config PATH\" below the plugin line");
    }
    return path;
}

/* The broker asks which interface version is spoken: 5 is the one of Mosquitto 2.x. */
IDEM_API int mosquitto_plugin_version(int supported_version_count,
                                      const int *supported_versions) {
    for (int i = 0; i < supported_version_count; i++) {
        if (supported_versions[i] == 5) {
            return 5;
        }
    }
    return -1;
}

IDEM_API int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata,
                                   struct mosquitto_opt *options, int option_count) {
    struct idem_error error = IDEM_ERROR_INIT;
    const char *path = config_path(options, option_count);
    if (path == NULL) {
        return MOSQ_ERR_INVAL;
    }
    struct instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    instance->identifier = identifier;
    if (idem_node_acquire(&instance->node, path, &instance->counts_turns, &error) !=
        IDEM_OK) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "idem: %s", error.text);
        free(instance);
        return MOSQ_ERR_UNKNOWN;
    }
    int rc = register_all(instance);
    if (rc != MOSQ_ERR_SUCCESS) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "idem: the broker refused a callback: %s",
                             mosquitto_strerror(rc));
        idem_node_release(instance->node);
        free(instance);
        return rc;
    }
    register_control(instance);
    *userdata = instance;
    return MOSQ_ERR_SUCCESS;
}

IDEM_API int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options,
                                      int option_count) {
    (void)options;
    (void)option_count;
    struct instance *instance = userdata;
    if (instance != NULL) {
        unregister_control(instance);
        unregister(instance, HOOK_COUNT);
        idem_node_release(instance->node);
        free(instance);
    }
    return MOSQ_ERR_SUCCESS;
}
