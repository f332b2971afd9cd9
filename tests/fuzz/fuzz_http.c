/* SPDX-License-Identifier: MIT
 * Fuzz target: any bytes as what a client sends to the bridge's web server. It answers or closes, and tells no
 * figure to whoever has not the token. The first byte picks the server: with a token or without.
 *
 * The server is the real one, in the fuzzer's thread: its loop is turned here, so that a fault belongs to the
 * input that is being tried. For that its source is included. */
#define _GNU_SOURCE /* memmem */
#include "../../plugins/rabbitmq/http/server.c"

#include <event2/listener.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define TOKEN      "0123456789abcdef"
#define REPLY_MAX  (1 << 20)
#define TURNS_IDLE 4 /* without news: then the client gives up */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct idem_http *servers[2];
static unsigned short ports[2];

static void require(bool holds, const char *what) {
    if (!holds) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

static void observe_nothing(void *arg, struct idem_observation *observation) {
    (void)arg;
    observation->instance = "fuzz";
    observation->queue = "in";
    observation->workers = 1;
    observation->sighting_count = 1;
}

static void open_servers(void) {
    require(idem_digest_init(NULL) == IDEM_OK, "no hash");
    for (size_t i = 0; i < 2; i++) {
        const struct idem_http_options options = {.listen = "127.0.0.1:0",
                                                  .token = i == 0 ? NULL : TOKEN,
                                                  .observe = observe_nothing};
        struct sockaddr_in address;
        socklen_t length = sizeof address;
        require(idem_http_open(&servers[i], &options, NULL) == IDEM_OK, "no server");
        evutil_socket_t fd = evconnlistener_get_fd(servers[i]->door.listener);
        require(getsockname(fd, (struct sockaddr *)&address, &length) == 0, "no port");
        ports[i] = address.sin_port;
    }
}

/* Closed by a reset: nothing stays in the system. */
static int connect_to(unsigned short port) {
    const struct linger reset = {1, 0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    require(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0,
            "no connection");
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    require(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    return fd;
}

/* Sends all that is taken, and returns how much came before the server closed or the client gave up. */
static size_t converse(struct idem_http *server, int fd, const uint8_t *data, size_t size,
                       char *reply) {
    size_t sent = 0;
    size_t got = 0;
    for (int idle = 0; idle < TURNS_IDLE; idle++) {
        ssize_t written =
            sent < size ? send(fd, data + sent, size - sent, MSG_NOSIGNAL) : 0;
        if (written > 0) {
            sent += (size_t)written;
            idle = 0;
        }
        (void)event_base_loop(server->base, EVLOOP_NONBLOCK);
        ssize_t count = recv(fd, reply + got, REPLY_MAX - got, 0);
        if (count == 0) {
            break;
        }
        if (count > 0) {
            got += (size_t)count;
            idle = 0;
        }
    }
    reply[got] = '\0';
    return got;
}

static void judge(const char *reply, size_t length, bool needs_token,
                  const uint8_t *request, size_t size) {
    require(length == 0 || strncmp(reply, "HTTP/", 5) == 0, "no answer of HTTP");
    require(strstr(reply, TOKEN) == NULL, "the token is told");
    bool tells = strstr(reply, "idem_build_info") != NULL;
    bool had_it = memmem(request, size, TOKEN, strlen(TOKEN)) != NULL;
    require(!tells || !needs_token || had_it, "figures without the token");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char reply[REPLY_MAX + 1];
    if (servers[0] == NULL) {
        open_servers();
    }
    if (size == 0) {
        return 0;
    }
    struct idem_http *server = servers[data[0] & 1];
    int fd = connect_to(ports[data[0] & 1]);
    size_t length = converse(server, fd, data + 1, size - 1, reply);
    (void)close(fd);
    for (int i = 0; i < 2; i++) {
        (void)event_base_loop(server->base, EVLOOP_NONBLOCK);
    }
    judge(reply, length, (data[0] & 1) != 0, data + 1, size - 1);
    return 0;
}
