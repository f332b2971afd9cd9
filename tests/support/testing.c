/* SPDX-License-Identifier: MIT
 * Deadlines, tidying up, and whether there is a broker to test with. */
#include "testing.h"
#include "broker.h"
#include "mqtt.h"

#include <idem/clock.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

bool testing_valgrind(void) {
    const char *wanted = getenv("IDEM_VALGRIND");
    return wanted != NULL && strcmp(wanted, "1") == 0;
}

bool testing_instrumented(void) {
    return SANITIZED != 0 || testing_valgrind();
}

int64_t testing_deadline_ms(void) {
    return testing_instrumented() ? 60000 : 30000; /* longer than any back-off */
}

int64_t testing_deadline(void) {
    return idem_clock_monotonic_ns() + testing_deadline_ms() * 1000000;
}

int testing_remaining_ms(int64_t deadline_ns) {
    int64_t left_ms = (deadline_ns - idem_clock_monotonic_ns()) / 1000000;
    return left_ms > 0 ? (int)left_ms : 0;
}

void testing_pause(void) {
    struct timespec left = {.tv_nsec = 2000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

int testing_tidy(void **state) {
    (void)state;
    mqtt_tidy();
    return broker_tidy(false) ? 0 : -1;
}

int testing_tidy_group(void **state) {
    (void)state;
    mqtt_tidy();
    return broker_tidy(true) ? 0 : -1;
}

bool testing_cannot_run(int *status) {
    if (broker_installed()) {
        return false;
    }
    const char *ci = getenv("CI");
    if (ci != NULL && strcmp(ci, "true") == 0) {
        (void)fprintf(stderr, "mosquitto is not installed, and in CI it has to be\n");
        *status = EXIT_FAILURE;
    } else {
        (void)fprintf(stderr, "skipped: mosquitto is not installed\n");
        *status = TESTING_SKIPPED;
    }
    return true;
}
