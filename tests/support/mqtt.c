/* SPDX-License-Identifier: MIT
 * A raw MQTT client: blocking, with deadlines, and with the test in control of every packet it sends. */
#include "mqtt.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FENCE "fence/"

struct message_list {
    struct mqtt_message *first;
    struct mqtt_message **end;
};

struct mqtt {
    int fd;
    enum mqtt_version version;
    char fence[128]; /* FENCE and the client id; empty until the first collect */
    char id[96];
    char fence_payload[128];
    unsigned fences;
    uint16_t last_id;
    bool session_present;
    struct message_list inbox; /* arrived, not yet given to the test */
    struct message_list given;
    struct mqtt *next;
};

static struct mqtt *clients;

static void list_init(struct message_list *list) {
    list->first = NULL;
    list->end = &list->first;
}

static void list_append(struct message_list *list, struct mqtt_message *message) {
    message->next = NULL;
    *list->end = message;
    list->end = &message->next;
}

static void list_free(struct message_list *list) {
    while (list->first != NULL) {
        struct mqtt_message *message = list->first;
        list->first = message->next;
        mqtt_message_free(message);
    }
}

/* Connecting and the bytes. */

static int open_socket(unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        fail_msg("cannot connect to port %u: %s", port, strerror(errno));
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* Takes the writer's memory. */
static void send_all(struct mqtt *client, struct wire_writer *writer) {
    size_t done = 0;
    ssize_t sent = 0;
    while (done < writer->length && (sent >= 0 || errno == EINTR)) {
        sent = send(client->fd, writer->data + done, writer->length - done, MSG_NOSIGNAL);
        done += sent > 0 ? (size_t)sent : 0;
    }
    bool complete = done == writer->length;
    free(writer->data);
    if (!complete) {
        fail_msg("%s cannot send: %s", client->id, strerror(errno));
    }
}

enum reading {
    READ_OK,
    READ_CLOSED,
};

static enum reading read_exactly(struct mqtt *client, uint8_t *data, size_t length,
                                 int64_t deadline) {
    while (length > 0) {
        struct pollfd poller = {.fd = client->fd, .events = POLLIN};
        if (poll(&poller, 1, testing_remaining_ms(deadline)) == 0) {
            fail_msg("%s: nothing arrives in time", client->id);
        }
        ssize_t got = recv(client->fd, data, length, 0);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return READ_CLOSED;
        }
        if (got > 0) {
            data += got;
            length -= (size_t)got;
        }
    }
    return READ_OK;
}

static enum reading read_length(struct mqtt *client, size_t *length, int64_t deadline) {
    uint8_t byte = 0x80;
    *length = 0;
    for (unsigned shift = 0; (byte & 0x80) != 0; shift += 7) {
        assert_in_range(shift, 0, 21);
        if (read_exactly(client, &byte, 1, deadline) != READ_OK) {
            return READ_CLOSED;
        }
        *length |= (size_t)(byte & 0x7f) << shift;
    }
    return READ_OK;
}

static enum reading read_packet(struct mqtt *client, struct mqtt_packet *packet,
                                int64_t deadline) {
    uint8_t first;
    memset(packet, 0, sizeof *packet);
    if (read_exactly(client, &first, 1, deadline) != READ_OK ||
        read_length(client, &packet->length, deadline) != READ_OK) {
        return READ_CLOSED;
    }
    packet->type = (enum mqtt_type)(first >> 4);
    packet->flags = first & 0x0f;
    packet->body = malloc(packet->length + 1);
    assert_non_null(packet->body);
    if (read_exactly(client, packet->body, packet->length, deadline) != READ_OK) {
        free(packet->body);
        return READ_CLOSED;
    }
    return READ_OK;
}

static void keep(struct mqtt *client, struct mqtt_packet *packet) {
    struct mqtt_message *message = packet_decode_publish(packet, client->version);
    list_append(&client->inbox, message);
    if (message->qos > 0) {
        mqtt_send_ack(client, message->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, message->id);
    }
}

/* Reads one packet and, where it belongs to a delivery to this client, answers it. */
static enum reading read_and_answer(struct mqtt *client, struct mqtt_packet *packet,
                                    int64_t deadline) {
    enum reading result = read_packet(client, packet, deadline);
    if (result != READ_OK) {
        return result;
    }
    if (packet->type == MQTT_PUBLISH) {
        keep(client, packet);
        return READ_OK;
    }
    packet_decode(packet, client->version);
    free(packet->body);
    if (packet->type == MQTT_PUBREL) {
        mqtt_send_ack(client, MQTT_PUBCOMP, packet->id);
    }
    return READ_OK;
}

static bool of_a_delivery(const struct mqtt_packet *packet) {
    return packet->type == MQTT_PUBLISH || packet->type == MQTT_PUBREL;
}

/* Clients. */

