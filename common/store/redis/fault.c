/* SPDX-License-Identifier: MIT
 * The errors of Redis. */
#include "store/redis/fault.h"
#include "store/redis/nodes.h"

struct row {
    const char *prefix;
    struct idem_fault fault;
};

static const struct row rows[] = {
    {"OOM ", {IDEM_ERR_FULL, IDEM_FAULT_NONE}},
    {"MISCONF ", {IDEM_ERR_IO, IDEM_FAULT_NONE}},
    {"WRONGTYPE ", {IDEM_ERR_FORMAT, IDEM_FAULT_NONE}},
    {"NOSCRIPT ", {IDEM_ERR_UNAVAILABLE, IDEM_FAULT_SCRIPT}},
    {"ERR syntax error", {IDEM_ERR_UNSUPPORTED, IDEM_FAULT_SYNTAX}},
    {"READONLY ", {IDEM_ERR_UNAVAILABLE, IDEM_FAULT_LEAVE}},
    {"MASTERDOWN ", {IDEM_ERR_UNAVAILABLE, IDEM_FAULT_LEAVE}},
    {"LOADING ", {IDEM_ERR_UNAVAILABLE, IDEM_FAULT_LEAVE}},
    {"NOAUTH ", {IDEM_ERR_UNAVAILABLE, IDEM_FAULT_LEAVE}},
    {"CLUSTERDOWN ", {IDEM_ERR_UNAVAILABLE, IDEM_FAULT_MAP}},
    {"MOVED ", {IDEM_ERR_UNAVAILABLE, IDEM_FAULT_MAP}},
    {"ASK ", {IDEM_ERR_UNAVAILABLE, IDEM_FAULT_MAP}},
    {"TRYAGAIN ", {IDEM_ERR_UNAVAILABLE, IDEM_FAULT_MAP}},
    {"NOPERM ", {IDEM_ERR_UNAVAILABLE, IDEM_FAULT_NONE}},
};

static bool begins_with(struct idem_span text, const char *prefix) {
    size_t length = strlen(prefix);
    return text.len >= length && memcmp(text.data, prefix, length) == 0;
}

struct idem_fault idem_fault_of(const redisReply *reply) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (begins_with(idem_reply_text(reply), rows[i].prefix)) {
            return rows[i].fault;
        }
    }
    return (struct idem_fault){IDEM_ERR_UNAVAILABLE, IDEM_FAULT_NONE};
}

void idem_fault_note(struct idem_session *session, const redisReply *reply) {
    struct idem_span text = idem_reply_text(reply);
    int shown = text.len > 200 ? 200 : (int)text.len;
    enum idem_fault_remedy remedy = idem_fault_of(reply).remedy;
    if (remedy == IDEM_FAULT_MAP) {
        idem_nodes_doubt(session->options->nodes);
    }
    if (remedy == IDEM_FAULT_LEAVE) {
        (void)idem_error_set(&session->broken, IDEM_ERR_UNAVAILABLE, 0, "%.*s", shown,
                             (const char *)text.data);
    } else {
        idem_log_write(session->options->log, IDEM_LOG_DEBUG, "store.refused",
                       "Redis answered: %.*s", shown, (const char *)text.data);
    }
}
