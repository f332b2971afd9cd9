/* SPDX-License-Identifier: MIT
 * One connection to a RabbitMQ, with one channel. */
#define _DEFAULT_SOURCE /* TCP_USER_TIMEOUT, TCP_CORK */

#include "link.h"

#include "address.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define MILLISECONDS_TV(ms)                                                              \
    { (ms) / 1000, ((ms) % 1000) * 1000 }

/* A content header: class, weight and size of the body before the properties; frame header and end. */
#define CONTENT_HEADER_OVERHEAD (12 + 8)

static enum idem_code refused(const struct idem_link *link, const char *what,
                              const amqp_method_t *method, struct idem_error *error) {
    amqp_bytes_t text = idem_rabbit_text("for no reason that is known");
    unsigned code = 0;
    if (method->id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *close = method->decoded;
        code = close->reply_code;
        text = close->reply_text;
    } else if (method->id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *close = method->decoded;
        code = close->reply_code;
        text = close->reply_text;
    }
    /* 320 connection-forced and 541 internal-error say nothing about what was asked. */
    bool passing = code == AMQP_CONNECTION_FORCED || code == AMQP_INTERNAL_ERROR;
    return idem_error_set(error, passing ? IDEM_ERR_UNAVAILABLE : IDEM_ERR_CONFIG, 0,
                          "%s: %s was refused: %u %.*s", link->name, what, code,
                          (int)text.len, (const char *)text.bytes);
}

static enum idem_code check(const struct idem_link *link, const char *what,
                            amqp_rpc_reply_t reply, struct idem_error *error) {
    switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        return IDEM_OK;
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        return refused(link, what, &reply.reply, error);
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
    case AMQP_RESPONSE_NONE:
        break;
    }
    return idem_error_set(error, IDEM_ERR_UNAVAILABLE, 0, "%s: %s failed: %s", link->name,
                          what, amqp_error_string2(reply.library_error));
}

/* The library does not know where systems keep the authorities that they trust. */
static const char *system_authorities(void) {
    static const char *const paths[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt",
                                        "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (access(paths[i], R_OK) == 0) {
            return paths[i];
        }
    }
    return paths[0];
}

static amqp_socket_t *make_socket(struct idem_link *link,
                                  const struct idem_address *address,
                                  struct idem_error *error) {
    if (!address->tls) {
        return amqp_tcp_socket_new(link->connection);
    }
    amqp_socket_t *socket = amqp_ssl_socket_new(link->connection);
    if (socket == NULL) {
        return NULL;
    }
    amqp_ssl_socket_set_verify_peer(socket, 1);
    amqp_ssl_socket_set_verify_hostname(socket, 1);
    const char *ca_file =
        address->ca_file != NULL ? address->ca_file : system_authorities();
    if (amqp_ssl_socket_set_cacert(socket, ca_file) != AMQP_STATUS_OK) {
        (void)idem_error_set(error, IDEM_ERR_CONFIG, 0,
                             "%s: not a file of CA certificates", ca_file);
        return NULL;
    }
    if (address->certificate != NULL &&
        amqp_ssl_socket_set_key(socket, address->certificate, address->private_key) !=
            AMQP_STATUS_OK) {
        (void)idem_error_set(error, IDEM_ERR_CONFIG, 0,
                             "%s, %s: not a certificate and its key",
                             address->certificate, address->private_key);
        return NULL;
    }
    return socket;
}

static enum idem_code open_socket(struct idem_link *link,
                                  const struct idem_address *address,
                                  struct idem_error *error) {
    const struct timeval limit = MILLISECONDS_TV(IDEM_LINK_CONNECT_MS);
    amqp_socket_t *socket = make_socket(link, address, error);
    if (socket == NULL) {
        (void)idem_error_set(error, IDEM_ERR_NOMEM, 0, "no socket could be made");
        return error->code;
    }
    int status = amqp_socket_open_noblock(socket, address->host, address->port, &limit);
    if (status != AMQP_STATUS_OK) {
        return idem_error_set(error, IDEM_ERR_UNAVAILABLE, errno, "%s:%d: %s",
                              address->host, address->port, amqp_error_string2(status));
    }
    const int patience = IDEM_LINK_WRITE_TIMEOUT_MS;
    if (setsockopt(idem_link_fd(link), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience,
                   sizeof patience) != 0) {
        return idem_error_set(error, IDEM_ERR_IO, errno, "setsockopt failed");
    }
    return IDEM_OK;
}

