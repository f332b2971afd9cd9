/* SPDX-License-Identifier: MIT
 * What a node does at each of the broker's events. */
#include "node_own.h"

#include <idem/clock.h>

static struct idem_figure_sources sources_of(const struct idem_node *node) {
    int64_t up_ns = idem_clock_monotonic_ns() - node->started_ns;
    return (struct idem_figure_sources){
        .receiver = node->receiver,
        .store = node->store,
        .instance = node->config.instance,
        .uptime_s = (uint64_t)(up_ns / 1000000000),
        .parked_messages = node->intake.park.count,
        .parked_bytes = node->intake.park.bytes,
        .unsettled = node->settle.count,
        .latency = &node->intake.latency,
        .replay = &node->replay,
        .control = &node->control.counts,
    };
}

void idem_node_figures(void *arg, const struct idem_figure_visitor *visitor) {
    const struct idem_node *node = arg;
    const struct idem_figure_sources sources = sources_of(node);
    idem_figure_tree_texts(&sources, visitor);
    idem_figure_tree_numbers(&sources, node->figures.rules, visitor);
}

static void housekeeping(struct idem_node *node, int64_t now_ms) {
    idem_log_limit_flush(node->limit);
    idem_broker_log_flush(&node->broker_log);
    if (idem_figures_due(&node->figures, now_ms)) {
        const struct idem_figure_sources sources = sources_of(node);
        idem_figures_publish(&node->figures, &sources);
    }
}

int idem_node_on_message(struct idem_node *node, struct mosquitto_evt_message *event) {
    int64_t now_ms = idem_clock_wall_ms();
    idem_settle_on_message(&node->settle, now_ms);
    idem_intake_occasion(&node->intake);
    idem_node_remove_handovers(node);
    housekeeping(node, now_ms);
    if (idem_topic_reserved(event->topic)) {
        return MOSQ_ERR_ACL_DENIED;
    }
    if (idem_settle_reserve(&node->settle) != IDEM_OK) {
        return MOSQ_ERR_NOMEM; /* no acknowledgement: the client keeps the message */
    }
    idem_replay_response(&node->replay, event, now_ms);
    return idem_intake_message(&node->intake, event, now_ms);
}

int idem_node_on_tick(struct idem_node *node, bool whole_turn) {
    int64_t now_ms = idem_clock_wall_ms();
    /* All instances tick at the end of one turn. To those after the first, the turn that it has just ended
     * would look like a later one. */
    if (whole_turn) {
        idem_settle_on_tick(&node->settle, now_ms);
        node->intake.asked = node->control.questions > 0;
        idem_intake_turn(&node->intake, now_ms);
        idem_settle_end_turn(&node->settle);
    }
    idem_node_remove_handovers(node);
    housekeeping(node, now_ms);
    return MOSQ_ERR_SUCCESS;
}

/* The broker counts its memory against memory_limit; where it cannot give a page now, it may not have
 * been able to keep the message either. */
static bool broker_out_of_memory(void) {
    void *probe = mosquitto_malloc(4096);
    mosquitto_free(probe);
    return probe == NULL;
}

int idem_node_on_disconnect(struct idem_node *node,
                            const struct mosquitto_evt_disconnect *event) {
    int64_t now_ms = idem_clock_wall_ms();
    idem_settle_on_disconnect(&node->settle, event->client, broker_out_of_memory(),
                              now_ms);
    idem_control_client_gone(&node->control, event->client);
    idem_intake_occasion(&node->intake);
    housekeeping(node, now_ms);
    return MOSQ_ERR_SUCCESS;
}

int idem_node_on_control(struct idem_node *node,
                         const struct mosquitto_evt_control *event) {
    int64_t now_ms = idem_clock_wall_ms();
    int rc = idem_control_event(&node->control, event, now_ms);
    idem_intake_occasion(&node->intake);
    housekeeping(node, now_ms);
    return rc;
}
