/* SPDX-License-Identifier: MIT
 * Waiting for the confirms of a channel. */
#include "rabbitmq_confirms.h"
#include "testing.h"

#include <stdlib.h>
#include <sys/time.h>

#define CONFIRM_SECONDS 60

static void fail_of_method(const amqp_method_t *method) {
    const amqp_basic_nack_t *nack = method->decoded;
    const amqp_basic_return_t *returned = method->decoded;
    const amqp_channel_close_t *closed = method->decoded;
    switch (method->id) {
    case AMQP_BASIC_NACK_METHOD:
        fail_msg("the broker refuses message %llu%s (basic.nack)",
                 (unsigned long long)nack->delivery_tag,
                 nack->multiple ? " and those before it" : "");
        return;
    case AMQP_BASIC_RETURN_METHOD:
        fail_msg("the broker returns a message for %.*s: %u %.*s",
                 (int)returned->routing_key.len, (char *)returned->routing_key.bytes,
                 returned->reply_code, (int)returned->reply_text.len,
                 (char *)returned->reply_text.bytes);
        return;
    case AMQP_CHANNEL_CLOSE_METHOD:
        fail_msg("the broker closes the channel: %.*s", (int)closed->reply_text.len,
                 (char *)closed->reply_text.bytes);
        return;
    default:
        fail_msg("%s instead of a confirm", amqp_method_name(method->id));
    }
}

/* Marks what an ack confirms: in settled the first is the message after confirms->confirmed. Acks may come in
 * any order, single ones and multiple ones mixed. Returns how many were not marked before. */
static size_t mark(const struct rabbitmq_confirms *confirms, bool *settled,
                   const amqp_basic_ack_t *ack) {
    size_t fresh = 0;
    if (ack->delivery_tag <= confirms->confirmed ||
        ack->delivery_tag > confirms->published) {
        fail_msg("a confirm of message %llu, where %llu to %llu are open",
                 (unsigned long long)ack->delivery_tag,
                 (unsigned long long)confirms->confirmed + 1,
                 (unsigned long long)confirms->published);
    }
    uint64_t last = ack->delivery_tag - confirms->confirmed;
    for (uint64_t i = ack->multiple ? 0 : last - 1; i < last; i++) {
        fresh += settled[i] ? 0 : 1;
        settled[i] = true;
    }
    return fresh;
}

static size_t take_confirm(const struct rabbitmq_confirms *confirms,
                           amqp_connection_state_t connection, bool *settled,
                           size_t open) {
    amqp_frame_t frame;
    struct timeval patience = {.tv_sec = CONFIRM_SECONDS};
    int status = amqp_simple_wait_frame_noblock(connection, &frame, &patience);
    if (status != AMQP_STATUS_OK) {
        fail_msg("%zu of %llu messages are not confirmed: %s", open,
                 (unsigned long long)confirms->published, amqp_error_string2(status));
    }
    assert_int_equal(frame.frame_type, AMQP_FRAME_METHOD);
    if (frame.payload.method.id != AMQP_BASIC_ACK_METHOD) {
        fail_of_method(&frame.payload.method);
    }
    size_t fresh = mark(confirms, settled, frame.payload.method.decoded);
    amqp_maybe_release_buffers(connection);
    return fresh;
}

void rabbitmq_await_confirms(struct rabbitmq_confirms *confirms,
                             amqp_connection_state_t connection) {
    size_t open = (size_t)(confirms->published - confirms->confirmed);
    bool *settled = calloc(open + 1, sizeof *settled);
    assert_non_null(settled);
    while (open > 0) {
        open -= take_confirm(confirms, connection, settled, open);
    }
    confirms->confirmed = confirms->published;
    free(settled);
}
