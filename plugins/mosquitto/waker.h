/* SPDX-License-Identifier: MIT
 * Wakes the broker's loop when the store has an answer.
 *
 * The loop sleeps for up to 100 ms and watches its own sockets only. A handled signal to its thread ends
 * that sleep, and the turn that follows ends with a tick, in which the plugin looks at the store. So one
 * thread of the plugin does nothing but wait for the store's descriptor and send that signal; it touches
 * neither store nor receiver.
 *
 * A signal that comes just before the sleep is lost: so it is sent again until a turn has ended. A loop
 * that is busy needs none, since it ticks by itself: the signal is only sent when no turn has ended for a
 * moment. Not one of the signals that Mosquitto blocks while it sleeps (INT, TERM, USR1, USR2, HUP). */
#ifndef IDEM_MOSQUITTO_WAKER_H
#define IDEM_MOSQUITTO_WAKER_H

#include <idem/error.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A loop that ended a turn within this time is taken to be busy. */
#define IDEM_WAKER_BUSY_NS INT64_C(200000)

struct idem_waker {
    bool running;
    pthread_t thread;
    pthread_t broker;
    int signal;
    int store_fd;
    int control_fd; /* readable: the thread is to look at what follows */
    atomic_bool stopping;
    atomic_bool asleep;
    atomic_bool owed;        /* a turn is wanted, whatever store_fd says */
    _Atomic int64_t turn_ns; /* when a turn of the broker's loop ended last */
};

/* All on the broker's thread. A zeroed struct may be stopped without having been started. IDEM_ERR_IO: no
 * thread, descriptor or free signal was to be had. */
IDEM_MUST_USE enum idem_code idem_waker_start(struct idem_waker *waker, int store_fd,
                                              struct idem_error *error);
void idem_waker_stop(struct idem_waker *waker);

/* A turn of the loop has ended. owed: it left something undone that wants another one soon. */
void idem_waker_turned(struct idem_waker *waker, int64_t now_ns, bool owed);

#endif
