/* SPDX-License-Identifier: MIT
 * One publisher and one subscriber at full speed over MQTT 3.1.1, QoS 1. */
#ifndef IDEM_BENCH_MQTT_LOAD_H
#define IDEM_BENCH_MQTT_LOAD_H

#include <stdbool.h>
#include <stdint.h>

struct load {
    uint16_t port;
    unsigned messages;  /* PUBLISH packets sent */
    unsigned copies;    /* 1: all new; 2: each message twice in a row */
    unsigned in_flight; /* unacknowledged at most */
    unsigned payload;   /* bytes */
    uint64_t first; /* number of the first key, so that rounds do not repeat each other */
    bool subscribe; /* with one subscriber at QoS 1 */
    unsigned deliveries; /* that the subscriber must get */
    bool unrelated;      /* for load_latencies: under a topic that no rule has */
};

/* Publishes everything and waits until all is acknowledged and delivered. Returns the seconds it took;
 * below zero, with a line on standard error, where anything went wrong. */
double load_run(const struct load *load);

/* One message at a time, at most one each pause_us: fills us, one for each of load->messages, with the
 * microseconds between sending it and its delivery. Returns whether all went well. A related and an
 * unrelated one may run at the same time. */
bool load_latencies(const struct load *load, unsigned pause_us, double *us);

#endif
