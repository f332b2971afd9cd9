/* SPDX-License-Identifier: MIT
 * One publisher and one subscriber at full speed over MQTT 3.1.1, QoS 1. */
#include "mqtt_load.h"

#include <idem/clock.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TOPIC         "bench/orders" /* of a rule */
#define OTHER         "other/orders" /* of the same length, and of none */
#define BUFFER_SIZE   (256 * 1024)
#define SILENCE_MS    10000
#define PAYLOAD_LIMIT 4096

struct peer {
    int fd;
    size_t in_used;
    size_t out_used;
    uint8_t in[BUFFER_SIZE];
    uint8_t out[BUFFER_SIZE];
};

struct subscriber {
    struct peer peer;
    unsigned wanted;
    atomic_uint delivered;
    atomic_bool failed;
    int64_t ended_ns;
};

static bool complain(const char *what) {
    (void)fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    return false;
}

static bool send_all(int fd, const void *bytes, size_t size) {
    const uint8_t *at = bytes;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return complain("send");
        }
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

static bool expect(int fd, uint8_t type, size_t size) {
    uint8_t answer[8];
    if (recv(fd, answer, size, MSG_WAITALL) != (ssize_t)size || answer[0] != type) {
        return complain("unexpected answer");
    }
    return true;
}

static bool join(struct peer *peer, uint16_t port, char id) {
    uint8_t packet[] = {0x10, 13, 0, 4,  'M', 'Q', 'T',        'T',
                        4,    2,  0, 60, 0,   1,   (uint8_t)id};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->in_used = 0;
    peer->out_used = 0;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->fd < 0 ||
        connect(peer->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        return complain("connect");
    }
    (void)setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return send_all(peer->fd, packet, sizeof packet) && expect(peer->fd, 0x20, 4);
}

static const char *topic_of(const struct load *load) {
    return load->unrelated ? OTHER : TOPIC;
}

static bool subscribe(struct peer *peer, const struct load *load) {
    uint8_t packet[64] = {0x82, 0, 0, 1, 0, sizeof TOPIC - 1};
    memcpy(packet + 6, topic_of(load), sizeof TOPIC - 1);
    packet[5 + sizeof TOPIC] = 1;
    packet[1] = (uint8_t)(4 + sizeof TOPIC);
    return send_all(peer->fd, packet, (size_t)packet[1] + 2) && expect(peer->fd, 0x90, 5);
}

/* The length of the packet that begins at bytes, 0 while it is not all there. */
static size_t packet_size(const uint8_t *bytes, size_t size, size_t *header) {
    size_t length = 0;
    for (size_t i = 1; i < 5 && i < size; i++) {
        length |= (size_t)(bytes[i] & 0x7f) << (7 * (i - 1));
        if ((bytes[i] & 0x80) == 0) {
            *header = i + 1;
            return i + 1 + length <= size ? i + 1 + length : 0;
        }
    }
    return 0;
}

static bool receive(struct peer *peer) {
    struct pollfd watch = {.fd = peer->fd, .events = POLLIN};
    if (poll(&watch, 1, SILENCE_MS) <= 0) {
        errno = ETIMEDOUT;
        return complain("silence");
    }
    ssize_t got =
        recv(peer->fd, peer->in + peer->in_used, BUFFER_SIZE - peer->in_used, 0);
    if (got <= 0) {
        return complain("receive");
    }
    peer->in_used += (size_t)got;
    return true;
}

static void consume(struct peer *peer, size_t size) {
    memmove(peer->in, peer->in + size, peer->in_used - size);
    peer->in_used -= size;
}

/* Acknowledges every PUBLISH that has arrived. */
static bool take_deliveries(struct subscriber *subscriber) {
    struct peer *peer = &subscriber->peer;
    size_t at = 0;
    size_t header = 0;
    size_t size;
    unsigned count = 0;
    peer->out_used = 0;
    while ((size = packet_size(peer->in + at, peer->in_used - at, &header)) > 0) {
        const uint8_t *packet = peer->in + at;
        const uint8_t *id =
            packet + header + 2 + ((size_t)packet[header] << 8 | packet[header + 1]);
        uint8_t *ack = peer->out + peer->out_used;
        if ((packet[0] & 0xf6) == 0x32) {
            ack[0] = 0x40;
            ack[1] = 2;
            ack[2] = id[0];
            ack[3] = id[1];
            peer->out_used += 4;
            count++;
        }
        at += size;
    }
    consume(peer, at);
    (void)atomic_fetch_add(&subscriber->delivered, count);
    return send_all(peer->fd, peer->out, peer->out_used);
}

static void *subscriber_main(void *arg) {
    struct subscriber *subscriber = arg;
    while (atomic_load(&subscriber->delivered) < subscriber->wanted) {
        if (!receive(&subscriber->peer) || !take_deliveries(subscriber)) {
            atomic_store(&subscriber->failed, true);
            return NULL;
        }
    }
    subscriber->ended_ns = idem_clock_monotonic_ns();
    return NULL;
}

static size_t put_publish(uint8_t *out, const struct load *load, unsigned index) {
    char payload[PAYLOAD_LIMIT];
    uint64_t key = load->first + index / load->copies;
    int used = snprintf(payload, sizeof payload, "{\"id\":\"%016llx\",\"pad\":\"",
                        (unsigned long long)key);
    memset(payload + used, 'x', load->payload - (size_t)used);
    memcpy(payload + load->payload - 2, "\"}", 2);
    size_t length = 2 + sizeof TOPIC - 1 + 2 + load->payload;
    size_t at = 0;
    uint16_t id = (uint16_t)(index % 65535 + 1);
    out[at++] = 0x32;
    for (size_t rest = length;;) {
        uint8_t byte = rest & 0x7f;
        rest >>= 7;
        out[at++] = rest > 0 ? (uint8_t)(byte | 0x80) : byte;
        if (rest == 0) {
            break;
        }
    }
    out[at++] = 0;
    out[at++] = sizeof TOPIC - 1;
    memcpy(out + at, topic_of(load), sizeof TOPIC - 1);
    at += sizeof TOPIC - 1;
    out[at++] = (uint8_t)(id >> 8);
    out[at++] = (uint8_t)id;
    memcpy(out + at, payload, load->payload);
    return at + load->payload;
}

