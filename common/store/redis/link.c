/* SPDX-License-Identifier: MIT
 * Sockets: connecting, sending, receiving. */
#include "store/redis/link.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
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
    idem_bytes_fini(&link->out);
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

static const struct addrinfo *pick(const struct addrinfo *list, unsigned attempt) {
    unsigned count = 0;
    for (const struct addrinfo *one = list; one != NULL; one = one->ai_next) {
        count++;
    }
    for (unsigned skip = attempt % count; skip > 0; skip--) {
        list = list->ai_next;
    }
    return list;
}

static enum idem_code begin_tcp(struct idem_redis_link *link,
                                const struct idem_endpoint *endpoint, unsigned attempt,
                                struct idem_error *error) {
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)endpoint->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int failure = getaddrinfo(endpoint->host, port, &hints, &list);
    if (failure != 0 || list == NULL) {
        return idem_error_set(error, IDEM_ERR_UNAVAILABLE, 0, "cannot resolve %s: %s",
                              endpoint->host, gai_strerror(failure));
    }
    const struct addrinfo *chosen = pick(list, attempt);
    enum idem_code code =
        begin(link, chosen->ai_family, chosen->ai_addr, chosen->ai_addrlen, error);
    freeaddrinfo(list);
    return code;
}

enum idem_code idem_redis_link_connect(struct idem_redis_link *link,
                                       const struct idem_endpoint *endpoint,
                                       unsigned attempt, struct idem_error *error) {
    enum idem_code code = idem_reader_open(&link->reader);
    if (code != IDEM_OK) {
        return idem_error_set(error, code, 0, "no memory for a connection");
    }
    code = endpoint->path[0] != '\0' ? begin_unix(link, endpoint->path, error)
                                     : begin_tcp(link, endpoint, attempt, error);
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

enum idem_code idem_redis_link_send(struct idem_redis_link *link,
                                    struct idem_error *error) {
    if (link->out.failed) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for commands");
    }
    while (link->out.end > link->out.start) {
        struct idem_span left = idem_bytes_left(&link->out);
        ssize_t sent = send(link->fd, left.data, left.len, MSG_NOSIGNAL);
        if (sent < 0) {
            return try_later(errno) ? IDEM_OK : unavailable(error, errno, "send");
        }
        link->sent += (uint64_t)sent;
        idem_bytes_take(&link->out, (size_t)sent);
    }
    return IDEM_OK;
}

enum idem_code idem_redis_link_receive(struct idem_redis_link *link, bool *more,
                                       struct idem_error *error) {
    uint8_t chunk[CHUNK];
    ssize_t count = recv(link->fd, chunk, sizeof chunk, 0);
    *more = count == CHUNK;
    if (count < 0) {
        return try_later(errno) ? IDEM_OK : unavailable(error, errno, "receive");
    }
    if (count == 0) {
        return idem_error_set(error, IDEM_ERR_UNAVAILABLE, 0,
                              "the server closed the connection");
    }
    enum idem_code code = idem_reader_feed(&link->reader, chunk, (size_t)count);
    return code == IDEM_OK ? code
                           : idem_error_set(error, code, 0,
                                            "a reply longer than any that was asked for");
}
