/* SPDX-License-Identifier: MIT
 * The only place that asks the clock. Everything else is told the time, so that tests
 * move it by hand. None of these fails or blocks; any thread may call them. */
#ifndef IDEM_CLOCK_H
#define IDEM_CLOCK_H

#include <idem/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Milliseconds since 1970-01-01 UTC, as of the system's last timer interrupt: up to ten
 * of them ago. Records keep wall-clock times, since they outlive processes. */
IDEM_API int64_t idem_clock_wall_ms(void);

/* Nanoseconds of a clock that never goes back: for measuring and for deadlines inside
 * one process. */
IDEM_API int64_t idem_clock_monotonic_ns(void);

/* Nanoseconds of the processor that the calling thread has taken: for work that must be
 * paced. */
IDEM_API int64_t idem_clock_thread_ns(void);

#ifdef __cplusplus
}
#endif

#endif
