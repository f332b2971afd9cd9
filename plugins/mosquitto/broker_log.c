/* SPDX-License-Identifier: MIT
 * Log lines of any thread into the broker's log. */
#include "broker_log.h"

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <stdio.h>

static int broker_level(enum idem_log_level level) {
    switch (level) {
    case IDEM_LOG_ERROR:
        return MOSQ_LOG_ERR;
    case IDEM_LOG_WARNING:
        return MOSQ_LOG_WARNING;
    case IDEM_LOG_NOTICE:
        return MOSQ_LOG_NOTICE;
    case IDEM_LOG_DEBUG:
        return MOSQ_LOG_DEBUG;
    case IDEM_LOG_INFO:
    case IDEM_LOG_LEVEL_COUNT:
        break;
    }
    return MOSQ_LOG_INFO;
}

void idem_broker_log_init(struct idem_broker_log *log) {
    log->broker_thread = pthread_self();
    (void)pthread_mutex_init(&log->mutex, NULL);
    atomic_init(&log->any, false);
    log->count = 0;
    log->lost = 0;
}

void idem_broker_log_fini(struct idem_broker_log *log) {
    idem_broker_log_flush(log);
    (void)pthread_mutex_destroy(&log->mutex);
}

void idem_broker_log_sink(void *context, enum idem_log_level level, const char *event,
                          const char *text) {
    struct idem_broker_log *log = context;
    if (pthread_equal(pthread_self(), log->broker_thread)) {
        mosquitto_log_printf(broker_level(level), "idem: %s: %s", event, text);
        return;
    }
    (void)pthread_mutex_lock(&log->mutex);
    if (log->count < IDEM_LOG_WAITING_MAX) {
        log->lines[log->count].level = level;
        (void)snprintf(log->lines[log->count].text, IDEM_LOG_LINE_MAX, "%s: %s", event,
                       text);
        log->count++;
    } else {
        log->lost++;
    }
    atomic_store_explicit(&log->any, true, memory_order_release);
    (void)pthread_mutex_unlock(&log->mutex);
}

void idem_broker_log_flush(struct idem_broker_log *log) {
    if (!atomic_load_explicit(&log->any, memory_order_acquire)) {
        return;
    }
    (void)pthread_mutex_lock(&log->mutex);
    for (size_t i = 0; i < log->count; i++) {
        mosquitto_log_printf(broker_level(log->lines[i].level), "idem: %s",
                             log->lines[i].text);
    }
    if (log->lost > 0) {
        mosquitto_log_printf(MOSQ_LOG_WARNING, "idem: log.lost: %zu more lines",
                             log->lost);
    }
    log->count = 0;
    log->lost = 0;
    atomic_store_explicit(&log->any, false, memory_order_release);
    (void)pthread_mutex_unlock(&log->mutex);
}
