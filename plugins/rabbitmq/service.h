/* SPDX-License-Identifier: MIT
 * The bridge as a service of systemd: what it tells the manager, and how often it has to be alive.
 *
 * The protocol is a datagram of lines to the socket that NOTIFY_SOCKET names (sd_notify(3)). Without a
 * manager nothing is sent. Main thread only. */
#ifndef IDEM_RABBITMQ_SERVICE_H
#define IDEM_RABBITMQ_SERVICE_H

#include <idem/error.h>

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct idem_service {
    int fd; /* -1: nobody wants to hear */
    struct sockaddr_un manager;
    socklen_t manager_size;
    int64_t
        watchdog_ms; /* the manager ends a service that is silent for so long; 0: it does not */
};

/* As the environment says. What is wrong in it is as if it were not there. */
void idem_service_init(struct idem_service *service);
void idem_service_fini(struct idem_service *service);

/* One datagram; blocks for a second at most. Lost where the manager does not take it. */
void idem_service_tell(const struct idem_service *service, const char *format, ...)
    IDEM_PRINTF(2, 3);

#endif
