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

/* Between two signals, the longest: a turn may take its time. */
#define REPEAT_MOST_NS INT64_C(3200000)

static void on_signal(int number) {
    (void)number; /* that it came is all there is to it */
}

static void rouse(const struct idem_waker *waker) {
    const uint64_t one = 1;
    (void)!write(waker->control_fd, &one, sizeof one);
}

/* Until the store is ready, a turn is owed, or the thread has to end. The broker looks at asleep after it
 * has set owed, and this at owed after it has set asleep: so one of them sees the other. */
static void sleep_until_needed(struct idem_waker *waker) {
    struct pollfd fds[2] = {{.fd = waker->control_fd, .events = POLLIN},
                            {.fd = waker->store_fd, .events = POLLIN}};
    uint64_t count = 0;
    atomic_store(&waker->asleep, true);
    if (!atomic_load(&waker->owed) && !atomic_load(&waker->stopping)) {
        (void)poll(fds, 2, -1);
    }
    atomic_store(&waker->asleep, false);
    (void)!read(waker->control_fd, &count, sizeof count);
}

static void pause_for(const struct idem_waker *waker, int64_t wait_ns) {
    struct pollfd control = {.fd = waker->control_fd, .events = POLLIN};
    struct timespec time = {.tv_sec = 0, .tv_nsec = (long)wait_ns};
    (void)ppoll(&control, 1, &time, NULL);
}

static void *wake(void *arg) {
    struct idem_waker *waker = arg;
    int64_t repeat_ns = IDEM_WAKER_BUSY_NS;
    int64_t seen_ns = 0;
    while (!atomic_load(&waker->stopping)) {
        sleep_until_needed(waker);
        int64_t turn_ns = atomic_load(&waker->turn_ns);
        int64_t idle_ns = idem_clock_monotonic_ns() - turn_ns;
        if (idle_ns < IDEM_WAKER_BUSY_NS) {
            pause_for(waker, IDEM_WAKER_BUSY_NS - idle_ns);
            continue;
        }
        (void)pthread_kill(waker->broker, waker->signal);
        bool again = turn_ns == seen_ns && repeat_ns < REPEAT_MOST_NS;
        repeat_ns = again ? repeat_ns * 2 : IDEM_WAKER_BUSY_NS;
        seen_ns = turn_ns;
        pause_for(waker, repeat_ns);
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
    atomic_init(&waker->owed, false);
    atomic_init(&waker->asleep, false);
    atomic_init(&waker->stopping, false);
    waker->control_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (waker->control_fd < 0) {
        return idem_error_set(error, IDEM_ERR_IO, errno, "eventfd: %s", strerror(errno));
    }
    waker->signal = take_signal();
    int number = waker->signal != 0 ? start_thread(waker) : EBUSY;
    if (number != 0) {
        if (waker->signal != 0) {
            give_signal_back(waker->signal);
        }
        (void)close(waker->control_fd);
        return idem_error_set(error, IDEM_ERR_IO, number,
                              waker->signal != 0 ? "no thread to wake the broker: %s"
                                                 : "no signal to wake the broker: %s",
                              strerror(number));
    }
    waker->running = true;
    return IDEM_OK;
}

void idem_waker_stop(struct idem_waker *waker) {
    if (!waker->running) {
        return;
    }
    waker->running = false;
    atomic_store(&waker->stopping, true);
    rouse(waker);
    (void)pthread_join(waker->thread, NULL);
    give_signal_back(waker->signal);
    (void)close(waker->control_fd);
}

void idem_waker_turned(struct idem_waker *waker, int64_t now_ns, bool owed) {
    if (!waker->running) {
        return;
    }
    atomic_store_explicit(&waker->turn_ns, now_ns, memory_order_relaxed);
    if (owed != atomic_load_explicit(&waker->owed, memory_order_relaxed)) {
        atomic_store(&waker->owed, owed);
        if (owed && atomic_load(&waker->asleep)) {
            rouse(waker);
        }
    }
}