static uint8_t open_client(const struct mqtt_options *options, struct mqtt **opened) {
    struct mqtt *client = calloc(1, sizeof *client);
    struct wire_writer writer = {0};
    struct mqtt_packet packet;
    assert_non_null(client);
    client->next = clients;
    clients = client;
    list_init(&client->inbox);
    list_init(&client->given);
    client->version = options->version;
    (void)snprintf(client->id, sizeof client->id, "%s", options->client_id);
    client->fd = open_socket(options->port);
    packet_connect(&writer, options);
    send_all(client, &writer);
    if (read_packet(client, &packet, testing_deadline()) != READ_OK) {
        fail_msg("%s: the broker closes the connection instead of CONNACK", client->id);
    }
    packet_decode(&packet, client->version);
    free(packet.body);
    assert_int_equal(packet.type, MQTT_CONNACK);
    client->session_present = packet.session_present;
    *opened = client;
    return packet.reason;
}

static void close_client(struct mqtt *client) {
    for (struct mqtt **at = &clients; *at != NULL; at = &(*at)->next) {
        if (*at == client) {
            *at = client->next;
            break;
        }
    }
    if (client->fd > 0) {
        (void)close(client->fd);
    }
    list_free(&client->inbox);
    list_free(&client->given);
    free(client);
}

struct mqtt *mqtt_connect(const struct mqtt_options *options) {
    struct mqtt *client = NULL;
    uint8_t reason = open_client(options, &client);
    if (reason != 0) {
        fail_msg("%s: CONNACK 0x%02x", options->client_id, reason);
    }
    return client;
}

uint8_t mqtt_try_connect(const struct mqtt_options *options) {
    struct mqtt *client = NULL;
    uint8_t reason = open_client(options, &client);
    close_client(client);
    return reason;
}

bool mqtt_session_present(const struct mqtt *client) {
    return client->session_present;
}

enum mqtt_version mqtt_version_of(const struct mqtt *client) {
    return client->version;
}

void mqtt_drop(struct mqtt *client) {
    close_client(client);
}

void mqtt_disconnect(struct mqtt *client) {
    struct wire_writer writer = {0};
    packet_empty(&writer, MQTT_DISCONNECT);
    send_all(client, &writer);
    close_client(client);
}

void mqtt_tidy(void) {
    while (clients != NULL) {
        close_client(clients);
    }
}

/* Sending and waiting. */

static uint16_t next_id(struct mqtt *client) {
    client->last_id = client->last_id == UINT16_MAX ? 1 : (uint16_t)(client->last_id + 1);
    return client->last_id;
}

uint16_t mqtt_send(struct mqtt *client, const struct mqtt_message *message) {
    struct mqtt_message outgoing = *message;
    struct wire_writer writer = {0};
    if (outgoing.qos > 0 && outgoing.id == 0) {
        outgoing.id = next_id(client);
    }
    packet_publish(&writer, client->version, &outgoing);
    send_all(client, &writer);
    return outgoing.id;
}

void mqtt_send_ack(struct mqtt *client, enum mqtt_type type, uint16_t id) {
    struct wire_writer writer = {0};
    packet_ack(&writer, type, id);
    send_all(client, &writer);
}

uint8_t mqtt_await(struct mqtt *client, enum mqtt_type type, uint16_t id) {
    int64_t deadline = testing_deadline();
    struct mqtt_packet packet = {0};
    do {
        if (read_and_answer(client, &packet, deadline) != READ_OK) {
            fail_msg("%s: closed by the broker instead of %s %u", client->id,
                     mqtt_type_name(type), id);
        }
    } while (of_a_delivery(&packet));
    if (packet.type != type || packet.id != id) {
        fail_msg("%s: %s %u (reason 0x%02x) instead of %s %u", client->id,
                 mqtt_type_name(packet.type), packet.id, packet.reason,
                 mqtt_type_name(type), id);
    }
    return packet.reason;
}

bool mqtt_await_any(struct mqtt *client, enum mqtt_type *type, uint16_t *id) {
    int64_t deadline = testing_deadline();
    struct mqtt_packet packet = {0};
    do {
        if (read_and_answer(client, &packet, deadline) != READ_OK) {
            return false;
        }
    } while (of_a_delivery(&packet));
    *type = packet.type;
    *id = packet.id;
    return packet.type != MQTT_DISCONNECT;
}

uint8_t mqtt_await_close(struct mqtt *client) {
    int64_t deadline = testing_deadline();
    struct mqtt_packet packet = {0};
    uint8_t reason = 0;
    while (read_and_answer(client, &packet, deadline) == READ_OK) {
        if (packet.type == MQTT_DISCONNECT) {
            reason = packet.reason;
        } else if (!of_a_delivery(&packet)) {
            fail_msg("%s: %s (reason 0x%02x) before the end of the connection",
                     client->id, mqtt_type_name(packet.type), packet.reason);
        }
    }
    return reason;
}

