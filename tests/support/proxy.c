/* SPDX-License-Identifier: MIT
 * A TCP proxy that can delay, stall and cut: a thread of its own, told what to do through a lock. No child of
 * the test inherits its descriptors: a connection that one of them still holds does not end when it is closed
 * here. */
#define _GNU_SOURCE /* accept4, pipe2 */
#include "proxy.h"

#include <idem/clock.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS_MAX 64
#define CHUNK     16384
#define QUEUE_MAX 1024 /* chunks on their way in one direction */

struct chunk {
    struct chunk *next;
    int64_t due_ms;
    size_t start;
    size_t end;
    char bytes[CHUNK];
};

/* One direction of a connection. */
struct stream {
    int from;
    int to;
    bool ended; /* from has no more */
    struct chunk *first;
    struct chunk **last;
    size_t count;
};

struct pair {
    bool used;
    struct stream streams[2];
};

struct proxy {
    pthread_t thread;
    pthread_mutex_t lock;
    int listener;
    int wake[2]; /* a byte makes the thread look at what it is to do */
    unsigned port;
    unsigned target_port;
    unsigned accepted;
    int delay_ms;
    bool stalled;
    bool refusing;
    bool cut;
    bool stop;
    struct pair pairs[PAIRS_MAX]; /* the thread's own */
};

static int64_t now_ms(void) {
    return idem_clock_monotonic_ns() / 1000000;
}

static struct sockaddr_in loopback(unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    return address;
}

static void set_options(int fd) {
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
}

static void open_stream(struct stream *stream, int from, int to) {
    *stream = (struct stream){.from = from, .to = to};
    stream->last = &stream->first;
}

