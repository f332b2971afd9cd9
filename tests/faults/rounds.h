/* SPDX-License-Identifier: MIT
 * The disturbances: each function is one round of a scenario. */
#ifndef TESTS_FAULTS_ROUNDS_H
#define TESTS_FAULTS_ROUNDS_H

#include "plan.h"

plan_round round_bridge_killed;
plan_round round_bridge_away;    /* killed, and gone for longer than its leases */
plan_round round_bridge_stopped; /* SIGSTOP for longer than its leases */
plan_round round_host_lost;      /* killed, with what was on its way in its connections */
plan_round round_point;
plan_round round_rabbitmq_killed;
plan_round round_redis_killed;
plan_round round_both_killed; /* Redis and the bridge at once */
plan_round round_postgres_killed;
plan_round round_both_lost;  /* PostgreSQL and the bridge at once */
plan_round round_all_killed; /* these and RabbitMQ */
plan_round round_source_cut;
plan_round round_source_stalled;
plan_round round_source_slow;
plan_round round_sink_cut;
plan_round round_sink_stalled;
plan_round round_sink_slow;
plan_round round_ends_apart; /* both are lost, and come back one by one */
plan_round round_store_cut;
plan_round round_store_stalled;
plan_round round_store_slow;
plan_round round_anything; /* one of them, by chance */
plan_round round_anything_to_postgres;

#endif
