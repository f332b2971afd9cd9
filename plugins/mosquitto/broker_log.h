/* SPDX-License-Identifier: MIT
 * Log lines of any thread into the broker's log, which only the broker's own thread may write. */
#ifndef IDEM_MOSQUITTO_BROKER_LOG_H
#define IDEM_MOSQUITTO_BROKER_LOG_H

#include <idem/log.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define IDEM_LOG_WAITING_MAX 32
#define IDEM_LOG_LINE_MAX    512

struct idem_broker_log {
    pthread_t broker_thread;
    pthread_mutex_t mutex; /* guards what follows */
    atomic_bool any;
    size_t count;
    size_t lost;
    struct {
        enum idem_log_level level;
        char text[IDEM_LOG_LINE_MAX];
    } lines[IDEM_LOG_WAITING_MAX];
};

/* To be called on the broker's thread. */
void idem_broker_log_init(struct idem_broker_log *log);
void idem_broker_log_fini(struct idem_broker_log *log);

/* An idem_log_sink; context is the struct. On another thread than the broker's the line waits. */
void idem_broker_log_sink(void *context, enum idem_log_level level, const char *event,
                          const char *text);

/* Writes the lines that wait. Cheap when there are none. Broker's thread only. */
void idem_broker_log_flush(struct idem_broker_log *log);

#endif
