/* SPDX-License-Identifier: MIT
 * Repeats of a log line are counted, not written: a store that fails a hundred thousand times a second must
 * not fill the disk with that news. */
#include "base/log_limit.h"

#include <idem/clock.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_MAX 64 /* a longer name is not limited */

struct entry {
    char event[EVENT_MAX];
    enum idem_log_level level;
    int64_t since_ms; /* of the first line of this interval */
    unsigned passed;
    unsigned long long held;
};

struct idem_log_limit {
    struct idem_log next;
    const char *const *each;
    atomic_bool holds;     /* some line is counted and not told of */
    pthread_mutex_t mutex; /* guards what follows, and keeps lines in order */
    size_t count;
    struct entry entries[IDEM_LOG_EVENTS_MAX];
};

enum idem_code idem_log_limit_open(struct idem_log_limit **limit,
                                   const struct idem_log *next, const char *const *each,
                                   struct idem_error *error) {
    struct idem_log_limit *opened = calloc(1, sizeof *opened);
    *limit = NULL;
    if (opened == NULL || pthread_mutex_init(&opened->mutex, NULL) != 0) {
        free(opened);
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    opened->next = *next;
    opened->each = each;
    *limit = opened;
    return IDEM_OK;
}

static bool is_exempt(const struct idem_log_limit *limit, const char *event) {
    for (const char *const *each = limit->each; each != NULL && *each != NULL; each++) {
        if (strcmp(*each, event) == 0) {
            return true;
        }
    }
    return strlen(event) >= EVENT_MAX;
}

/* NULL where there is no room for one more. */
static struct entry *entry_of(struct idem_log_limit *limit, const char *event,
                              int64_t now_ms) {
    for (size_t i = 0; i < limit->count; i++) {
        if (strcmp(limit->entries[i].event, event) == 0) {
            return &limit->entries[i];
        }
    }
    if (limit->count == IDEM_LOG_EVENTS_MAX) {
        return NULL;
    }
    struct entry *entry = &limit->entries[limit->count++];
    (void)snprintf(entry->event, sizeof entry->event, "%s", event);
    entry->since_ms = now_ms;
    return entry;
}

static bool is_over(const struct entry *entry, int64_t now_ms) {
    return now_ms - entry->since_ms >= IDEM_LOG_INTERVAL_MS;
}

/* "1,204": these numbers are for people. */
static void with_commas(unsigned long long number, char *out, size_t size) {
    char digits[32];
    int count = snprintf(digits, sizeof digits, "%llu", number);
    size_t at = 0;
    for (int i = 0; i < count && at + 2 < size; i++) {
        if (i > 0 && (count - i) % 3 == 0) {
            out[at++] = ',';
        }
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

/* The next line of this event begins an interval. */
static void end_interval(struct idem_log_limit *limit, struct entry *entry,
                         int64_t now_ms) {
    char number[48];
    char text[96];
    if (entry->held > 0) {
        with_commas(entry->held, number, sizeof number);
        (void)snprintf(text, sizeof text, "... %s more in %lld s", number,
                       (long long)(now_ms - entry->since_ms + 999) / 1000);
        limit->next.sink(limit->next.context, entry->level, entry->event, text);
    }
    entry->held = 0;
    entry->passed = 0;
    entry->since_ms = now_ms;
}

static void flush(struct idem_log_limit *limit, int64_t now_ms) {
    bool holds = false;
    if (!atomic_load_explicit(&limit->holds, memory_order_relaxed)) {
        return;
    }
    for (size_t i = 0; i < limit->count; i++) {
        if (limit->entries[i].held > 0 && is_over(&limit->entries[i], now_ms)) {
            end_interval(limit, &limit->entries[i], now_ms);
        }
        holds = holds || limit->entries[i].held > 0;
    }
    atomic_store_explicit(&limit->holds, holds, memory_order_relaxed);
}

void idem_log_limit_write(struct idem_log_limit *limit, int64_t now_ms,
                          enum idem_log_level level, const char *event,
                          const char *text) {
    (void)pthread_mutex_lock(&limit->mutex);
    flush(limit, now_ms);
    struct entry *entry = is_exempt(limit, event) ? NULL : entry_of(limit, event, now_ms);
    if (entry != NULL && is_over(entry, now_ms)) {
        end_interval(limit, entry, now_ms);
    }
    if (entry == NULL || entry->passed < IDEM_LOG_BURST) {
        if (entry != NULL) {
            entry->passed++;
        }
        limit->next.sink(limit->next.context, level, event, text);
    } else {
        entry->level = level;
        entry->held++;
        atomic_store_explicit(&limit->holds, true, memory_order_relaxed);
    }
    (void)pthread_mutex_unlock(&limit->mutex);
}

void idem_log_limit_flush_at(struct idem_log_limit *limit, int64_t now_ms) {
    (void)pthread_mutex_lock(&limit->mutex);
    flush(limit, now_ms);
    (void)pthread_mutex_unlock(&limit->mutex);
}

static int64_t now(void) {
    return idem_clock_monotonic_ns() / 1000000;
}

void idem_log_limit_sink(void *context, enum idem_log_level level, const char *event,
                         const char *text) {
    idem_log_limit_write(context, now(), level, event, text);
}

void idem_log_limit_flush(struct idem_log_limit *limit) {
    if (atomic_load_explicit(&limit->holds, memory_order_relaxed)) {
        idem_log_limit_flush_at(limit, now());
    }
}

void idem_log_limit_close(struct idem_log_limit *limit) {
    if (limit == NULL) {
        return;
    }
    int64_t now_ms = now();
    for (size_t i = 0; i < limit->count; i++) {
        end_interval(limit, &limit->entries[i], now_ms);
    }
    (void)pthread_mutex_destroy(&limit->mutex);
    free(limit);
}
