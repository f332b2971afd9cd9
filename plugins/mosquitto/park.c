/* SPDX-License-Identifier: MIT
 * Messages that wait for the store's answer. */
#include "park.h"

#include <stdlib.h>

void idem_park_init(struct idem_park *park, size_t most_messages, size_t most_bytes) {
    memset(park, 0, sizeof *park);
    park->most_messages = most_messages;
    park->most_bytes = most_bytes;
    park->last = &park->first;
}

struct idem_parked *idem_parked_new(void) {
    return calloc(1, sizeof(struct idem_parked));
}

void idem_parked_clear(struct idem_parked *parked) {
    idem_copy_discard(&parked->copy);
    free(parked->client);
    free(parked->carried);
    free(parked->result);
    memset(parked, 0, sizeof *parked);
}

void idem_parked_free(struct idem_parked *parked) {
    if (parked != NULL) {
        idem_parked_clear(parked);
        free(parked);
    }
}

void idem_park_fini(struct idem_park *park) {
    while (park->first != NULL) {
        idem_parked_free(idem_park_take(park));
    }
}

/* What it takes, roughly: properties aside, which the broker limits with the packet. */
static size_t size_of(const struct mosquitto_evt_message *event) {
    return sizeof(struct idem_parked) + event->payloadlen + 2 * strlen(event->topic);
}

bool idem_park_has_room(const struct idem_park *park,
                        const struct mosquitto_evt_message *event) {
    return park->count < park->most_messages && park->bytes <= park->most_bytes &&
           size_of(event) <= park->most_bytes - park->bytes;
}

/* FNV-1a: a client that finds collisions slows its own messages down a little. */
static uint32_t hash_text(uint32_t hash, const char *text) {
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * UINT32_C(16777619);
    }
    return hash;
}

static uint32_t hash_route(const char *client, const char *topic) {
    return hash_text(hash_text(UINT32_C(2166136261), client) * 31, topic);
}

static struct idem_parked **route_bucket(struct idem_park *park, uint32_t hash) {
    return &park->routes[hash % IDEM_PARK_BUCKETS];
}

/* Digests are uniformly random: any bytes of them will do. */
static size_t key_bucket(const struct idem_digest *digest) {
    return ((size_t)digest->bytes[0] | (size_t)digest->bytes[1] << 8) % IDEM_PARK_BUCKETS;
}

static bool copy_names(struct idem_parked *parked, const char *client,
                       const char *topic) {
    size_t client_size = strlen(client) + 1;
    size_t topic_size = strlen(topic) + 1;
    parked->client = malloc(client_size + topic_size);
    if (parked->client == NULL) {
        return false;
    }
    parked->topic = parked->client + client_size;
    memcpy(parked->client, client, client_size);
    memcpy(parked->topic, topic, topic_size);
    return true;
}

static const char *id_of(const struct mosquitto *client) {
    const char *id = mosquitto_client_id(client);
    return id != NULL ? id : "";
}

static int keep(struct idem_parked *parked, struct mosquitto_evt_message *event) {
    static const struct idem_stamp none = {NULL, NULL};
    struct idem_sink sink;
    if (!copy_names(parked, id_of(event->client), event->topic) ||
        idem_copy_prepare(&parked->copy, event, &none) != MOSQ_ERR_SUCCESS) {
        return MOSQ_ERR_NOMEM;
    }
    if (!idem_sink_prepare(&sink, event)) {
        return MOSQ_ERR_NOMEM;
    }
    parked->payload_size = event->payloadlen;
    parked->qos = event->qos;
    parked->retain = event->retain;
    parked->bytes = size_of(event) + parked->result_size;
    parked->kept = true;
    idem_sink_apply(&sink, event);
    return MOSQ_ERR_SUCCESS;
}

static void link_key(struct idem_park *park, struct idem_parked *parked) {
    struct idem_parked **bucket = &park->keys[key_bucket(&parked->delivery.digest)];
    parked->by_key = *bucket;
    *bucket = parked;
}

static void unlink_key(struct idem_park *park, struct idem_parked *parked) {
    struct idem_parked **at = &park->keys[key_bucket(&parked->delivery.digest)];
    for (; *at != NULL; at = &(*at)->by_key) {
        if (*at == parked) {
            *at = parked->by_key;
            return;
        }
    }
}