static amqp_table_entry_t capability(const char *name) {
    amqp_table_entry_t entry = {.key = idem_rabbit_text(name)};
    entry.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    entry.value.value.boolean = 1;
    return entry;
}

static enum idem_code log_in(struct idem_link *link, const struct idem_address *address,
                             struct idem_error *error) {
    char title[64];
    (void)snprintf(title, sizeof title, "idem-bridge %s", link->name);
    amqp_table_entry_t capabilities[] = {
        capability("publisher_confirms"), capability("consumer_cancel_notify"),
        capability("basic.nack"), capability("connection.blocked")};
    amqp_table_entry_t entries[2] = {{.key = idem_rabbit_text("capabilities")},
                                     {.key = idem_rabbit_text("connection_name")}};
    entries[0].value.kind = AMQP_FIELD_KIND_TABLE;
    entries[0].value.value.table.num_entries = 4;
    entries[0].value.value.table.entries = capabilities;
    entries[1].value.kind = AMQP_FIELD_KIND_UTF8;
    entries[1].value.value.bytes = idem_rabbit_text(title);
    amqp_table_t properties = {2, entries};
    return check(link, "logging in",
                 amqp_login_with_properties(link->connection, address->vhost, 1,
                                            IDEM_LINK_FRAME_MAX, IDEM_LINK_HEARTBEAT_S,
                                            &properties, AMQP_SASL_METHOD_PLAIN,
                                            address->user, address->password),
                 error);
}

static enum idem_code set_up(struct idem_link *link, const struct idem_address *address,
                             struct idem_error *error) {
    const struct timeval limit = MILLISECONDS_TV(IDEM_LINK_CONNECT_MS);
    if (amqp_set_handshake_timeout(link->connection, &limit) != AMQP_STATUS_OK ||
        amqp_set_rpc_timeout(link->connection, &limit) != AMQP_STATUS_OK) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0, "no timeouts");
    }
    enum idem_code code = open_socket(link, address, error);
    if (code == IDEM_OK) {
        code = log_in(link, address, error);
    }
    if (code == IDEM_OK) {
        (void)amqp_channel_open(link->connection, IDEM_LINK_CHANNEL);
        code = idem_link_reply(link, "opening a channel", error);
    }
    return code;
}

