/* SPDX-License-Identifier: MIT
 * The limit of repeats: what passes, what is counted, and that nothing is forgotten, under threads too. */
#include "base/log_limit.h"

#include "testing.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    unsigned lines;
    enum idem_log_level level;
    char event[64];
    char text[128];
    unsigned long long told; /* the sum of all "... N more" */
} heard;

static struct idem_log_limit *limit;

static unsigned long long number_in(const char *text) {
    unsigned long long number = 0;
    for (; *text != '\0' && *text != 'm'; text++) {
        if (*text >= '0' && *text <= '9') {
            number = number * 10 + (unsigned)(*text - '0');
        }
    }
    return number;
}

static void hear(void *context, enum idem_log_level level, const char *event,
                 const char *text) {
    (void)context;
    heard.level = level;
    (void)snprintf(heard.event, sizeof heard.event, "%s", event);
    (void)snprintf(heard.text, sizeof heard.text, "%s", text);
    if (strncmp(text, "... ", 4) == 0) {
        heard.told += number_in(text);
    } else {
        heard.lines++;
    }
}

static int open_limit(void **state) {
    static const char *const each[] = {"copy.in_doubt", NULL};
    const struct idem_log next = {.sink = hear};
    struct idem_error error = IDEM_ERROR_INIT;
    (void)state;
    memset(&heard, 0, sizeof heard);
    return idem_log_limit_open(&limit, &next, each, &error) == IDEM_OK ? 0 : -1;
}

static int close_limit(void **state) {
    (void)state;
    idem_log_limit_close(limit);
    limit = NULL;
    return 0;
}

static void write_many(const char *event, unsigned count, int64_t now_ms) {
    for (unsigned i = 0; i < count; i++) {
        idem_log_limit_write(limit, now_ms, IDEM_LOG_WARNING, event, "it failed");
    }
}

static void the_first_lines_of_an_event_pass(void **state) {
    (void)state;
    write_many("store.claim", IDEM_LOG_BURST, 5000);
    assert_int_equal(heard.lines, IDEM_LOG_BURST);
    write_many("store.claim", 1, 5000);
    assert_int_equal(heard.lines, IDEM_LOG_BURST);
}

static void one_event_does_not_silence_another(void **state) {
    (void)state;
    write_many("store.claim", 100, 0);
    write_many("link.lost", 1, 0);
    assert_int_equal(heard.lines, IDEM_LOG_BURST + 1);
    assert_string_equal(heard.event, "link.lost");
}

static void the_next_line_after_the_interval_tells_how_many_there_were(void **state) {
    (void)state;
    write_many("store.claim", IDEM_LOG_BURST + 1204, 0);
    write_many("store.claim", 1, IDEM_LOG_INTERVAL_MS - 1);
    assert_int_equal(heard.told, 0);
    write_many("link.lost", 1, IDEM_LOG_INTERVAL_MS);
    assert_int_equal(heard.told, 1205);
    assert_int_equal(heard.lines, IDEM_LOG_BURST + 1);
    write_many("store.claim", 1, IDEM_LOG_INTERVAL_MS);
    assert_int_equal(heard.lines, IDEM_LOG_BURST + 2);
}

static void the_sum_is_a_line_of_the_same_event_and_level(void **state) {
    (void)state;
    write_many("store.claim", IDEM_LOG_BURST + 1204, 0);
    idem_log_limit_flush_at(limit, IDEM_LOG_INTERVAL_MS);
    assert_string_equal(heard.event, "store.claim");
    assert_int_equal(heard.level, IDEM_LOG_WARNING);
    assert_string_equal(heard.text, "... 1,204 more in 10 s");
}

static void a_flush_before_the_end_of_the_interval_says_nothing(void **state) {
    (void)state;
    write_many("store.claim", IDEM_LOG_BURST + 5, 0);
    idem_log_limit_flush_at(limit, IDEM_LOG_INTERVAL_MS - 1);
    assert_int_equal(heard.told, 0);
}

static void closing_tells_the_rest(void **state) {
    write_many("store.claim", IDEM_LOG_BURST + 5, 0);
    close_limit(state);
    assert_int_equal(heard.told, 5);
}

static void an_event_each_line_of_which_counts_is_not_limited(void **state) {
    (void)state;
    write_many("copy.in_doubt", 1000, 0);
    assert_int_equal(heard.lines, 1000);
}

static void more_events_than_there_is_room_for_pass(void **state) {
    (void)state;
    char event[32];
    for (unsigned i = 0; i < 2 * IDEM_LOG_EVENTS_MAX; i++) {
        (void)snprintf(event, sizeof event, "event.%u", i);
        write_many(event, 1, 0);
    }
    assert_int_equal(heard.lines, 2 * IDEM_LOG_EVENTS_MAX);
    char long_name[256];
    memset(long_name, 'e', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    write_many(long_name, 1, 0);
    assert_int_equal(heard.lines, 2 * IDEM_LOG_EVENTS_MAX + 1);
}

#define THREADS 4
#define EACH    5000

static void *write_lines(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < EACH; i++) {
        idem_log_limit_sink(limit, IDEM_LOG_WARNING, "store.claim", "it failed");
        idem_log_limit_flush(limit);
    }
    return NULL;
}

static void with_many_threads_every_line_is_written_or_counted(void **state) {
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    close_limit(state);
    assert_int_equal(heard.lines + heard.told, THREADS * EACH);
}

#define LIMITED(test) cmocka_unit_test_setup_teardown(test, open_limit, close_limit)

int main(void) {
    const struct CMUnitTest tests[] = {
        LIMITED(the_first_lines_of_an_event_pass),
        LIMITED(one_event_does_not_silence_another),
        LIMITED(the_next_line_after_the_interval_tells_how_many_there_were),
        LIMITED(the_sum_is_a_line_of_the_same_event_and_level),
        LIMITED(a_flush_before_the_end_of_the_interval_says_nothing),
        LIMITED(closing_tells_the_rest),
        LIMITED(an_event_each_line_of_which_counts_is_not_limited),
        LIMITED(more_events_than_there_is_room_for_pass),
        LIMITED(with_many_threads_every_line_is_written_or_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
