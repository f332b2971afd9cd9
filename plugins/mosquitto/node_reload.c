/* SPDX-License-Identifier: MIT
 * Taking over a configuration that has changed. */
#include "node_own.h"

static bool same_text(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool needs_restart(const struct idem_config *old,
                          const struct idem_config *config) {
    return !same_text(config->store.url, old->store.url) ||
           !same_text(config->instance, old->instance) ||
           !same_text(config->mqtt.handover, old->mqtt.handover) ||
           config->store.deadline_ms != old->store.deadline_ms ||
           config->store.recent_keys != old->store.recent_keys ||
           memcmp(&config->rules.secret, &old->rules.secret,
                  sizeof(struct idem_secret)) != 0;
}

/* Rules, log level and figures change at once; what names the store or the owner of claims cannot. */
static void adopt(struct idem_node *node, struct idem_config *config) {
    if (needs_restart(&node->config, config)) {
        idem_log_write(&node->log, IDEM_LOG_WARNING, "config.restart_needed",
                       "a change of store.url, store.deadline, store.recent_keys, "
                       "mqtt.handover, instance or secret_file takes effect when the "
                       "broker is restarted");
        config->rules.secret = node->config.rules.secret;
    }
    struct idem_config old = node->config;
    node->config = *config;
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_receiver_set_rules(node->receiver, &node->config.rules, &error) != IDEM_OK) {
        *config = node->config;
        node->config = old;
        idem_log_write(&node->log, IDEM_LOG_ERROR, "config.kept", "%s", error.text);
        return;
    }
    node->log.level = node->config.log.level;
    idem_intake_configure(&node->intake, &node->config);
    idem_replay_configure(&node->replay, node->receiver, &node->config);
    node->figures.interval_ms = node->config.mqtt.sys_interval_ms;
    node->control.mode = node->config.mqtt.control;
    *config = old;
    idem_log_write(&node->log, IDEM_LOG_NOTICE, "config.reloaded", "%zu rules",
                   node->config.rules.count);
}

int idem_node_on_reload(struct idem_node *node) {
    struct idem_config config;
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_node_load(&config, node->path, &node->log, &error) == IDEM_OK) {
        adopt(node, &config);
    } else {
        idem_log_write(&node->log, IDEM_LOG_ERROR, "config.refused",
                       "%s; the old one is kept", error.text);
    }
    idem_config_fini(&config); /* the one that is not in use */
    return MOSQ_ERR_SUCCESS;
}
