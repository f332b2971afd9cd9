/* SPDX-License-Identifier: MIT
 * When to ask again. */
#include "store/recent/patience.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define PAUSE_LEAST_MS 1

static bool watch(const struct idem_patience *patience, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return fd < 0 || epoll_ctl(patience->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

enum idem_code idem_patience_init(struct idem_patience *patience, int64_t most_ms,
                                  int store_fd, struct idem_error *error) {
    patience->most_ms = most_ms;
    patience->first = NULL;
    patience->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    patience->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (patience->epoll_fd < 0 || patience->timer_fd < 0 ||
        !watch(patience, patience->timer_fd) || !watch(patience, store_fd)) {
        return idem_error_set(error, IDEM_ERR_IO, errno, "epoll, timerfd: %s",
                              strerror(errno));
    }
    return IDEM_OK;
}

void idem_patience_fini(struct idem_patience *patience) {
    if (patience->timer_fd >= 0) {
        (void)close(patience->timer_fd);
    }
    if (patience->epoll_fd >= 0) {
        (void)close(patience->epoll_fd);
    }
}

/* Also clears a timer that has gone off. */
static void arm(const struct idem_patience *patience) {
    int64_t due_ms = INT64_MAX;
    for (const struct idem_patient *at = patience->first; at != NULL; at = at->next) {
        due_ms = at->due_ms < due_ms ? at->due_ms : due_ms;
    }
    struct itimerspec when = {.it_value = {0, 0}};
    if (due_ms != INT64_MAX) {
        when.it_value.tv_sec = due_ms / 1000;
        when.it_value.tv_nsec = due_ms % 1000 * 1000000 + 1; /* 0 would disarm it */
    }
    (void)timerfd_settime(patience->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

bool idem_patience_add(struct idem_patience *patience, struct idem_patient *patient,
                       int64_t now_ms) {
    if (patient->pause_ms == 0) {
        patient->until_ms = now_ms + patience->most_ms;
    }
    int64_t pause_ms = patient->pause_ms == 0 ? PAUSE_LEAST_MS : patient->pause_ms * 2;
    if (now_ms + pause_ms > patient->until_ms) {
        return false;
    }
    patient->pause_ms = pause_ms;
    patient->due_ms = now_ms + pause_ms;
    patient->next = patience->first;
    patience->first = patient;
    arm(patience);
    return true;
}

struct idem_patient *idem_patience_take(struct idem_patience *patience, int64_t now_ms) {
    struct idem_patient *taken = NULL;
    struct idem_patient **at = &patience->first;
    while (*at != NULL) {
        struct idem_patient *patient = *at;
        if (patient->due_ms <= now_ms) {
            *at = patient->next;
            patient->next = taken;
            taken = patient;
        } else {
            at = &patient->next;
        }
    }
    if (taken != NULL) {
        arm(patience);
    }
    return taken;
}