static void close_pair(struct pair *pair, bool reset) {
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    for (int i = 0; i < 2; i++) {
        struct stream *stream = &pair->streams[i];
        while (stream->first != NULL) {
            struct chunk *next = stream->first->next;
            free(stream->first);
            stream->first = next;
        }
        if (reset) {
            (void)setsockopt(stream->from, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        }
        (void)close(stream->from);
    }
    pair->used = false;
}

static void accept_one(struct proxy *proxy, bool refusing) {
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
    struct sockaddr_in target = loopback(proxy->target_port);
    int server =
        client >= 0 && !refusing ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    struct pair *pair = proxy->pairs;
    while (pair < proxy->pairs + PAIRS_MAX && pair->used) {
        pair++;
    }
    if (server < 0 || pair == proxy->pairs + PAIRS_MAX ||
        connect(server, (struct sockaddr *)&target, sizeof target) != 0) {
        (void)close(client);
        (void)close(server);
        return;
    }
    set_options(client);
    set_options(server);
    open_stream(&pair->streams[0], client, server);
    open_stream(&pair->streams[1], server, client);
    pair->used = true;
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->accepted++;
    (void)pthread_mutex_unlock(&proxy->lock);
}

/* False: the connection is broken. */
static bool take_in(struct stream *stream, int delay_ms) {
    struct chunk *chunk = malloc(sizeof *chunk);
    if (chunk == NULL) {
        return false;
    }
    ssize_t count = recv(stream->from, chunk->bytes, CHUNK, 0);
    if (count <= 0) {
        free(chunk);
        stream->ended = count == 0;
        return count == 0 || errno == EAGAIN || errno == EINTR;
    }
    chunk->next = NULL;
    chunk->start = 0;
    chunk->end = (size_t)count;
    chunk->due_ms = now_ms() + delay_ms;
    *stream->last = chunk;
    stream->last = &chunk->next;
    stream->count++;
    return true;
}

/* False: the connection is broken, or both ends have said all they had to say. */
static bool give_out(struct stream *stream) {
    while (stream->first != NULL && stream->first->due_ms <= now_ms()) {
        struct chunk *chunk = stream->first;
        ssize_t sent = send(stream->to, chunk->bytes + chunk->start,
                            chunk->end - chunk->start, MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        chunk->start += (size_t)sent;
        if (chunk->start == chunk->end) {
            stream->first = chunk->next;
            stream->last = stream->first != NULL ? stream->last : &stream->first;
            stream->count--;
            free(chunk);
        }
    }
    return !(stream->ended && stream->first == NULL);
}

static void serve_pair(struct pair *pair, const struct pollfd *descriptors,
                       int delay_ms) {
    for (int i = 0; i < 2; i++) {
        struct stream *stream = &pair->streams[i];
        bool readable = (descriptors[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
        if ((readable && !stream->ended && !take_in(stream, delay_ms)) ||
            !give_out(stream)) {
            close_pair(pair, false);
            return;
        }
    }
}

static int time_left(const struct proxy *proxy) {
    int64_t earliest = INT64_MAX;
    for (const struct pair *pair = proxy->pairs; pair < proxy->pairs + PAIRS_MAX;
         pair++) {
        for (int i = 0; pair->used && i < 2; i++) {
            const struct chunk *first = pair->streams[i].first;
            if (first != NULL && first->due_ms < earliest) {
                earliest = first->due_ms;
            }
        }
    }
    int64_t left = earliest == INT64_MAX ? 1000 : earliest - now_ms();
    return left < 1 ? 1 : (int)left;
}

static void turn(struct proxy *proxy, int delay_ms, bool stalled, bool refusing) {
    struct pollfd descriptors[2 + 2 * PAIRS_MAX];
    struct pair *owners[PAIRS_MAX];
    nfds_t count = 2;
    descriptors[0] = (struct pollfd){.fd = proxy->wake[0], .events = POLLIN};
    descriptors[1] =
        (struct pollfd){.fd = stalled ? -1 : proxy->listener, .events = POLLIN};
    for (struct pair *pair = proxy->pairs; !stalled && pair < proxy->pairs + PAIRS_MAX;
         pair++) {
        for (int i = 0; pair->used && i < 2; i++) {
            bool room = pair->streams[i].count < QUEUE_MAX && !pair->streams[i].ended;
            owners[(count - 2) / 2] = pair;
            descriptors[count++] = (struct pollfd){
                .fd = room ? pair->streams[i].from : -1, .events = POLLIN};
        }
    }
    (void)poll(descriptors, count, stalled ? 1000 : time_left(proxy));
    char byte = 0;
    if (descriptors[0].revents != 0) {
        (void)!read(proxy->wake[0], &byte, 1);
        return;
    }
    for (nfds_t i = 2; i < count; i += 2) {
        serve_pair(owners[(i - 2) / 2], &descriptors[i], delay_ms);
    }
    if (descriptors[1].revents != 0) {
        accept_one(proxy, refusing);
    }
}

static void close_all(struct proxy *proxy, bool reset) {
    for (struct pair *pair = proxy->pairs; pair < proxy->pairs + PAIRS_MAX; pair++) {
        if (pair->used) {
            close_pair(pair, reset);
        }
    }
}

static void *run(void *arg) {
    struct proxy *proxy = arg;
    (void)pthread_mutex_lock(&proxy->lock);
    while (!proxy->stop) {
        int delay_ms = proxy->delay_ms;
        bool stalled = proxy->stalled;
        bool refusing = proxy->refusing;
        bool cut = proxy->cut;
        proxy->cut = false;
        if (cut) {
            close_all(proxy, true);
        }
        (void)pthread_mutex_unlock(&proxy->lock);
        turn(proxy, delay_ms, stalled, refusing);
        (void)pthread_mutex_lock(&proxy->lock);
    }
    (void)pthread_mutex_unlock(&proxy->lock);
    close_all(proxy, false);
    return NULL;
}

static void wake(struct proxy *proxy) {
    (void)pthread_mutex_unlock(&proxy->lock);
    (void)!write(proxy->wake[1], "", 1);
}

struct proxy *proxy_start(unsigned target_port) {
    struct proxy *proxy = calloc(1, sizeof *proxy);
    assert_non_null(proxy);
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    proxy->target_port = target_port;
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(proxy->listener, (struct sockaddr *)&address, length) != 0 ||
        listen(proxy->listener, 64) != 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&address, &length) != 0 ||
        pipe2(proxy->wake, O_CLOEXEC) != 0 ||
        pthread_mutex_init(&proxy->lock, NULL) != 0) {
        fail_msg("proxy: %s", strerror(errno));
    }
    proxy->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&proxy->thread, NULL, run, proxy), 0);
    return proxy;
}

unsigned proxy_port(const struct proxy *proxy) {
    return proxy->port;
}

void proxy_delay(struct proxy *proxy, int ms) {
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->delay_ms = ms;
    wake(proxy);
}

void proxy_stall(struct proxy *proxy, bool stalled) {
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->stalled = stalled;
    wake(proxy);
}

void proxy_refuse(struct proxy *proxy, bool refusing) {
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->refusing = refusing;
    wake(proxy);
}

void proxy_cut(struct proxy *proxy) {
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->cut = true;
    wake(proxy);
}

unsigned proxy_accepted(struct proxy *proxy) {
    (void)pthread_mutex_lock(&proxy->lock);
    unsigned accepted = proxy->accepted;
    (void)pthread_mutex_unlock(&proxy->lock);
    return accepted;
}

void proxy_stop(struct proxy *proxy) {
    if (proxy == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->stop = true;
    wake(proxy);
    (void)pthread_join(proxy->thread, NULL);
    (void)pthread_mutex_destroy(&proxy->lock);
    (void)close(proxy->listener);
    (void)close(proxy->wake[0]);
    (void)close(proxy->wake[1]);
    free(proxy);
}