static void unlink_route(struct idem_park *park, struct idem_parked *parked) {
    struct idem_parked **at = route_bucket(park, parked->hash);
    for (; *at != NULL; at = &(*at)->by_route) {
        if (*at == parked) {
            *at = parked->by_route;
            return;
        }
    }
}

int idem_park_add(struct idem_park *park, struct idem_parked *parked,
                  struct mosquitto_evt_message *event) {
    int rc = keep(parked, event);
    if (rc != MOSQ_ERR_SUCCESS) {
        return rc;
    }
    parked->hash = hash_route(parked->client, parked->topic);
    struct idem_parked **bucket = route_bucket(park, parked->hash);
    parked->by_route = *bucket;
    *bucket = parked;
    parked->next = NULL;
    *park->last = parked;
    park->last = &parked->next;
    park->count++;
    park->bytes += parked->bytes;
    if (parked->decided && parked->delivery.claimed) {
        link_key(park, parked);
    }
    return MOSQ_ERR_SUCCESS;
}

bool idem_park_has_route(const struct idem_park *park, const char *client,
                         const char *topic) {
    if (park->count == 0) {
        return false;
    }
    const char *id = client != NULL ? client : "";
    uint32_t hash = hash_route(id, topic);
    const struct idem_parked *at = park->routes[hash % IDEM_PARK_BUCKETS];
    for (; at != NULL; at = at->by_route) {
        if (at->hash == hash && strcmp(at->client, id) == 0 &&
            strcmp(at->topic, topic) == 0) {
            return true;
        }
    }
    return false;
}

/* The list of names, then what it points to. */
struct carried {
    const char *names[IDEM_PROPAGATED_MAX + 1];
    char texts[];
};

static const char *append_text(char **end, const char *text) {
    size_t size = strlen(text) + 1;
    char *at = *end;
    memcpy(at, text, size);
    *end += size;
    return at;
}

void idem_parked_carry(struct idem_parked *parked, const struct idem_stamp *key) {
    if (key->names == NULL) {
        return;
    }
    size_t size = strlen(key->value) + 1;
    for (size_t i = 0; key->names[i] != NULL; i++) {
        size += strlen(key->names[i]) + 1;
    }
    struct carried *carried = calloc(1, sizeof *carried + size);
    if (carried == NULL) {
        return;
    }
    char *end = carried->texts;
    for (size_t i = 0; i < IDEM_PROPAGATED_MAX && key->names[i] != NULL; i++) {
        carried->names[i] = append_text(&end, key->names[i]);
    }
    parked->carried = carried;
    parked->key.names = carried->names;
    parked->key.value = append_text(&end, key->value);
}

void idem_parked_carry_result(struct idem_park *park, struct idem_parked *parked,
                              struct idem_span result) {
    if (result.len == 0 || park->bytes > park->most_bytes ||
        result.len > park->most_bytes - park->bytes) {
        return;
    }
    parked->result = malloc(result.len);
    if (parked->result == NULL) {
        return;
    }
    memcpy(parked->result, result.data, result.len);
    parked->result_size = result.len;
    if (parked->kept) {
        parked->bytes += result.len;
        park->bytes += result.len;
    }
}

void idem_parked_decide(struct idem_park *park, struct idem_parked *parked) {
    parked->decided = true;
    if (parked->kept && parked->delivery.claimed) {
        link_key(park, parked);
    }
}

bool idem_park_holds(const struct idem_park *park, const struct idem_digest *digest) {
    const struct idem_parked *at = park->keys[key_bucket(digest)];
    while (at != NULL && !idem_digest_equal(&at->delivery.digest, digest)) {
        at = at->by_key;
    }
    return at != NULL;
}

struct idem_parked *idem_park_take(struct idem_park *park) {
    struct idem_parked *parked = park->first;
    if (parked == NULL) {
        return NULL;
    }
    park->first = parked->next;
    if (park->first == NULL) {
        park->last = &park->first;
    }
    park->count--;
    park->bytes -= parked->bytes;
    unlink_route(park, parked);
    unlink_key(park, parked);
    return parked;
}
