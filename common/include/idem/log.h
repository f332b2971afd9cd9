/* SPDX-License-Identifier: MIT
 * Log lines leave the core through one function that the program supplies. No payloads, no secrets. */
#ifndef IDEM_LOG_H
#define IDEM_LOG_H

#include <idem/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum idem_log_level {
    IDEM_LOG_ERROR,
    IDEM_LOG_WARNING,
    IDEM_LOG_NOTICE,
    IDEM_LOG_INFO,
    IDEM_LOG_DEBUG,
    IDEM_LOG_LEVEL_COUNT
};

enum idem_log_format {
    IDEM_LOG_TEXT,
    IDEM_LOG_JSON,
};

/* event is a stable name, such as "store.full"; text is one line without a newline; both are borrowed.
 * Called from any thread that Idem runs: it must be safe for that and must not call back into Idem. */
typedef void idem_log_sink(void *context, enum idem_log_level level, const char *event,
                           const char *text);

struct idem_log {
    idem_log_sink *sink; /* NULL: nothing is logged */
    void *context;
    enum idem_log_level level; /* lines above this level are not formatted at all */
};

/* log may be NULL. Formats at most 1 KiB; longer lines end in "...". Blocks as long as the sink does. Any
 * thread. */
IDEM_API void idem_log_write(const struct idem_log *log, enum idem_log_level level,
                             const char *event, const char *format, ...)
    IDEM_PRINTF(4, 5);

/* "error", "warning", ...; static. */
IDEM_API const char *idem_log_level_name(enum idem_log_level level);

/* A sink that writes to standard error; context is a const enum idem_log_format *, NULL for text. */
IDEM_API void idem_log_stderr(void *context, enum idem_log_level level, const char *event,
                              const char *text);

/* Repeats, limited: of the lines of one event (and of any text) the first IDEM_LOG_BURST in an interval pass;
 * the others are counted, and a line "... 1,204 more in 10 s" tells of them. A program puts this in
 * front of its sink; without it there is a line for each failure. */
#define IDEM_LOG_BURST       20
#define IDEM_LOG_INTERVAL_MS 10000

struct idem_log_limit;

/* What passes goes to next->sink, which is called by one thread at a time. each: events that are not limited, since each
 * line of theirs tells of something else; ends in NULL, borrowed until the close; or NULL. *limit is
 * closed by idem_log_limit_close. Codes: NOMEM. */
IDEM_MUST_USE IDEM_API enum idem_code idem_log_limit_open(struct idem_log_limit **limit,
                                                          const struct idem_log *next,
                                                          const char *const *each,
                                                          struct idem_error *error);

/* An idem_log_sink; context is the struct idem_log_limit. Any thread. */
IDEM_API void idem_log_limit_sink(void *context, enum idem_log_level level,
                                  const char *event, const char *text);

/* Tells of what was counted in intervals that are over; the next line of any event does the same. For a
 * program that may fall silent: call it every few seconds. Costs nothing where nothing is counted. Any
 * thread. */
IDEM_API void idem_log_limit_flush(struct idem_log_limit *limit);

/* Tells of all that was counted. Nobody may write any more. NULL is accepted. */
IDEM_API void idem_log_limit_close(struct idem_log_limit *limit);

#ifdef __cplusplus
}
#endif

#endif
