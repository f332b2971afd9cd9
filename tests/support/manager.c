/* SPDX-License-Identifier: MIT
 * The socket of a service manager. */
#include "manager.h"
#include "files.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[FILES_PATH_MAX];
static int fd = -1;

void manager_open(unsigned watchdog_ms) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char usec[32];
    manager_close();
    files_make_dir(dir);
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%.80s/n", dir);
    assert_int_equal((size_t)length, strlen(dir) + 2);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
    if (watchdog_ms > 0) {
        (void)snprintf(usec, sizeof usec, "%u000", watchdog_ms);
        assert_int_equal(setenv("WATCHDOG_USEC", usec, 1), 0);
    }
}

void manager_close(void) {
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    if (fd >= 0) {
        (void)close(fd);
        fd = -1;
        files_remove_dir(dir);
    }
}

/* A datagram, terminated, with a line break before and behind; false where none comes in time. */
static bool receive(char *text, size_t size, int timeout_ms) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, timeout_ms) <= 0) {
        return false;
    }
    ssize_t length = recv(fd, text + 1, size - 3, 0);
    assert_true(length > 0);
    text[0] = '\n';
    text[length + 1] = '\n';
    text[length + 2] = '\0';
    return true;
}

static bool has_line(const char *text, const char *line) {
    char wanted[256];
    (void)snprintf(wanted, sizeof wanted, "\n%s", line);
    return strstr(text, wanted) != NULL;
}

void manager_expect(const char *line) {
    char text[1024];
    int64_t deadline = testing_deadline();
    do {
        if (!receive(text, sizeof text, testing_remaining_ms(deadline))) {
            fail_msg("the manager was not told %s", line);
        }
    } while (!has_line(text, line));
}

unsigned manager_count(const char *line) {
    char text[1024];
    unsigned count = 0;
    while (receive(text, sizeof text, 0)) {
        count += has_line(text, line);
    }
    return count;
}
