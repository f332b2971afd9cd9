/* SPDX-License-Identifier: MIT
 * Who may come in: how many connections at once, and for how long. evhttp bounds requests, but neither the
 * number of connections nor the time that one takes as long as a byte comes now and then; nor does it tell
 * when one has ended. So the door looks at the descriptors that the loop watches. */
#ifndef IDEM_RABBITMQ_HTTP_DOOR_H
#define IDEM_RABBITMQ_HTTP_DOOR_H

#include <idem/error.h>

#include <event2/event.h>
#include <event2/http.h>
#include <stdbool.h>

#define IDEM_DOOR_GUESTS_MAX 64    /* connections; others wait in the system's queue */
#define IDEM_DOOR_STAY_MS    10000 /* then one is shown out, whatever it is doing */

struct idem_door_guest {
    evutil_socket_t fd;
    unsigned short port; /* of the peer: another guest can have the same fd later */
    int64_t since_ns;
    bool seen; /* in the look that is under way */
};

struct idem_door {
    struct event_base *base;
    struct evconnlistener *listener; /* NULL: not yet */
    struct event *timer;
    struct idem_door_guest guests[IDEM_DOOR_GUESTS_MAX];
    size_t count;
    bool closed;
};

/* Watches all connections of http that come from now on. IDEM_ERR_NOMEM; fini it in any case. */
IDEM_MUST_USE enum idem_code idem_door_init(struct idem_door *door,
                                            struct event_base *base, struct evhttp *http,
                                            struct evhttp_bound_socket *bound);
void idem_door_fini(struct idem_door *door);

#endif
