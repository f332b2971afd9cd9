/* SPDX-License-Identifier: MIT
 * Sockets: connecting, sending, receiving. */
#include "store/redis/link.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The parser moves what is left of its buffer for each KiB that it takes: small chunks keep that cheap. */
#define CHUNK 16384

void idem_redis_link_init(struct idem_redis_link *link) {
    *link = (struct idem_redis_link){.fd = -1};
}

void idem_redis_link_close(struct idem_redis_link *link) {
    if (link->fd >= 0) {
        (void)close(link->fd);
    }
    idem_reader_close(&link->reader);
    idem_tls_close(link->tls);
    idem_bytes_fini(&link->out);
    idem_bytes_fini(&link->wire);
    idem_redis_link_init(link);
}

static enum idem_code unavailable(struct idem_error *error, int number,
                                  const char *what) {
    return idem_error_set(error, IDEM_ERR_UNAVAILABLE, number, "%s: %s", what,
                          strerror(number));
}

static bool prepare_socket(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static enum idem_code begin(struct idem_redis_link *link, int family,
                            const struct sockaddr *address, socklen_t length,
                            struct idem_error *error) {
    link->fd = socket(family, SOCK_STREAM, 0);
    if (link->fd < 0 || !prepare_socket(link->fd)) {
        return unavailable(error, errno, "socket");
    }
    if (family != AF_UNIX) {
        int on = 1; /* without these it works too, only worse */
        (void)setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(link->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    if (connect(link->fd, address, length) != 0 && errno != EINPROGRESS) {
        return unavailable(error, errno, "connect");
    }
    return IDEM_OK;
}

static enum idem_code begin_unix(struct idem_redis_link *link, const char *path,
                                 struct idem_error *error) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _Static_assert(sizeof address.sun_path > 104, "an endpoint's path fits");
    memcpy(address.sun_path, path, strlen(path) + 1);
    return begin(link, AF_UNIX, (const struct sockaddr *)&address, sizeof address, error);
}

enum idem_code idem_redis_link_connect(struct idem_redis_link *link,
                                       const struct idem_endpoint *endpoint,
                                       const struct addrinfo *address,
                                       struct idem_tls_context *tls,
                                       struct idem_error *error) {
    enum idem_code code = idem_reader_open(&link->reader);
    if (code != IDEM_OK) {
        return idem_error_set(error, code, 0, "no memory for a connection");
    }
    if (tls != NULL) {
        code = idem_tls_open(&link->tls, tls, endpoint->host, error);
    }
    if (code == IDEM_OK) {
        code = address == NULL ? begin_unix(link, endpoint->path, error)
                               : begin(link, address->ai_family, address->ai_addr,
                                       address->ai_addrlen, error);
    }
    if (code != IDEM_OK) {
        idem_redis_link_close(link);
    }
    return code;
}

enum idem_code idem_redis_link_connected(struct idem_redis_link *link,
                                         struct idem_error *error) {
    int failure = 0;
    socklen_t length = sizeof failure;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &failure, &length) != 0) {
        failure = errno;
    }
    return failure == 0 ? IDEM_OK : unavailable(error, failure, "connect");
}

static bool try_later(int number) {
    return number == EAGAIN || number == EWOULDBLOCK || number == EINTR;
}

bool idem_redis_link_shaking(const struct idem_redis_link *link) {
    return link->tls != NULL && !idem_tls_established(link->tls);
}

/* A server that does not want us often ends the connection before we can have read why. */
static const char *likely_cause(const struct idem_redis_link *link) {
    if (idem_redis_link_shaking(link)) {
        return " during the TLS handshake; does it speak TLS there?";
    }
    return link->tls != NULL && !link->heard
               ? " after the TLS handshake; does it want a certificate (cert=, key=)?"
               : "";
}

static enum idem_code lost(const struct idem_redis_link *link, int number,
                           struct idem_error *error) {
    return idem_error_set(error, IDEM_ERR_UNAVAILABLE, number,
                          "the server closed the connection%s%s%s", likely_cause(link),
                          number != 0 ? ": " : "", number != 0 ? strerror(number) : "");
}

/* Sends from the front of bytes what the operating system takes. */
static enum idem_code send_bytes(const struct idem_redis_link *link,
                                 struct idem_bytes *bytes, size_t *count,
                                 struct idem_error *error) {
    *count = 0;
    while (bytes->end > bytes->start) {
        struct idem_span left = idem_bytes_left(bytes);
        ssize_t sent = send(link->fd, left.data, left.len, MSG_NOSIGNAL);
        if (sent < 0) {
            return try_later(errno) ? IDEM_OK : lost(link, errno, error);
        }
        *count += (size_t)sent;
        idem_bytes_take(bytes, (size_t)sent);
    }
    return IDEM_OK;
}