uint8_t mqtt_publish(struct mqtt *client, const struct mqtt_message *message) {
    uint16_t id = mqtt_send(client, message);
    if (message->qos == 0) {
        mqtt_sync(client);
        return 0;
    }
    if (message->qos == 1) {
        return mqtt_await(client, MQTT_PUBACK, id);
    }
    uint8_t reason = mqtt_await(client, MQTT_PUBREC, id);
    if (reason < 0x80) {
        mqtt_send_ack(client, MQTT_PUBREL, id);
        assert_int_equal(mqtt_await(client, MQTT_PUBCOMP, id), 0);
    }
    return reason;
}

void mqtt_publish_ok(struct mqtt *client, const struct mqtt_message *message) {
    uint8_t reason = mqtt_publish(client, message);
    if (reason >= 0x80) {
        fail_msg("%s: \"%.80s\" is acknowledged with 0x%02x", client->id, message->topic,
                 reason);
    }
}

void mqtt_sync(struct mqtt *client) {
    struct wire_writer writer = {0};
    packet_empty(&writer, MQTT_PINGREQ);
    send_all(client, &writer);
    (void)mqtt_await(client, MQTT_PINGRESP, 0);
}

void mqtt_subscribe_with(struct mqtt *client, const struct mqtt_filter *filter) {
    struct wire_writer writer = {0};
    uint16_t id = next_id(client);
    packet_subscribe(&writer, client->version, id, filter);
    send_all(client, &writer);
    assert_int_equal(mqtt_await(client, MQTT_SUBACK, id), filter->qos);
}

void mqtt_subscribe(struct mqtt *client, const char *filter, uint8_t qos) {
    mqtt_subscribe_with(client, &(struct mqtt_filter){.filter = filter, .qos = qos});
}

/* Receiving. */

static struct mqtt_message *take(struct mqtt *client) {
    struct mqtt_message *message = client->inbox.first;
    if (message != NULL) {
        client->inbox.first = message->next;
        if (client->inbox.first == NULL) {
            client->inbox.end = &client->inbox.first;
        }
    }
    return message;
}

static struct mqtt_message *take_next(struct mqtt *client) {
    int64_t deadline = testing_deadline();
    struct mqtt_packet packet;
    while (client->inbox.first == NULL) {
        if (read_and_answer(client, &packet, deadline) != READ_OK) {
            fail_msg("%s: closed by the broker, and a message was to come", client->id);
        }
        if (!of_a_delivery(&packet)) {
            fail_msg("%s: %s, and a message was to come", client->id,
                     mqtt_type_name(packet.type));
        }
    }
    return take(client);
}

static bool any_fence(const struct mqtt_message *message) {
    return strncmp(message->topic, FENCE, strlen(FENCE)) == 0;
}

const struct mqtt_message *mqtt_receive(struct mqtt *client) {
    struct mqtt_message *message = take_next(client);
    while (any_fence(message)) {
        mqtt_message_free(message);
        message = take_next(client);
    }
    list_append(&client->given, message);
    return message;
}

const struct mqtt_message *mqtt_collect_rest(struct mqtt *client) {
    enum mqtt_type type;
    uint16_t id;
    struct mqtt_message **first = client->given.end;
    assert_false(mqtt_await_any(client, &type, &id));
    while (client->inbox.first != NULL) {
        list_append(&client->given, take(client));
    }
    return *first;
}

/* A rule may match everything, so each fence differs from those before. Fences of other clients, and
 * second deliveries of earlier ones through overlapping subscriptions, are none. */
static void send_fence(struct mqtt *client) {
    if (client->fence[0] == '\0') {
        (void)snprintf(client->fence, sizeof client->fence, FENCE "%s", client->id);
        mqtt_subscribe(client, client->fence, 1);
    }
    (void)snprintf(client->fence_payload, sizeof client->fence_payload, "%s %u",
                   client->id, ++client->fences);
    mqtt_publish_ok(client, &(struct mqtt_message){.topic = client->fence,
                                                   .payload = client->fence_payload,
                                                   .qos = 1});
}

static bool own_fence(const struct mqtt *client, const struct mqtt_message *message) {
    return strcmp(message->topic, client->fence) == 0 &&
           strcmp(message->payload, client->fence_payload) == 0;
}

const struct mqtt_message *mqtt_collect(struct mqtt *client) {
    struct mqtt_message **first = client->given.end;
    send_fence(client);
    struct mqtt_message *message = take_next(client);
    while (!own_fence(client, message)) {
        if (any_fence(message)) {
            mqtt_message_free(message);
        } else {
            list_append(&client->given, message);
        }
        message = take_next(client);
    }
    mqtt_message_free(message);
    return *first;
}
