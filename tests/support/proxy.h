/* SPDX-License-Identifier: MIT
 * A TCP proxy on the loopback interface that can delay, stall and cut what goes through it. */
#ifndef TESTS_PROXY_H
#define TESTS_PROXY_H

#include "testing.h"

struct proxy;

/* Listens on a port of its own, in a thread of its own, and passes everything on to target_port. */
struct proxy *proxy_start(unsigned target_port);
unsigned proxy_port(const struct proxy *proxy);

/* Each byte arrives that much later, in either direction; 0: at once. */
void proxy_delay(struct proxy *proxy, int ms);

/* While stalled nothing passes and nothing is accepted; what came meanwhile passes afterwards. */
void proxy_stall(struct proxy *proxy, bool stalled);

/* Resets every connection that there is. New ones are accepted. */
void proxy_cut(struct proxy *proxy);

/* While refusing, new connections are closed at once. */
void proxy_refuse(struct proxy *proxy, bool refusing);

/* Connections accepted so far. */
unsigned proxy_accepted(struct proxy *proxy);

/* Accepts NULL. */
void proxy_stop(struct proxy *proxy);

#endif
