/* SPDX-License-Identifier: MIT
 * The broker as a plugin sees it. Every program is linked so that its own allocations come here first. */
#include "fake_broker.h"

#include <idem/error.h>

#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 64
#define LINE_SIZE 1024

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

static struct {
    enum fake_version version;
    int64_t counted; /* bytes, as the broker believes */
    size_t granted;  /* allocations before those that are refused */
    size_t refusals;
    bool refused;
    struct fake_published *queue;
    size_t lines;
    struct {
        int level;
        char text[LINE_SIZE];
    } log[LINES_MAX];
} fake;

/* ---- memory ---- */

/* A store's own thread asks for memory, too. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool grants(void) {
    (void)pthread_mutex_lock(&lock);
    bool granted = fake.granted > 0 || fake.refusals == 0;
    if (fake.granted > 0) {
        fake.granted--;
    } else if (!granted) {
        fake.refusals--;
        fake.refused = true;
    }
    (void)pthread_mutex_unlock(&lock);
    return granted;
}

void fake_broker_refuse(size_t nth, size_t count) {
    (void)pthread_mutex_lock(&lock);
    fake.granted = nth - 1;
    fake.refusals = count;
    fake.refused = false;
    (void)pthread_mutex_unlock(&lock);
}

bool fake_broker_refused(void) {
    (void)pthread_mutex_lock(&lock);
    fake.granted = 0;
    fake.refusals = 0;
    bool refused = fake.refused;
    (void)pthread_mutex_unlock(&lock);
    return refused;
}

/* Nobody may count on zeros. */
void *__wrap_malloc(size_t size) {
    void *memory = grants() ? __real_malloc(size) : NULL;
    if (memory != NULL) {
        memset(memory, 0xa5, size);
    }
    return memory;
}

void *__wrap_calloc(size_t count, size_t size) {
    return grants() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *memory, size_t size) {
    return grants() ? __real_realloc(memory, size) : NULL;
}

char *__wrap_strdup(const char *text) {
    return grants() ? __real_strdup(text) : NULL;
}

static void *count(void *memory) {
    fake.counted += memory == NULL ? 0 : (int64_t)malloc_usable_size(memory);
    return memory;
}

void *mosquitto_malloc(size_t size) {
    return count(malloc(size));
}

void *mosquitto_calloc(size_t nmemb, size_t size) {
    return count(calloc(nmemb, size));
}

char *mosquitto_strdup(const char *s) {
    return count(strdup(s));
}

void mosquitto_free(void *mem) {
    fake.counted -= mem == NULL ? 0 : (int64_t)malloc_usable_size(mem);
    free(mem);
}

/* ---- life ---- */

void fake_broker_start(enum fake_version version) {
    memset(&fake, 0, sizeof fake);
    fake.version = version;
}

void fake_broker_stop(void) {
    (void)fake_broker_refused();
    fake_broker_take_queue();
    if (fake.counted != 0) {
        fail_msg("the broker's count of its memory is off by %lld bytes",
                 (long long)fake.counted);
    }
}

enum fake_version fake_broker_version(void) {
    return fake.version;
}

int mosquitto_lib_version(int *major, int *minor, int *revision) {
    static const int minors[FAKE_VERSION_COUNT] = {0, 0, 0, 1};
    static const int revisions[FAKE_VERSION_COUNT] = {11, 15, 21, 0};
    *major = 2;
    *minor = minors[fake.version];
    *revision = revisions[fake.version];
    return 2000000 + 1000 * *minor + *revision;
}

/* ---- clients ---- */

const char *mosquitto_client_id(const struct mosquitto *client) {
    return client != NULL ? client->id : NULL;
}

const char *mosquitto_client_username(const struct mosquitto *client) {
    return client != NULL ? client->username : NULL;
}

int mosquitto_client_protocol_version(const struct mosquitto *client) {
    return client != NULL ? client->protocol_version : 0;
}

/* ---- arrivals ---- */

void fake_arrival_init(struct fake_arrival *arrival, const char *topic,
                       const void *payload, size_t size, int qos, bool retain) {
    arrival->topic = mosquitto_strdup(topic);
    arrival->payload = size == 0 ? NULL : mosquitto_calloc(1, size + 1);
    if (size > 0) {
        memcpy(arrival->payload, payload, size);
    }
    arrival->payloadlen = (uint32_t)size;
    arrival->qos = (uint8_t)qos;
    arrival->retain = retain;
    arrival->properties = NULL;
}

