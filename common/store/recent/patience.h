/* SPDX-License-Identifier: MIT
 * When to ask again: a list of what waits, and one descriptor that tells when the first of it is due, or
 * when the store behind has something to say. */
#ifndef IDEM_RECENT_PATIENCE_H
#define IDEM_RECENT_PATIENCE_H

#include <idem/error.h>

#include <stdbool.h>
#include <stdint.h>

/* Embedded as the first member of what waits. Zeroed: has not waited yet. */
struct idem_patient {
    struct idem_patient *next;
    int64_t due_ms; /* of the monotonic clock, as are all times here */
    int64_t until_ms;
    int64_t pause_ms; /* the last one; each is twice as long as the one before */
};

struct idem_patience {
    int64_t most_ms; /* 0: nothing ever waits */
    int epoll_fd;
    int timer_fd;
    struct idem_patient *first; /* in no order */
};

/* store_fd: -1: none. IDEM_ERR_IO; may be finished all the same. */
IDEM_MUST_USE enum idem_code idem_patience_init(struct idem_patience *patience,
                                                int64_t most_ms, int store_fd,
                                                struct idem_error *error);
void idem_patience_fini(struct idem_patience *patience);

/* Where patience is at an end: false, and nothing was added. */
IDEM_MUST_USE bool idem_patience_add(struct idem_patience *patience,
                                     struct idem_patient *patient, int64_t now_ms);

/* All that is due, taken out and chained by next; all there is with now_ms INT64_MAX. */
struct idem_patient *idem_patience_take(struct idem_patience *patience, int64_t now_ms);

#endif
