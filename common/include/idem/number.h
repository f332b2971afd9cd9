/* SPDX-License-Identifier: MIT
 * The place of a message in the count that its producer keeps: strategy sequence. */
#ifndef IDEM_NUMBER_H
#define IDEM_NUMBER_H

#include <idem/digest.h>

#define IDEM_WINDOW_MAX 1024
#define IDEM_WRAP_MAX   32

/* Numbers rise by one with each message of a producer, within an epoch. */
struct idem_number {
    bool present;               /* false: the message is not of a sequence */
    struct idem_digest message; /* of producer, epoch and number: two copies share it */
    uint64_t epoch;             /* 0 where producers have none */
    uint64_t value;             /* as it came */
    unsigned wrap; /* bits after which the producer starts at 0 again; 0: it never does */
    unsigned window; /* how far behind the mark a late one is still new; 0: not at all */
};

/* What happens to a number that leaves others out. */
enum idem_gap {
    IDEM_GAP_ACCEPT,
    IDEM_GAP_HOLD, /* accepted when hold_ms are over, or when more than hold_numbers are missing */
    IDEM_GAP_REJECT,
};

/* On what terms a number is claimed. */
struct idem_sequence_terms {
    enum idem_gap on_gap;
    bool require_zero; /* an unknown producer, or a new epoch, begins with 0 */
    int64_t hold_ms;   /* > 0 with IDEM_GAP_HOLD; counted from the first that is held */
    uint64_t hold_numbers;
    int64_t ttl_ms; /* > 0; how long an idle producer is remembered */
};

#endif
