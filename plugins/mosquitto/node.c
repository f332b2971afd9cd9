/* SPDX-License-Identifier: MIT
 * One idempotent receiver inside the broker. The crash windows of a message are in settle.h. */
#define _XOPEN_SOURCE 700 /* realpath */

#include "node_own.h"

#include "compat.h"

#include <idem/clock.h>
#include <idem/version.h>

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* File scope on purpose: the broker loads the plugin once for each listener that names it, and gives
 * the instances nothing in common. Touched by the broker's thread only. */
static struct idem_node *open_nodes;

static void warn(void *arg, const char *text) {
    idem_log_write(arg, IDEM_LOG_WARNING, "config.warning", "%s", text);
}

/* What the schema accepts for other programs and this adapter cannot do. */
static enum idem_code check_rules(const struct idem_config *config,
                                  struct idem_error *error) {
    for (size_t i = 0; i < config->rules.count; i++) {
        const struct idem_rule *rule = &config->rules.rules[i];
        if (rule->match.queue != NULL || rule->match.routing_key != NULL) {
            continue; /* matches no MQTT message */
        }
        if (rule->policies.on_gap == IDEM_ACTION_HOLD) {
            return idem_error_set(
                error, IDEM_ERR_UNSUPPORTED, 0,
                "%s:%d: sequence.on_gap: rule %s: a broker cannot keep a message back "
                "until others have come; use accept or reject, or hold in idem-bridge",
                config->path, rule->line, rule->name);
        }
    }
    return IDEM_OK;
}

enum idem_code idem_node_load(struct idem_config *config, const char *path,
                              const struct idem_log *log, struct idem_error *error) {
    enum idem_code code =
        idem_config_load(config, path, warn, (void *)(uintptr_t)log, error);
    if (code == IDEM_OK) {
        code = check_rules(config, error);
    }
    return code;
}

static enum idem_code open_store(struct idem_node *node, struct idem_error *error) {
    struct idem_store_options options = {
        .url = node->config.store.url,
        .secret = &node->config.rules.secret,
        .deadline_ms = node->config.store.deadline_ms,
        .recent_keys = node->remote ? node->config.store.recent_keys : 0,
        .patience_ms = node->config.store.deadline_ms / 2,
        .log = node->log,
    };
    return idem_store_open(&node->store, &options, error);
}

static bool delivering(void *arg, const struct idem_digest *digest) {
    const struct idem_node *node = arg;
    return idem_settle_holds(&node->settle, digest) ||
           idem_park_holds(&node->intake.park, digest);
}

static enum idem_code open_receiver(struct idem_node *node, struct idem_error *error) {
    struct idem_receiver_options options = {
        .store = node->store,
        .rules = &node->config.rules,
        .instance = node->config.instance,
        .log = node->log,
        .delivering = delivering,
        .delivering_arg = node,
        .room = idem_intake_room,
        .room_arg = &node->intake,
        .completes_unprotected = node->remote,
    };
    return idem_receiver_open(&node->receiver, &options, error);
}

static enum idem_code no_memory(struct idem_error *error) {
    return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
}

/* PATH.handover, of the first length bytes of path. */
static enum idem_code set_handover_path(struct idem_node *node, const char *path,
                                        int length, struct idem_error *error) {
    size_t size = (size_t)length + sizeof ".handover";
    node->handover_path = malloc(size);
    if (node->handover_path == NULL) {
        return no_memory(error);
    }
    (void)snprintf(node->handover_path, size, "%.*s.handover", length, path);
    return IDEM_OK;
}

/* Where the messages wait that a clean stop would throw away: as configured, or beside the embedded store,
 * or, for a store that is elsewhere, beside the configuration. The memory store keeps nothing. */
static enum idem_code name_handover(struct idem_node *node, struct idem_error *error) {
    static const char embedded[] = "embedded://";
    const char *url = node->config.store.url;
    bool is_embedded = strncmp(url, embedded, sizeof embedded - 1) == 0;
    node->remote = idem_store_url_is_remote(url);
    if (node->config.mqtt.handover != NULL) {
        node->handover_path = strdup(node->config.mqtt.handover);
        return node->handover_path != NULL ? IDEM_OK : no_memory(error);
    }
    if (is_embedded) {
        const char *path = url + sizeof embedded - 1;
        return set_handover_path(node, path, (int)strcspn(path, "?"), error);
    }
    return node->remote
               ? set_handover_path(node, node->path, (int)strlen(node->path), error)
               : IDEM_OK;
}

