/* SPDX-License-Identifier: MIT
 * The door: guests are found by the events that the loop has for their descriptors. */
#include "door.h"

#include <idem/clock.h>

#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LOOK_MS 100

static unsigned short peer_port(evutil_socket_t fd) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    memset(&address, 0, sizeof address);
    if (getpeername(fd, (struct sockaddr *)&address, &length) != 0) {
        return 0;
    }
    if (address.ss_family == AF_INET) {
        return ((const struct sockaddr_in *)(const void *)&address)->sin_port;
    }
    return ((const struct sockaddr_in6 *)(const void *)&address)->sin6_port;
}

static bool is_connection(const struct idem_door *door, evutil_socket_t fd) {
    int listening = 1;
    socklen_t length = sizeof listening;
    return fd >= 0 && fd != evconnlistener_get_fd(door->listener) &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0;
}

static struct idem_door_guest *find(struct idem_door *door, evutil_socket_t fd) {
    for (size_t i = 0; i < door->count; i++) {
        if (door->guests[i].fd == fd) {
            return &door->guests[i];
        }
    }
    return NULL;
}

/* One of the events of a guest: a connection can have several. */
static int meet(const struct event_base *base, const struct event *event, void *arg) {
    struct idem_door *door = arg;
    evutil_socket_t fd = event_get_fd(event);
    (void)base;
    if (!is_connection(door, fd)) {
        return 0;
    }
    unsigned short port = peer_port(fd);
    struct idem_door_guest *guest = find(door, fd);
    if (guest == NULL && door->count < IDEM_DOOR_GUESTS_MAX) {
        guest = &door->guests[door->count++];
        *guest = (struct idem_door_guest){.fd = fd, .port = port};
        guest->since_ns = idem_clock_monotonic_ns();
    } else if (guest != NULL && guest->port != port) {
        guest->port = port;
        guest->since_ns = idem_clock_monotonic_ns();
    }
    if (guest != NULL) {
        guest->seen = true;
    }
    return 0;
}

/* evhttp finds that the connection has ended, and frees it. */
static void show_out(const struct idem_door_guest *guest, int64_t now_ns) {
    if (now_ns - guest->since_ns > IDEM_DOOR_STAY_MS * INT64_C(1000000)) {
        (void)shutdown(guest->fd, SHUT_RDWR);
    }
}

static void look(struct idem_door *door) {
    int64_t now_ns = idem_clock_monotonic_ns();
    size_t kept = 0;
    for (size_t i = 0; i < door->count; i++) {
        door->guests[i].seen = false;
    }
    (void)event_base_foreach_event(door->base, meet, door);
    for (size_t i = 0; i < door->count; i++) {
        if (door->guests[i].seen) {
            door->guests[kept++] = door->guests[i];
            show_out(&door->guests[kept - 1], now_ns);
        }
    }
    door->count = kept;
}

/* Below the most by one, since the one that is coming in right now is not seen yet. */
static void open_or_close(struct idem_door *door) {
    bool close = door->count + 1 >= IDEM_DOOR_GUESTS_MAX;
    if (close && !door->closed) {
        (void)evconnlistener_disable(door->listener);
    } else if (!close && door->closed) {
        (void)evconnlistener_enable(door->listener);
    }
    door->closed = close;
}

static void look_again(struct idem_door *door) {
    const struct timeval soon = {0, LOOK_MS * 1000};
    if (!evtimer_pending(door->timer, NULL)) {
        (void)event_add(door->timer, &soon);
    }
}

static void due(evutil_socket_t fd, short what, void *arg) {
    struct idem_door *door = arg;
    (void)fd;
    (void)what;
    look(door);
    open_or_close(door);
    if (door->count > 0) {
        look_again(door);
    }
}

/* evhttp is about to take a connection, and wants a buffer for it. */
static struct bufferevent *come_in(struct event_base *base, void *arg) {
    struct idem_door *door = arg;
    look(door);
    open_or_close(door);
    look_again(door);
    return bufferevent_socket_new(base, -1, 0);
}

enum idem_code idem_door_init(struct idem_door *door, struct event_base *base,
                              struct evhttp *http, struct evhttp_bound_socket *bound) {
    memset(door, 0, sizeof *door);
    door->base = base;
    door->listener = evhttp_bound_socket_get_listener(bound);
    door->timer = evtimer_new(base, due, door);
    if (door->listener == NULL || door->timer == NULL) {
        return IDEM_ERR_NOMEM;
    }
    evhttp_set_bevcb(http, come_in, door);
    return IDEM_OK;
}

void idem_door_fini(struct idem_door *door) {
    if (door->timer != NULL) {
        event_free(door->timer);
    }
}
