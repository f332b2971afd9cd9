/* SPDX-License-Identifier: MIT
 * rabbitmq-c under the two names that its headers have had. */
#ifndef IDEM_RABBITMQ_RABBIT_H
#define IDEM_RABBITMQ_RABBIT_H

#ifdef __has_include
/* cppcheck-suppress preprocessorErrorDirective */
#if __has_include(<rabbitmq-c/amqp.h>)
#define IDEM_RABBITMQ_C_FOLDER
#endif
#endif
#ifdef IDEM_RABBITMQ_C_FOLDER
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif

#include <idem/span.h>

static inline amqp_bytes_t idem_rabbit_bytes(struct idem_span span) {
    amqp_bytes_t bytes = {span.len, (void *)(uintptr_t)span.data};
    return bytes;
}

static inline amqp_bytes_t idem_rabbit_text(const char *text) {
    return idem_rabbit_bytes(idem_span_text(text));
}

static inline struct idem_span idem_rabbit_span(amqp_bytes_t bytes) {
    struct idem_span none = {NULL, 0};
    return bytes.bytes != NULL ? idem_span_of(bytes.bytes, bytes.len) : none;
}

#endif