/* Better to hear of it now than at the stop. */
static void check_handover(const struct idem_node *node) {
    char copy[PATH_MAX];
    if (!node->remote || node->handover_path == NULL) {
        return;
    }
    (void)snprintf(copy, sizeof copy, "%s", node->handover_path);
    if (access(dirname(copy), W_OK | X_OK) != 0) {
        idem_log_write(
            &node->log, IDEM_LOG_WARNING, "handover.unwritable",
            "%s could not be written: messages that wait for the store when "
            "the broker is stopped would be lost; name a file by mqtt.handover",
            node->handover_path);
    }
}

/* A file that cannot be read is no reason to keep a broker from starting: it is reported and set aside.
 * Being out of memory is one, see handover.h. */
static enum idem_code publish_handovers(struct idem_node *node,
                                        struct idem_error *error) {
    struct idem_error why = IDEM_ERROR_INIT;
    size_t count = 0;
    if (node->handover_path == NULL) {
        return IDEM_OK;
    }
    enum idem_code code = idem_handover_publish(node->handover_path, &count, &why);
    if (code == IDEM_ERR_NOMEM) {
        return idem_error_set(error, code, 0, "%s", why.text);
    }
    if (code != IDEM_OK) {
        idem_log_write(&node->log, IDEM_LOG_ERROR, "handover.unread", "%s", why.text);
    } else if (count > 0) {
        idem_log_write(&node->log, IDEM_LOG_NOTICE, "handover.published",
                       "%zu messages that the last stop had left in the broker's queue",
                       count);
    }
    node->handover_open = count > 0;
    return IDEM_OK;
}

void idem_node_remove_handovers(struct idem_node *node) {
    if (!node->handover_open) {
        return;
    }
    struct idem_error error = IDEM_ERROR_INIT; /* to clear it costs more than to look */
    node->handover_open = false;
    if (idem_handover_remove(node->handover_path, &error) != IDEM_OK) {
        idem_log_write(&node->log, IDEM_LOG_ERROR, "handover.not_removed", "%s",
                       error.text);
    }
}

static bool save_handovers(void *arg, const struct idem_handover *const *handovers,
                           size_t count) {
    struct idem_node *node = arg;
    struct idem_error error = IDEM_ERROR_INIT;
    if (node->handover_path != NULL &&
        idem_handover_save(node->handover_path, handovers, count, &error) == IDEM_OK) {
        idem_log_write(&node->log, IDEM_LOG_NOTICE, "handover.saved",
                       "%zu messages wait for the next start", count);
        return true;
    }
    idem_log_write(
        &node->log, IDEM_LOG_ERROR, "handover.lost",
        "%zu messages were in the broker's queue when it stopped and are lost: %s", count,
        node->handover_path == NULL ? "the store keeps nothing" : error.text);
    return false;
}

static void node_close(struct idem_node *node) {
    idem_control_stop(&node->control);
    if (node->receiver != NULL) {
        idem_intake_stop(&node->intake, idem_clock_wall_ms());
        idem_settle_stop(&node->settle, idem_clock_wall_ms(), save_handovers, node);
        idem_settle_fini(&node->settle);
        idem_receiver_close(node->receiver);
    }
    idem_intake_fini(&node->intake);
    idem_replay_fini(&node->replay);
    free(node->handover_path);
    idem_store_close(node->store);
    idem_figures_fini(&node->figures);
    idem_config_fini(&node->config);
    idem_log_limit_close(node->limit);
    idem_broker_log_fini(&node->broker_log);
    free(node->path);
    free(node);
}

static enum idem_code start_intake(struct idem_node *node, struct idem_error *error) {
    idem_settle_init(&node->settle, node->receiver);
    idem_intake_configure(&node->intake, &node->config);
    idem_replay_configure(&node->replay, node->receiver, &node->config);
    return idem_intake_start(&node->intake, node->receiver, error);
}

