/* SPDX-License-Identifier: MIT
 * The thread that wakes the broker's loop. */
#define _GNU_SOURCE /* ppoll */

#include "waker.h"

#include <idem/clock.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A loop that ended a turn within this time is taken to be busy. */
#define BUSY_NS INT64_C(100000)
/* Between two signals, the longest: a turn may take its time. */
#define REPEAT_MOST_NS INT64_C(2000000)

static void on_signal(int number) {
    (void)number; /* that it came is all there is to it */
}

/* Waits until the thread has to end (true) or the time has passed; -1: until the store is ready. */
static bool wait_until_stopped(const struct idem_waker *waker, int64_t wait_ns) {
    struct pollfd fds[2] = {{.fd = waker->stop_fd, .events = POLLIN},
                            {.fd = waker->store_fd, .events = POLLIN}};
    struct timespec time = {.tv_sec = 0, .tv_nsec = (long)wait_ns};
    (void)ppoll(fds, wait_ns < 0 ? 2 : 1, wait_ns < 0 ? NULL : &time, NULL);
    return fds[0].revents != 0;
}

static void *wake(void *arg) {
    struct idem_waker *waker = arg;
    int64_t repeat_ns = BUSY_NS;
    int64_t seen_ns = 0;
    while (!wait_until_stopped(waker, -1)) {
        int64_t turn_ns = atomic_load_explicit(&waker->turn_ns, memory_order_relaxed);
        int64_t idle_ns = idem_clock_monotonic_ns() - turn_ns;
        int64_t wait_ns = BUSY_NS;
        if (idle_ns >= BUSY_NS) {
            (void)pthread_kill(waker->broker, waker->signal);
            repeat_ns = turn_ns == seen_ns && repeat_ns < REPEAT_MOST_NS ? repeat_ns * 2
                                                                         : BUSY_NS;
            wait_ns = repeat_ns;
            seen_ns = turn_ns;
        }
        if (wait_until_stopped(waker, wait_ns)) {
            break;
        }
    }
    return NULL;
}

/* A real-time signal that nobody handles; 0: there is none. */
static int take_signal(void) {
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
        struct sigaction old;
        struct sigaction ours;
        memset(&ours, 0, sizeof ours);
        ours.sa_handler = on_signal;
        ours.sa_flags = SA_RESTART; /* other calls than the loop's sleep go on */
        if (sigaction(number, NULL, &old) == 0 && (old.sa_flags & SA_SIGINFO) == 0 &&
            (old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN) &&
            sigaction(number, &ours, NULL) == 0) {
            return number;
        }
    }
    return 0;
}

/* Ignored rather than as it was: the default would end the broker should one still be on its way, and
 * our handler may be gone from memory by then. */
static void give_signal_back(int number) {
    struct sigaction ignore;
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    (void)sigaction(number, &ignore, NULL);
}

/* The thread blocks all signals: those for the broker go to the broker's thread. */
static int start_thread(struct idem_waker *waker) {
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    int number = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (number == 0) {
        number = pthread_create(&waker->thread, NULL, wake, waker);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    return number;
}

enum idem_code idem_waker_start(struct idem_waker *waker, int store_fd,
                                struct idem_error *error) {
    waker->broker = pthread_self();
    waker->store_fd = store_fd;
    atomic_init(&waker->turn_ns, 0);
    waker->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (waker->stop_fd < 0) {
        return idem_error_set(error, IDEM_ERR_IO, errno, "eventfd: %s", strerror(errno));
    }
    waker->signal = take_signal();
    int number = waker->signal != 0 ? start_thread(waker) : EBUSY;
    if (number != 0) {
        if (waker->signal != 0) {
            give_signal_back(waker->signal);
        }
        (void)close(waker->stop_fd);
        return idem_error_set(error, IDEM_ERR_IO, number,
                              waker->signal != 0 ? "no thread to wake the broker: %s"
                                                 : "no signal to wake the broker: %s",
                              strerror(number));
    }
    waker->running = true;
    return IDEM_OK;
}

void idem_waker_stop(struct idem_waker *waker) {
    const uint64_t one = 1;
    if (!waker->running) {
        return;
    }
    waker->running = false;
    (void)!write(waker->stop_fd, &one, sizeof one);
    (void)pthread_join(waker->thread, NULL);
    give_signal_back(waker->signal);
    (void)close(waker->stop_fd);
}

void idem_waker_turned(struct idem_waker *waker) {
    if (waker->running) {
        atomic_store_explicit(&waker->turn_ns, idem_clock_monotonic_ns(),
                              memory_order_relaxed);
    }
}
