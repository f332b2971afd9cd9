/* SPDX-License-Identifier: MIT
 * Acknowledgements of the source channel, batched. */
#include "acks.h"

#include <stddef.h>
#include <string.h>

void idem_acks_init(struct idem_acks *acks) {
    memset(acks, 0, sizeof *acks);
}

void idem_acks_open(struct idem_acks *acks, struct idem_ack_node *node, uint64_t tag) {
    memset(node, 0, sizeof *node);
    node->tag = tag;
    node->before = acks->last;
    if (acks->last != NULL) {
        acks->last->after = node;
    } else {
        acks->first = node;
    }
    acks->last = node;
}

void idem_acks_settle(struct idem_acks *acks, struct idem_ack_node *node) {
    node->settled = true;
    node->settled_before = acks->settled_last;
    if (acks->settled_last != NULL) {
        acks->settled_last->settled_after = node;
    } else {
        acks->settled_first = node;
    }
    acks->settled_last = node;
}

static void unlink_outstanding(struct idem_acks *acks, struct idem_ack_node *node) {
    *(node->before != NULL ? &node->before->after : &acks->first) = node->after;
    *(node->after != NULL ? &node->after->before : &acks->last) = node->before;
}

static void unlink_settled(struct idem_acks *acks, struct idem_ack_node *node) {
    *(node->settled_before != NULL ? &node->settled_before->settled_after
                                   : &acks->settled_first) = node->settled_after;
    *(node->settled_after != NULL ? &node->settled_after->settled_before
                                  : &acks->settled_last) = node->settled_before;
}

void idem_acks_withdraw(struct idem_acks *acks, struct idem_ack_node *node) {
    unlink_outstanding(acks, node);
}

static void tell(struct idem_acks *acks, struct idem_ack_node *node,
                 const struct idem_acks_sink *sink) {
    unlink_outstanding(acks, node);
    unlink_settled(acks, node);
    sink->told(sink->arg, node);
}

/* The last of the settled deliveries at the front; NULL: the first one is not settled. */
static struct idem_ack_node *end_of_run(const struct idem_acks *acks) {
    struct idem_ack_node *end = NULL;
    for (struct idem_ack_node *at = acks->first; at != NULL && at->settled;
         at = at->after) {
        end = at;
    }
    return end;
}

static bool flush_run(struct idem_acks *acks, const struct idem_acks_sink *sink) {
    struct idem_ack_node *end = end_of_run(acks);
    if (end == NULL) {
        return true;
    }
    const uint64_t tag = end->tag;
    if (!sink->send(sink->arg, tag, acks->first != end)) {
        return false;
    }
    while (acks->first != NULL && acks->first->settled && acks->first->tag <= tag) {
        tell(acks, acks->first, sink);
    }
    return true;
}

bool idem_acks_flush(struct idem_acks *acks, const struct idem_acks_sink *sink) {
    if (!flush_run(acks, sink)) {
        return false;
    }
    while (acks->settled_first != NULL) {
        struct idem_ack_node *node = acks->settled_first;
        if (!sink->send(sink->arg, node->tag, false)) {
            return false;
        }
        tell(acks, node, sink);
    }
    return true;
}