static void open_control(struct idem_node *node) {
    node->control.mode = node->config.mqtt.control;
    node->control.receiver = node->receiver;
    node->control.store = node->store;
    node->control.rules = &node->config.rules;
    node->control.log = &node->log;
    node->control.figures = idem_node_figures;
    node->control.figures_arg = node;
}

/* Store, intake and receiver: in this order, since each needs the one before. */
static enum idem_code open_all(struct idem_node *node, struct idem_error *error) {
    enum idem_code code = open_store(node, error);
    if (code == IDEM_OK) {
        idem_replay_init(&node->replay, &node->settle);
        idem_intake_init(&node->intake, node->store, node->remote, &node->settle,
                         &node->replay, &node->log);
        code = open_receiver(node, error);
    }
    open_control(node);
    return code == IDEM_OK ? start_intake(node, error) : code;
}

static enum idem_code node_start(struct idem_node *node, struct idem_error *error) {
    enum idem_code code = idem_digest_init(error);
    idem_compat_learn();
    if (code == IDEM_OK) {
        code = idem_node_load(&node->config, node->path, &node->log, error);
    }
    if (code == IDEM_OK) {
        node->log.level = node->config.log.level;
        code = name_handover(node, error);
    }
    if (code == IDEM_OK) {
        check_handover(node);
        code = open_all(node, error);
    }
    if (code == IDEM_OK) {
        idem_figures_init(&node->figures, node->config.mqtt.sys_interval_ms);
        node->started_ns = idem_clock_monotonic_ns();
        code = publish_handovers(node, error);
    }
    if (code == IDEM_OK) {
        idem_log_write(&node->log, IDEM_LOG_NOTICE, "plugin.started",
                       "version %s, instance %s, %zu rules, store %s", IDEM_VERSION,
                       node->config.instance, node->config.rules.count,
                       node->store->ops->name);
    }
    return code;
}

/* Each of their lines tells of something else: none is a repeat. */
static const char *const each_counts[] = {"config.warning", "key.forget", "rule.disabled",
                                          "rule.enabled", NULL};

static enum idem_code open_log(struct idem_node *node, struct idem_error *error) {
    const struct idem_log plain = {.sink = idem_broker_log_sink,
                                   .context = &node->broker_log};
    idem_broker_log_init(&node->broker_log);
    enum idem_code code = idem_log_limit_open(&node->limit, &plain, each_counts, error);
    node->log.sink = code == IDEM_OK ? idem_log_limit_sink : NULL;
    node->log.context = node->limit;
    node->log.level = IDEM_LOG_INFO;
    return code;
}

static enum idem_code node_open(struct idem_node **node, char *path,
                                struct idem_error *error) {
    struct idem_node *opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        free(path);
        (void)idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
        return IDEM_ERR_NOMEM;
    }
    opened->path = path;
    enum idem_code code = open_log(opened, error);
    if (code == IDEM_OK) {
        code = node_start(opened, error);
    }
    if (code != IDEM_OK) {
        node_close(opened);
        return code;
    }
    *node = opened;
    return IDEM_OK;
}

static struct idem_node *find_open(const char *path) {
    for (struct idem_node *node = open_nodes; node != NULL; node = node->next) {
        if (strcmp(node->path, path) == 0) {
            return node;
        }
    }
    return NULL;
}

enum idem_code idem_node_acquire(struct idem_node **node, const char *config_path,
                                 bool *first, struct idem_error *error) {
    char *path = realpath(config_path, NULL);
    if (path == NULL) {
        return idem_error_set(error, IDEM_ERR_IO, errno, "%s: cannot be read: %s",
                              config_path, strerror(errno));
    }
    struct idem_node *open = find_open(path);
    *first = open == NULL;
    if (open != NULL) {
        free(path);
    } else {
        enum idem_code code = node_open(&open, path, error);
        if (code != IDEM_OK) {
            return code;
        }
        open->next = open_nodes;
        open_nodes = open;
    }
    open->users++;
    *node = open;
    return IDEM_OK;
}

void idem_node_release(struct idem_node *node) {
    if (node == NULL || --node->users > 0) {
        return;
    }
    for (struct idem_node **at = &open_nodes; *at != NULL; at = &(*at)->next) {
        if (*at == node) {
            *at = node->next;
            break;
        }
    }
    node_close(node);
}