static bool empty(const struct idem_bytes *bytes) {
    return bytes->end == bytes->start;
}

/* What OpenSSL wants sent, whatever it is. */
static enum idem_code send_wire(struct idem_redis_link *link, struct idem_error *error) {
    size_t count = 0;
    if (idem_tls_drain(link->tls, &link->wire) != IDEM_OK) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for TLS");
    }
    return send_bytes(link, &link->wire, &count, error);
}

/* One record at a time, so that a command is known to be sent or not: of a record that is not whole,
 * the other side can read nothing. Its commands stay in out until then. */
static enum idem_code send_sealed(struct idem_redis_link *link,
                                  struct idem_error *error) {
    enum idem_code code = send_wire(link, error);
    while (code == IDEM_OK && empty(&link->wire)) {
        link->sent += link->sealed;
        idem_bytes_take(&link->out, link->sealed);
        struct idem_span left = idem_bytes_left(&link->out);
        link->sealed = left.len < IDEM_TLS_RECORD_MAX ? left.len : IDEM_TLS_RECORD_MAX;
        if (link->sealed == 0) {
            return IDEM_OK;
        }
        code = idem_tls_seal(link->tls, idem_span_of(left.data, link->sealed), error);
        if (code == IDEM_OK) {
            code = send_wire(link, error);
        }
    }
    return code;
}

static enum idem_code send_tls(struct idem_redis_link *link, struct idem_error *error) {
    if (!idem_tls_established(link->tls)) {
        enum idem_code code = idem_tls_handshake(link->tls, error);
        if (code != IDEM_OK || !idem_tls_established(link->tls)) {
            enum idem_code sent = send_wire(link, error);
            return code != IDEM_OK ? code : sent;
        }
    }
    return send_sealed(link, error);
}

enum idem_code idem_redis_link_send(struct idem_redis_link *link,
                                    struct idem_error *error) {
    if (link->out.failed) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for commands");
    }
    if (link->tls != NULL) {
        return send_tls(link, error);
    }
    size_t count = 0;
    enum idem_code code = send_bytes(link, &link->out, &count, error);
    link->sent += count;
    return code;
}

bool idem_redis_link_unsent(const struct idem_redis_link *link) {
    return !empty(&link->wire) || (!empty(&link->out) && !idem_redis_link_shaking(link));
}

static enum idem_code feed_reader(struct idem_redis_link *link, const void *data,
                                  size_t length, struct idem_error *error) {
    enum idem_code code = idem_reader_feed(&link->reader, data, length);
    return code == IDEM_OK ? code
                           : idem_error_set(error, code, 0,
                                            "a reply longer than any that was asked for");
}

/* All that is whole is taken out of OpenSSL, so nothing waits in there that epoll cannot see. */
static enum idem_code feed_tls(struct idem_redis_link *link, const void *data,
                               size_t length, struct idem_error *error) {
    uint8_t plain[CHUNK];
    enum idem_code code = idem_tls_feed(link->tls, data, length, error);
    if (code == IDEM_OK && !idem_tls_established(link->tls)) {
        code = idem_tls_handshake(link->tls, error);
    }
    size_t count = idem_tls_established(link->tls) ? 1 : 0;
    while (code == IDEM_OK && count > 0) {
        code = idem_tls_unseal(link->tls, plain, sizeof plain, &count, error);
        if (code == IDEM_OK && count > 0) {
            link->heard = true;
            code = feed_reader(link, plain, count, error);
        }
    }
    enum idem_code sent =
        send_wire(link, error); /* answers of the protocol, alerts too */
    return code != IDEM_OK ? code : sent;
}

enum idem_code idem_redis_link_receive(struct idem_redis_link *link, bool *more,
                                       struct idem_error *error) {
    uint8_t chunk[CHUNK];
    ssize_t count = recv(link->fd, chunk, sizeof chunk, 0);
    *more = count == CHUNK;
    if (count <= 0) {
        return count < 0 && try_later(errno) ? IDEM_OK
                                             : lost(link, count < 0 ? errno : 0, error);
    }
    return link->tls != NULL ? feed_tls(link, chunk, (size_t)count, error)
                             : feed_reader(link, chunk, (size_t)count, error);
}