enum idem_code idem_link_open(struct idem_link *link, const struct idem_address *address,
                              struct idem_error *error) {
    link->blocked = false;
    link->channel_closed = false;
    link->connection = amqp_new_connection();
    if (link->connection == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    enum idem_code code = set_up(link, address, error);
    if (code != IDEM_OK) {
        idem_link_close(link, false);
    }
    return code;
}

void idem_link_close(struct idem_link *link, bool politely) {
    if (link->connection == NULL) {
        return;
    }
    if (politely) {
        const struct timeval limit = MILLISECONDS_TV(IDEM_LINK_GOODBYE_MS);
        (void)amqp_set_rpc_timeout(link->connection, &limit);
        (void)amqp_connection_close(link->connection, AMQP_REPLY_SUCCESS);
    }
    (void)amqp_destroy_connection(link->connection);
    link->connection = NULL;
}

static void log_closing(struct idem_link *link, const char *what, uint16_t code,
                        amqp_bytes_t text) {
    idem_log_write(link->log, IDEM_LOG_WARNING, "link.closed",
                   "%s: the broker closed the %s: %u %.*s", link->name, what,
                   (unsigned)code, (int)text.len, (const char *)text.bytes);
}

static enum idem_link_result connection_method(struct idem_link *link,
                                               const amqp_method_t *method) {
    if (method->id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *close = method->decoded;
        amqp_connection_close_ok_t answer = {0};
        log_closing(link, "connection", close->reply_code, close->reply_text);
        (void)amqp_send_method(link->connection, 0, AMQP_CONNECTION_CLOSE_OK_METHOD,
                               &answer);
        return IDEM_LINK_LOST;
    }
    if (method->id == AMQP_CONNECTION_BLOCKED_METHOD) {
        const amqp_connection_blocked_t *blocked = method->decoded;
        link->blocked = true;
        idem_log_write(link->log, IDEM_LOG_WARNING, "link.blocked",
                       "%s: the broker takes no messages now: %.*s", link->name,
                       (int)blocked->reason.len, (const char *)blocked->reason.bytes);
    } else if (method->id == AMQP_CONNECTION_UNBLOCKED_METHOD) {
        link->blocked = false;
        idem_log_write(link->log, IDEM_LOG_NOTICE, "link.unblocked",
                       "%s: the broker takes messages again", link->name);
    }
    return IDEM_LINK_NOTHING;
}

static enum idem_link_result channel_closed(struct idem_link *link,
                                            const amqp_method_t *method) {
    const amqp_channel_close_t *close = method->decoded;
    amqp_channel_close_ok_t answer = {0};
    log_closing(link, "channel", close->reply_code, close->reply_text);
    link->channel_closed = true;
    (void)amqp_send_method(link->connection, IDEM_LINK_CHANNEL,
                           AMQP_CHANNEL_CLOSE_OK_METHOD, &answer);
    return IDEM_LINK_LOST;
}

/* NOTHING here: the frame was for the connection, and has been dealt with. */
static enum idem_link_result sort(struct idem_link *link, const amqp_frame_t *frame) {
    if (frame->channel == 0) {
        return frame->frame_type == AMQP_FRAME_METHOD
                   ? connection_method(link, &frame->payload.method)
                   : IDEM_LINK_NOTHING;
    }
    if (frame->frame_type == AMQP_FRAME_METHOD &&
        frame->payload.method.id == AMQP_CHANNEL_CLOSE_METHOD) {
        return channel_closed(link, &frame->payload.method);
    }
    return IDEM_LINK_FRAME;
}

enum idem_link_result idem_link_read(struct idem_link *link, amqp_frame_t *frame) {
    const struct timeval at_once = {0, 0};
    enum idem_link_result result = IDEM_LINK_NOTHING;
    while (result == IDEM_LINK_NOTHING) {
        int status = amqp_simple_wait_frame_noblock(link->connection, frame, &at_once);
        if (status == AMQP_STATUS_TIMEOUT) {
            return IDEM_LINK_NOTHING;
        }
        if (!idem_link_ok(link, "reading", status)) {
            return IDEM_LINK_LOST;
        }
        result = sort(link, frame);
    }
    return result;
}

void idem_link_release(struct idem_link *link) {
    amqp_maybe_release_buffers(link->connection);
}

bool idem_link_buffered(const struct idem_link *link) {
    return link->connection != NULL && (amqp_frames_enqueued(link->connection) ||
                                        amqp_data_in_buffer(link->connection));
}

int idem_link_fd(const struct idem_link *link) {
    return amqp_get_sockfd(link->connection);
}

bool idem_link_writable(const struct idem_link *link) {
    struct pollfd descriptor = {.fd = idem_link_fd(link), .events = POLLOUT};
    return poll(&descriptor, 1, 0) == 1;
}

/* Where it fails, segments are smaller than they could be, and that is all. */
void idem_link_gather(const struct idem_link *link, bool gather) {
    const int on = gather;
    (void)setsockopt(idem_link_fd(link), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

size_t idem_link_properties_max(const struct idem_link *link) {
    int most = amqp_get_frame_max(link->connection);
    return most > CONTENT_HEADER_OVERHEAD ? (size_t)(most - CONTENT_HEADER_OVERHEAD) : 0;
}

enum idem_code idem_link_reply(const struct idem_link *link, const char *what,
                               struct idem_error *error) {
    return check(link, what, amqp_get_rpc_reply(link->connection), error);
}

bool idem_link_ok(const struct idem_link *link, const char *what, int status) {
    if (status == AMQP_STATUS_OK) {
        return true;
    }
    idem_log_write(link->log, IDEM_LOG_WARNING, "link.lost", "%s: %s failed: %s",
                   link->name, what, amqp_error_string2(status));
    return false;
}
