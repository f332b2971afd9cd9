/* SPDX-License-Identifier: MIT
 * The one file that asks the operating system for the time. */
#define _DEFAULT_SOURCE /* CLOCK_REALTIME_COARSE */

#include <idem/clock.h>

#include <time.h>

/* Read for every message, and a few milliseconds late is early enough for a time to live. */
#ifdef CLOCK_REALTIME_COARSE
#define WALL_CLOCK CLOCK_REALTIME_COARSE
#else
#define WALL_CLOCK CLOCK_REALTIME
#endif

int64_t idem_clock_wall_ms(void) {
    struct timespec now;
    (void)clock_gettime(WALL_CLOCK, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t idem_clock_monotonic_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t idem_clock_thread_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