static unsigned take_acks(struct peer *peer) {
    size_t at = 0;
    size_t header = 0;
    size_t size;
    unsigned count = 0;
    while ((size = packet_size(peer->in + at, peer->in_used - at, &header)) > 0) {
        count += peer->in[at] == 0x40;
        at += size;
    }
    consume(peer, at);
    return count;
}

static bool publish_all(struct peer *peer, const struct load *load) {
    unsigned sent = 0;
    unsigned acknowledged = 0;
    while (acknowledged < load->messages) {
        peer->out_used = 0;
        while (sent < load->messages && sent - acknowledged < load->in_flight &&
               peer->out_used + PAYLOAD_LIMIT + 64 < BUFFER_SIZE) {
            peer->out_used += put_publish(peer->out + peer->out_used, load, sent++);
        }
        if (!send_all(peer->fd, peer->out, peer->out_used) || !receive(peer)) {
            return false;
        }
        acknowledged += take_acks(peer);
    }
    return true;
}

static double measure(const struct load *load, struct peer *publisher,
                      struct subscriber *subscriber) {
    pthread_t thread;
    if (load->subscribe &&
        pthread_create(&thread, NULL, subscriber_main, subscriber) != 0) {
        return -1;
    }
    int64_t started = idem_clock_monotonic_ns();
    bool published = publish_all(publisher, load);
    int64_t ended = idem_clock_monotonic_ns();
    if (load->subscribe) {
        (void)pthread_join(thread, NULL);
        ended = subscriber->ended_ns > ended ? subscriber->ended_ns : ended;
        published = published && !atomic_load(&subscriber->failed);
    }
    return published ? (double)(ended - started) / 1e9 : -1;
}

/* A copy that gets through although it must not would arrive within the round trip of a PINGREQ. */
static bool nothing_more(struct subscriber *subscriber) {
    uint8_t ping[] = {0xc0, 0};
    struct peer *peer = &subscriber->peer;
    return send_all(peer->fd, ping, sizeof ping) && receive(peer) && peer->in_used == 2 &&
           peer->in[0] == 0xd0;
}

double load_run(const struct load *load) {
    static struct peer publisher;
    static struct subscriber subscriber;
    memset(&subscriber, 0, sizeof subscriber);
    publisher.fd = -1;
    subscriber.peer.fd = -1;
    subscriber.wanted = load->deliveries;
    double seconds = -1;
    if (join(&publisher, load->port, 'p') &&
        (!load->subscribe || (join(&subscriber.peer, load->port, 's') &&
                              subscribe(&subscriber.peer, load)))) {
        seconds = measure(load, &publisher, &subscriber);
        if (seconds >= 0 && load->subscribe && !nothing_more(&subscriber)) {
            (void)fprintf(stderr,
                          "bench: more deliveries than there are messages: %u, wanted "
                          "%u, then %zu bytes, the first of them %02x\n",
                          atomic_load(&subscriber.delivered), load->deliveries,
                          subscriber.peer.in_used, subscriber.peer.in[0]);
            seconds = -1;
        }
    }
    if (publisher.fd >= 0) {
        (void)close(publisher.fd);
    }
    if (subscriber.peer.fd >= 0) {
        (void)close(subscriber.peer.fd);
    }
    return seconds;
}

static bool one_round(const struct load *load, unsigned index, struct peer *publisher,
                      struct subscriber *subscriber, double *us) {
    publisher->out_used = put_publish(publisher->out, load, index);
    int64_t started = idem_clock_monotonic_ns();
    if (!send_all(publisher->fd, publisher->out, publisher->out_used)) {
        return false;
    }
    while (atomic_load(&subscriber->delivered) <= index) {
        if (!receive(&subscriber->peer) || !take_deliveries(subscriber)) {
            return false;
        }
    }
    *us = (double)(idem_clock_monotonic_ns() - started) / 1e3;
    for (unsigned acks = 0; acks == 0; acks = take_acks(publisher)) {
        if (!receive(publisher)) {
            return false;
        }
    }
    return true;
}

bool load_latencies(const struct load *load, unsigned pause_us, double *us) {
    static struct peer publishers[2];
    static struct subscriber subscribers[2];
    struct peer *publisher = &publishers[load->unrelated];
    struct subscriber *subscriber = &subscribers[load->unrelated];
    const struct timespec pause = {.tv_nsec = (long)pause_us * 1000};
    memset(subscriber, 0, sizeof *subscriber);
    publisher->fd = -1;
    subscriber->peer.fd = -1;
    bool going = join(publisher, load->port, load->unrelated ? 'o' : 'p') &&
                 join(&subscriber->peer, load->port, load->unrelated ? 'q' : 's') &&
                 subscribe(&subscriber->peer, load);
    for (unsigned i = 0; going && i < load->messages; i++) {
        going = one_round(load, i, publisher, subscriber, &us[i]);
        (void)nanosleep(&pause, NULL);
    }
    if (publisher->fd >= 0) {
        (void)close(publisher->fd);
    }
    if (subscriber->peer.fd >= 0) {
        (void)close(subscriber->peer.fd);
    }
    return going;
}
