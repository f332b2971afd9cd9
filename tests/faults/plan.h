/* SPDX-License-Identifier: MIT
 * What the harness does: a table of scenarios, and the disturbances they are made of. */
#ifndef TESTS_FAULTS_PLAN_H
#define TESTS_FAULTS_PLAN_H

#include <stddef.h>

struct stage;

enum plan_store {
    PLAN_EMBEDDED,
    PLAN_REDIS,
    PLAN_REDIS_TWO, /* two instances on one queue; what happens, happens to the first */
    PLAN_POSTGRES,  /* records and effects in one database: nothing is ever in doubt */
};

/* One round: traffic, and a disturbance in the middle of it. */
typedef void plan_round(struct stage *stage);

struct plan {
    const char *title;
    enum plan_store store;
    plan_round *round;
    unsigned short_rounds; /* 0: only in the long run */
    unsigned long_rounds;
    const char *point; /* of plan_points; NULL: each in its turn */
};

extern const struct plan plans[];
extern const size_t plan_count;

/* The crash points of the bridge: IDEM_FAULT_POINT in plugins/rabbitmq. */
struct plan_point {
    const char *name;
    unsigned most;  /* the process ends at the Nth passage, N up to this */
    unsigned sinks; /* on the way to which of them it is */
};

#define PLAN_TO_EXCHANGE 1u
#define PLAN_TO_DATABASE 2u
#define PLAN_TO_WORKER   4u /* and back: mode rpc, see rpc_faults.h */

extern const struct plan_point plan_points[];
extern const size_t plan_point_count;

#endif
