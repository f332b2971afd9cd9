/* SPDX-License-Identifier: MIT
 * When a session has something to do, and how much is open on it. */
#include "store/redis/session.h"

static int64_t earlier(int64_t a_ms, int64_t b_ms) {
    return a_ms < b_ms ? a_ms : b_ms;
}

static int64_t state_due_ms(const struct idem_session *session) {
    bool refusing = session->breaker.state == IDEM_BREAKER_OPEN;
    switch (session->state) {
    case IDEM_SESSION_DOWN:
        return refusing ? session->breaker.retry_at_ms : INT64_MIN;
    case IDEM_SESSION_CONNECTING:
        return earlier(idem_approach_due_ms(&session->approach), session->state_until_ms);
    case IDEM_SESSION_GREETING:
        return session->state_until_ms;
    case IDEM_SESSION_UP:
        break;
    }
    return refusing ? earlier(session->breaker.retry_at_ms, session->heartbeat_at_ms)
                    : session->heartbeat_at_ms;
}

int64_t idem_session_due_ms(const struct idem_session *session) {
    if (session->broken.code != IDEM_OK) {
        return INT64_MIN;
    }
    return earlier(state_due_ms(session), idem_line_due_ms(&session->line));
}

size_t idem_session_open_count(const struct idem_session *session) {
    return idem_line_open_count(&session->line);
}
