/* SPDX-License-Identifier: MIT
 * Lines of other threads reach the broker's log on the broker's thread, in order, and none in silence. */
#include "broker_log.h"

#include "fake_broker.h"

#include <stdio.h>
#include <string.h>

static struct idem_broker_log broker_log;

static int start(void **state) {
    (void)state;
    fake_broker_start(FAKE_2_0_11);
    idem_broker_log_init(&broker_log);
    return 0;
}

static int stop(void **state) {
    (void)state;
    idem_broker_log_fini(&broker_log);
    fake_broker_stop();
    return 0;
}

struct writing {
    size_t count;
    size_t size; /* of each text; 0: its number */
};

static void *write_lines(void *arg) {
    const struct writing *writing = arg;
    char text[2 * IDEM_LOG_LINE_MAX];
    for (size_t i = 0; i < writing->count; i++) {
        (void)snprintf(text, sizeof text, "%zu", i);
        if (writing->size > 0) {
            memset(text, 'x', writing->size);
            text[writing->size] = '\0';
        }
        idem_broker_log_sink(&broker_log, IDEM_LOG_ERROR, "store.full", text);
    }
    return NULL;
}

static void write_on_another_thread(size_t count, size_t size) {
    struct writing writing = {count, size};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_lines, &writing), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void a_line_of_the_brokers_thread_is_written_at_once(void **state) {
    (void)state;
    static const struct {
        enum idem_log_level level;
        int expected;
    } levels[] = {
        {IDEM_LOG_ERROR, MOSQ_LOG_ERR},     {IDEM_LOG_WARNING, MOSQ_LOG_WARNING},
        {IDEM_LOG_NOTICE, MOSQ_LOG_NOTICE}, {IDEM_LOG_INFO, MOSQ_LOG_INFO},
        {IDEM_LOG_DEBUG, MOSQ_LOG_DEBUG},
    };
    for (size_t i = 0; i < IDEM_LOG_LEVEL_COUNT; i++) {
        idem_broker_log_sink(&broker_log, levels[i].level, "some.event", "a %s text");
        assert_int_equal(fake_broker_lines(), i + 1);
        assert_string_equal(fake_broker_line(i), "idem: some.event: a %s text");
        assert_int_equal(fake_broker_line_level(i), levels[i].expected);
    }
}

static void lines_of_another_thread_wait_for_the_brokers(void **state) {
    (void)state;
    write_on_another_thread(2, 0);
    assert_int_equal(fake_broker_lines(), 0);
    idem_broker_log_flush(&broker_log);
    assert_int_equal(fake_broker_lines(), 2);
    assert_string_equal(fake_broker_line(0), "idem: store.full: 0");
    assert_string_equal(fake_broker_line(1), "idem: store.full: 1");
    assert_int_equal(fake_broker_line_level(0), MOSQ_LOG_ERR);
    idem_broker_log_flush(&broker_log);
    assert_int_equal(fake_broker_lines(), 2);
}

static void lines_that_find_no_room_are_counted(void **state) {
    (void)state;
    write_on_another_thread(IDEM_LOG_WAITING_MAX + 5, 0);
    idem_broker_log_flush(&broker_log);
    assert_int_equal(fake_broker_lines(), IDEM_LOG_WAITING_MAX + 1);
    assert_string_equal(fake_broker_line(IDEM_LOG_WAITING_MAX - 1),
                        "idem: store.full: 31");
    assert_string_equal(fake_broker_line(IDEM_LOG_WAITING_MAX),
                        "idem: log.lost: 5 more lines");
    assert_int_equal(fake_broker_line_level(IDEM_LOG_WAITING_MAX), MOSQ_LOG_WARNING);

    write_on_another_thread(1, 0);
    idem_broker_log_flush(&broker_log);
    assert_int_equal(fake_broker_lines(), IDEM_LOG_WAITING_MAX + 2);
}

static void a_long_line_is_cut(void **state) {
    (void)state;
    write_on_another_thread(1, 2 * IDEM_LOG_LINE_MAX - 1);
    idem_broker_log_flush(&broker_log);
    assert_int_equal(strlen(fake_broker_line(0)),
                     strlen("idem: ") + IDEM_LOG_LINE_MAX - 1);
}

static void closing_writes_what_waits(void **state) {
    (void)state;
    write_on_another_thread(1, 0);
    idem_broker_log_fini(&broker_log);
    assert_int_equal(fake_broker_lines(), 1);
    idem_broker_log_init(&broker_log);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_line_of_the_brokers_thread_is_written_at_once),
        TEST(lines_of_another_thread_wait_for_the_brokers),
        TEST(lines_that_find_no_room_are_counted),
        TEST(a_long_line_is_cut),
        TEST(closing_writes_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
