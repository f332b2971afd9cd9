/* SPDX-License-Identifier: MIT
 * The limit of repeats, with the time as an argument: for the sink, and for tests. */
#ifndef IDEM_BASE_LOG_LIMIT_H
#define IDEM_BASE_LOG_LIMIT_H

#include <idem/log.h>

#include <stdint.h>

#define IDEM_LOG_EVENTS_MAX                                                              \
    128 /* further events are not limited; Idem has half as many */

/* As idem_log_limit_sink, at a time of a clock that never goes back. */
void idem_log_limit_write(struct idem_log_limit *limit, int64_t now_ms,
                          enum idem_log_level level, const char *event, const char *text);

/* As idem_log_limit_flush. */
void idem_log_limit_flush_at(struct idem_log_limit *limit, int64_t now_ms);

#endif
