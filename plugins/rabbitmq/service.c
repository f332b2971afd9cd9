/* SPDX-License-Identifier: MIT
 * What systemd is told. Its library would be a dependency for one datagram. */
#include "service.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define LINES_MAX 512

/* A path, or "@name" for the abstract name space of Linux; false where it is neither. */
static bool read_address(struct idem_service *service, const char *text) {
    size_t length = text != NULL ? strlen(text) : 0;
    if (length < 2 || length >= sizeof service->manager.sun_path ||
        (text[0] != '/' && text[0] != '@')) {
        return false;
    }
    service->manager.sun_family = AF_UNIX;
    memcpy(service->manager.sun_path, text, length);
    if (text[0] == '@') {
        service->manager.sun_path[0] = '\0';
    }
    service->manager_size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (text[0] == '/'));
    return true;
}

/* All of the text, or 0. */
static int64_t read_number(const char *text) {
    char *end = NULL;
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return 0;
    }
    long long number = strtoll(text, &end, 10);
    return *end == '\0' ? number : 0;
}

/* WATCHDOG_PID tells for whom it is: a child would inherit the rest. */
static int64_t read_watchdog(void) {
    const char *pid = getenv("WATCHDOG_PID");
    if (pid != NULL && read_number(pid) != getpid()) {
        return 0;
    }
    return read_number(getenv("WATCHDOG_USEC")) / 1000;
}

void idem_service_init(struct idem_service *service) {
    const struct timeval patience = {1, 0};
    memset(service, 0, sizeof *service);
    service->fd = -1;
    if (read_address(service, getenv("NOTIFY_SOCKET"))) {
        service->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        service->watchdog_ms = read_watchdog();
    }
    if (service->fd >= 0) {
        (void)setsockopt(service->fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
                         sizeof patience);
    }
}

void idem_service_fini(struct idem_service *service) {
    if (service->fd >= 0) {
        (void)close(service->fd);
        service->fd = -1;
    }
}

void idem_service_tell(const struct idem_service *service, const char *format, ...) {
    char lines[LINES_MAX];
    va_list args;
    if (service->fd < 0) {
        return;
    }
    va_start(args, format);
    int length = vsnprintf(lines, sizeof lines, format, args);
    va_end(args);
    if (length > 0 && (size_t)length < sizeof lines) {
        (void)sendto(service->fd, lines, (size_t)length, MSG_NOSIGNAL,
                     (const struct sockaddr *)&service->manager, service->manager_size);
    }
}
