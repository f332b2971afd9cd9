/* SPDX-License-Identifier: MIT
 * The examples as they ship, made to run on the brokers of a test. */
#include "profile.h"
#include "files.h"

#include <idem/clock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t clock_ms(void) {
    return idem_clock_monotonic_ns() / 1000000;
}

char *profile_change(char *text, const char *from, const char *to) {
    if (strstr(text, from) == NULL) {
        fail_msg("no '%s' in the profile", from);
    }
    char *changed = files_replace(text, from, to);
    free(text);
    return changed;
}

char *profile_read(const char *name) {
    char path[FILES_PATH_MAX];
    (void)snprintf(path, sizeof path, "examples/%s", name);
    char *text = files_read(path);
    text = profile_change(text, "embedded:///var/lib/idem/", "embedded://@DIR@/");
    char *own = files_replace(text, "amqp://guest:guest@127.0.0.1:5672/%2f",
                              "amqp://127.0.0.1:@PORT@");
    free(text);
    return own;
}

int64_t profile_repeat_until_delivered(bool send(void *arg), void *arg) {
    int64_t deadline = testing_deadline();
    int64_t started_ms = clock_ms();
    while (!send(arg)) {
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("no copy is delivered again");
        }
        testing_pause();
    }
    return clock_ms() - started_ms;
}

bool profile_none_is_delivered(bool send(void *arg), void restart(void *arg), void *arg,
                               int64_t for_ms, int64_t gap_ms) {
    int64_t deadline = testing_deadline();
    int64_t first_ms = clock_ms();
    int64_t last_ms = first_ms;
    while (last_ms - first_ms < for_ms && testing_remaining_ms(deadline) > 0) {
        bool delivered = send(arg);
        int64_t now_ms = clock_ms();
        if (now_ms - last_ms > gap_ms) {
            restart(arg);
            first_ms = now_ms = clock_ms();
        } else if (delivered) {
            return false;
        }
        last_ms = now_ms;
        testing_pause();
    }
    return last_ms - first_ms >= for_ms;
}
