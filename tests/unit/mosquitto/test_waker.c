/* SPDX-License-Identifier: MIT
 * The thread that ends the sleep of the broker's loop. */
#include "waker.h"

#include "fake_broker.h"

#include <idem/clock.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SLEEP_MS 5000

static struct idem_waker waker;
static int store_fd;

static int start(void **state) {
    struct idem_error error = IDEM_ERROR_INIT;
    (void)state;
    memset(&waker, 0, sizeof waker);
    store_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_not_equal(store_fd, -1);
    assert_int_equal(idem_waker_start(&waker, store_fd, &error), IDEM_OK);
    return 0;
}

static int stop(void **state) {
    (void)state;
    idem_waker_stop(&waker);
    (void)close(store_fd);
    return 0;
}

/* What the loop does; true where something ended it before its time. */
static bool sleep_like_the_broker(int ms) {
    int64_t before = idem_clock_monotonic_ns();
    return poll(NULL, 0, ms) == -1 && errno == EINTR &&
           idem_clock_monotonic_ns() - before < (int64_t)ms * 1000000;
}

static void make_ready(void) {
    const uint64_t one = 1;
    assert_int_equal(write(store_fd, &one, sizeof one), sizeof one);
}

static void an_answer_ends_the_sleep(void **state) {
    (void)state;
    make_ready();
    assert_true(sleep_like_the_broker(SLEEP_MS));
}

static void the_signal_is_repeated_until_a_turn_has_taken_the_answer(void **state) {
    (void)state;
    uint64_t count = 0;
    make_ready();
    for (int i = 0; i < 5; i++) { /* as if each signal had come too early */
        assert_true(sleep_like_the_broker(SLEEP_MS));
    }
    assert_int_equal(read(store_fd, &count, sizeof count), sizeof count);
    idem_waker_turned(&waker, idem_clock_monotonic_ns(), false);
    (void)sleep_like_the_broker(50); /* one may still have been on its way */
    assert_false(sleep_like_the_broker(50));
}

static void a_turn_that_is_owed_is_called_for(void **state) {
    (void)state;
    idem_waker_turned(&waker, idem_clock_monotonic_ns(), true);
    assert_true(sleep_like_the_broker(SLEEP_MS));
    idem_waker_turned(&waker, idem_clock_monotonic_ns(), false);
    (void)sleep_like_the_broker(50);
    assert_false(sleep_like_the_broker(50));
}

static void wakers_do_not_share_a_signal(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_waker second;
    memset(&second, 0, sizeof second);
    assert_int_equal(idem_waker_start(&second, store_fd, &error), IDEM_OK);
    assert_int_not_equal(second.signal, waker.signal);
    assert_in_range(second.signal, SIGRTMIN, SIGRTMAX);
    idem_waker_stop(&second);
}

static void on_signal(int number) {
    (void)number;
}

static void a_signal_that_somebody_handles_is_left_alone(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_waker second;
    struct sigaction theirs;
    int number = waker.signal;
    idem_waker_stop(&waker);
    memset(&theirs, 0, sizeof theirs);
    theirs.sa_handler = on_signal;
    assert_int_equal(sigaction(number, &theirs, NULL), 0);
    memset(&second, 0, sizeof second);
    assert_int_equal(idem_waker_start(&second, store_fd, &error), IDEM_OK);
    assert_int_not_equal(second.signal, number);
    idem_waker_stop(&second);
    theirs.sa_handler = SIG_IGN;
    assert_int_equal(sigaction(number, &theirs, NULL), 0);
}

static void a_waker_that_was_never_started_may_be_stopped(void **state) {
    (void)state;
    struct idem_waker never;
    memset(&never, 0, sizeof never);
    idem_waker_turned(&never, 1, true);
    idem_waker_stop(&never);
    assert_false(never.running);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    static const struct CMUnitTest tests[] = {
        CASE(an_answer_ends_the_sleep),
        CASE(the_signal_is_repeated_until_a_turn_has_taken_the_answer),
        CASE(a_turn_that_is_owed_is_called_for),
        CASE(wakers_do_not_share_a_signal),
        CASE(a_signal_that_somebody_handles_is_left_alone),
        cmocka_unit_test(a_waker_that_was_never_started_may_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
