/* SPDX-License-Identifier: MIT
 * What the bridge tells a service manager, and what it makes of the environment. */
#include "service.h"

#include "manager.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct idem_service service;

static int tear_down(void **state) {
    (void)state;
    idem_service_fini(&service);
    manager_close();
    return 0;
}

static void the_manager_hears_what_it_is_told(void **state) {
    (void)state;
    manager_open(0);
    idem_service_init(&service);
    idem_service_tell(&service, "READY=1\nSTATUS=%u workers", 2U);
    idem_service_tell(&service, "STOPPING=1");
    manager_expect("STATUS=2 workers");
    manager_expect("STOPPING=1");
    assert_int_equal(service.watchdog_ms, 0);
}

static void a_name_in_the_abstract_name_space_is_reached(void **state) {
    char name[64];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[16] = "";
    (void)state;
    (void)snprintf(name, sizeof name, "@idem-test-%ld", (long)getpid());
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(
        bind(fd, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
        0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    idem_service_init(&service);
    idem_service_tell(&service, "READY=1");
    assert_int_equal(recv(fd, text, sizeof text - 1, MSG_DONTWAIT), 7);
    assert_string_equal(text, "READY=1");
    (void)close(fd);
}

static void without_a_manager_nothing_is_sent(void **state) {
    (void)state;
    idem_service_init(&service);
    assert_int_equal(service.fd, -1);
    idem_service_tell(&service, "READY=1");
}

static void an_address_that_is_none_is_no_manager(void **state) {
    char longer[200];
    const char *const addresses[] = {"", "/", "@", "relative", "unix:/x", longer};
    (void)state;
    memset(longer, '/', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        assert_int_equal(setenv("NOTIFY_SOCKET", addresses[i], 1), 0);
        idem_service_init(&service);
        assert_int_equal(service.fd, -1);
    }
}

static void a_manager_that_is_gone_is_no_trouble(void **state) {
    (void)state;
    assert_int_equal(setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1), 0);
    idem_service_init(&service);
    idem_service_tell(&service, "READY=1");
}

static int64_t watchdog(const char *usec, const char *pid) {
    assert_int_equal(setenv("WATCHDOG_USEC", usec, 1), 0);
    if (pid != NULL) {
        assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
    }
    idem_service_init(&service);
    int64_t watchdog_ms = service.watchdog_ms;
    idem_service_fini(&service);
    return watchdog_ms;
}

static void a_watchdog_counts_only_for_the_process_it_is_meant_for(void **state) {
    char own[32];
    (void)state;
    (void)snprintf(own, sizeof own, "%ld", (long)getpid());
    manager_open(0);
    assert_int_equal(watchdog("2500000", NULL), 2500);
    assert_int_equal(watchdog("2500000", own), 2500);
    assert_int_equal(watchdog("2500000", "1"), 0);
    assert_int_equal(watchdog("2500000", "x"), 0);
}

static void a_time_that_is_none_is_no_watchdog(void **state) {
    (void)state;
    manager_open(0);
    assert_int_equal(watchdog("", NULL), 0);
    assert_int_equal(watchdog("soon", NULL), 0);
    assert_int_equal(watchdog("-1", NULL), 0);
    assert_int_equal(watchdog("1s", NULL), 0);
}

static void what_does_not_fit_is_not_sent_in_part(void **state) {
    (void)state;
    manager_open(0);
    idem_service_init(&service);
    idem_service_tell(&service, "STATUS=%0600d", 1);
    idem_service_tell(&service, "READY=1");
    assert_int_equal(manager_count("STATUS="), 0);
}

#define SERVICE(test) cmocka_unit_test_teardown(test, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        SERVICE(the_manager_hears_what_it_is_told),
        SERVICE(a_name_in_the_abstract_name_space_is_reached),
        SERVICE(without_a_manager_nothing_is_sent),
        SERVICE(an_address_that_is_none_is_no_manager),
        SERVICE(a_manager_that_is_gone_is_no_trouble),
        SERVICE(a_watchdog_counts_only_for_the_process_it_is_meant_for),
        SERVICE(a_time_that_is_none_is_no_watchdog),
        SERVICE(what_does_not_fit_is_not_sent_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