void fake_arrival_fini(struct fake_arrival *arrival) {
    mosquitto_free(arrival->topic);
    mosquitto_free(arrival->payload);
    mosquitto_property_free_all(&arrival->properties);
}

int fake_arrival_event(struct fake_arrival *arrival, struct mosquitto *client,
                       fake_callback *callback, void *arg) {
    const bool frees = fake.version >= FAKE_2_0_15;
    struct mosquitto_evt_message event = {
        .client = client,
        .topic = arrival->topic,
        .payload = arrival->payload,
        .properties = arrival->properties,
        .payloadlen = arrival->payloadlen,
        .qos = arrival->qos,
        .retain = arrival->retain,
    };
    int rc = callback(&event, arg);
    if (frees && arrival->topic != event.topic) {
        mosquitto_free(arrival->topic);
    }
    if (frees && arrival->properties != event.properties) {
        mosquitto_property_free_all(&arrival->properties);
    }
    if (arrival->payload != event.payload) {
        mosquitto_free(arrival->payload);
        arrival->payload = event.payload;
        arrival->payloadlen = event.payloadlen;
    }
    arrival->topic = event.topic;
    arrival->properties = event.properties;
    arrival->retain = event.retain;
    return rc;
}

/* ---- publishing ---- */

int mosquitto_broker_publish(const char *clientid, const char *topic, int payloadlen,
                             void *payload, int qos, bool retain,
                             mosquitto_property *properties) {
    if (topic == NULL || payloadlen < 0 || (payloadlen > 0 && payload == NULL) ||
        qos < 0 || qos > 2) {
        return MOSQ_ERR_INVAL;
    }
    struct fake_published *published = mosquitto_calloc(1, sizeof *published);
    if (published == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    published->topic = mosquitto_strdup(topic);
    published->client_id = clientid != NULL ? mosquitto_strdup(clientid) : NULL;
    if (published->topic == NULL || (clientid != NULL && published->client_id == NULL)) {
        mosquitto_free(published->topic);
        mosquitto_free(published->client_id);
        mosquitto_free(published);
        return MOSQ_ERR_NOMEM;
    }
    published->payload = payload;
    published->size = (size_t)payloadlen;
    published->qos = qos;
    published->retain = retain;
    published->properties = properties;
    struct fake_published **end = &fake.queue;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = published;
    return MOSQ_ERR_SUCCESS;
}

/* Its copy is counted when it is freed only, and leaks when publishing fails: nothing for a plugin. */
int mosquitto_broker_publish_copy(const char *clientid, const char *topic, int payloadlen,
                                  const void *payload, int qos, bool retain,
                                  mosquitto_property *properties) {
    (void)clientid;
    (void)topic;
    (void)payloadlen;
    (void)payload;
    (void)qos;
    (void)retain;
    (void)properties;
    fail_msg("mosquitto_broker_publish_copy was called");
    return MOSQ_ERR_NOMEM;
}

const struct fake_published *fake_broker_queue(void) {
    return fake.queue;
}

size_t fake_broker_queued(void) {
    size_t queued = 0;
    for (const struct fake_published *at = fake.queue; at != NULL; at = at->next) {
        queued++;
    }
    return queued;
}

void fake_broker_take_queue(void) {
    while (fake.queue != NULL) {
        struct fake_published *taken = fake.queue;
        fake.queue = taken->next;
        mosquitto_free(taken->topic);
        mosquitto_free(taken->client_id);
        mosquitto_free(taken->payload);
        mosquitto_property_free_all(&taken->properties);
        mosquitto_free(taken);
    }
}

/* ---- the log ---- */

IDEM_PRINTF(2, 3) void mosquitto_log_printf(int level, const char *fmt, ...) {
    va_list arguments;
    if (fake.lines < LINES_MAX) {
        va_start(arguments, fmt);
        (void)vsnprintf(fake.log[fake.lines].text, LINE_SIZE, fmt, arguments);
        va_end(arguments);
        fake.log[fake.lines].level = level;
    }
    fake.lines++;
}

size_t fake_broker_lines(void) {
    return fake.lines;
}

const char *fake_broker_line(size_t index) {
    return index < fake.lines && index < LINES_MAX ? fake.log[index].text : NULL;
}

int fake_broker_line_level(size_t index) {
    assert_true(index < fake.lines && index < LINES_MAX);
    return fake.log[index].level;
}
