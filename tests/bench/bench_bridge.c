/* SPDX-License-Identifier: MIT
 * The bridge beside RabbitMQ's own Shovel, queue to queue: bench_bridge RABBITMQ BRIDGE REDIS DIR [MESSAGES
 * [ROUNDS]]. RABBITMQ is the directory of a tests/rabbitmq.sh with rabbitmq_shovel, BRIDGE the program,
 * REDIS a socket, DIR is for stores. In turns within one run; every queue is full before its contender starts, and the time
 * is that between a tenth and all of the messages at the other end. */
#define _DEFAULT_SOURCE /* wait4 */

#include "rabbitmq_library.h"

#include <idem/clock.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX  99
#define BODY_SIZE   200
#define BATCH       1000
#define PATIENCE_NS (INT64_C(120) * 1000000000)

enum contender { SHOVEL, NATURAL, EMBEDDED, REDIS, CONTENDER_COUNT };
static const char *const names[CONTENDER_COUNT] = {
    [SHOVEL] = "Shovel, on-confirm",
    [NATURAL] = "bridge, rule natural",
    [EMBEDDED] = "bridge, embedded store",
    [REDIS] = "bridge, Redis",
};

struct figures {
    double rate;   /* messages a second */
    double cpu_us; /* of the bridge, for each */
};

static const char *rabbitmq;
static const char *program;
static const char *redis;
static const char *dir; /* the caller's, who removes it */
static unsigned port;
static unsigned messages = 30000;
static int64_t run_of_ms;
static amqp_connection_state_t connection;

static void give_up(const char *what) {
    (void)fprintf(stderr, "bench_bridge: %s\n", what);
    exit(EXIT_FAILURE);
}

static void check(const char *what) {
    if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL) {
        give_up(what);
    }
}

static void connect_to_broker(void) {
    connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    if (amqp_socket_open(socket, "127.0.0.1", (int)port) != AMQP_STATUS_OK ||
        amqp_login(connection, "/", 1, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest",
                   "guest")
                .reply_type != AMQP_RESPONSE_NORMAL) {
        give_up("RabbitMQ does not let us in");
    }
    (void)amqp_channel_open(connection, 1);
    check("channel.open");
    (void)amqp_confirm_select(connection, 1);
    check("confirm.select");
}

static unsigned depth(const char *queue) {
    amqp_maybe_release_buffers(connection);
    amqp_queue_declare_ok_t *answer = amqp_queue_declare(
        connection, 1, amqp_cstring_bytes(queue), 1, 0, 0, 0, amqp_empty_table);
    check("queue.declare");
    return answer->message_count;
}

static void renew(const char *queue) {
    (void)amqp_queue_delete(connection, 1, amqp_cstring_bytes(queue), 0, 0);
    check("queue.delete");
    (void)amqp_queue_declare(connection, 1, amqp_cstring_bytes(queue), 0, 1, 0, 0,
                             amqp_empty_table);
    check("queue.declare");
}

/* Waits until every number above *confirmed and up to published, BATCH at most, is confirmed: in any
 * order, and some of them together. */
static void await_confirms(uint64_t published, uint64_t *confirmed) {
    bool seen[BATCH] = {false};
    uint64_t left = published - *confirmed;
    while (left > 0) {
        amqp_frame_t frame;
        if (amqp_simple_wait_frame(connection, &frame) != AMQP_STATUS_OK ||
            frame.frame_type != AMQP_FRAME_METHOD ||
            frame.payload.method.id != AMQP_BASIC_ACK_METHOD) {
            give_up("a message was not confirmed");
        }
        const amqp_basic_ack_t *ack = frame.payload.method.decoded;
        uint64_t tag = ack->delivery_tag;
        for (uint64_t n = ack->multiple ? *confirmed + 1 : tag; n <= tag; n++) {
            left -= !seen[n - *confirmed - 1];
            seen[n - *confirmed - 1] = true;
        }
        amqp_maybe_release_buffers(connection);
    }
    *confirmed = published;
}

static void publish(uint64_t number) {
    char key[40];
    char body[BODY_SIZE];
    (void)snprintf(key, sizeof key, "%llx-%llu", (unsigned long long)run_of_ms,
                   (unsigned long long)number);
    memset(body, 'x', sizeof body);
    memcpy(body, key, strlen(key));
    amqp_table_entry_t header = {.key = amqp_cstring_bytes("idempotency-key")};
    header.value.kind = AMQP_FIELD_KIND_UTF8;
    header.value.value.bytes = amqp_cstring_bytes(key);
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG |
                                                    AMQP_BASIC_HEADERS_FLAG,
                                          .delivery_mode = 2,
                                          .headers = {1, &header}};
    amqp_bytes_t bytes = {sizeof body, body};
    if (amqp_basic_publish(connection, 1, amqp_empty_bytes, amqp_cstring_bytes("in"), 0,
                           0, &properties, bytes) != AMQP_STATUS_OK) {
        give_up("publishing failed");
    }
}

/* Keys are never used twice: stores may be there from another run. */
static void fill(void) {
    static uint64_t published;
    static uint64_t confirmed;
    for (unsigned i = 0; i < messages; i++) {
        publish(published++);
        if (published % BATCH == 0) {
            await_confirms(published, &confirmed);
        }
    }
    await_confirms(published, &confirmed);
}

static void control(const char *arguments) {
    char command[2048];
    (void)snprintf(command, sizeof command,
                   "exec tests/rabbitmq.sh ctl '%s' -q %s >/dev/null", rabbitmq,
                   arguments);
    if (system(command) != 0) {
        give_up(arguments);
    }
}

static void start_shovel(void) {
    char arguments[1024];
    (void)snprintf(arguments, sizeof arguments,
                   "set_parameter shovel bench '{"
                   "\"src-protocol\": \"amqp091\", \"dest-protocol\": \"amqp091\", "
                   "\"src-uri\": \"amqp://127.0.0.1:%u\", \"src-queue\": \"in\", "
                   "\"dest-uri\": \"amqp://127.0.0.1:%u\", \"dest-queue\": \"out\", "
                   "\"ack-mode\": \"on-confirm\", \"src-prefetch-count\": 1000}'",
                   port, port);
    control(arguments);
}

static void configure(enum contender contender) {
    static unsigned stores;
    char path[1024];
    char store[512];
    (void)snprintf(path, sizeof path, "%s/idem.yaml", dir);
    if (contender == REDIS) {
        (void)snprintf(store, sizeof store, "unix://%s", redis);
    } else {
        (void)snprintf(store, sizeof store, "embedded://%s/store%u", dir, stores++);
    }
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        give_up(path);
    }
    (void)fprintf(
        file,
        "instance: bench\nstore: {url: '%s', deadline: 1s}\nbridge:\n"
        "  source: {url: 'amqp://127.0.0.1:%u', queue: in, prefetch: 1000}\n"
        "  sink: {url: 'amqp://127.0.0.1:%u', routing_key: out}\n"
        "rules:\n  - {name: bench, match: {queue: in}, %s}\nlog: {level: error}\n",
        store, port, port,
        contender == NATURAL ? "strategy: natural"
                             : "key: property:idempotency-key, scope: global");
    if (fclose(file) != 0) {
        give_up(path);
    }
}

static pid_t start_bridge(enum contender contender) {
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/idem.yaml", dir);
    configure(contender);
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl(program, "idem-bridge", "-c", path, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static double measure(void) {
    const struct timespec look = {0, 10000000};
    int64_t limit_ns = idem_clock_monotonic_ns() + PATIENCE_NS;
    int64_t start_ns = 0;
    unsigned first = 0;
    unsigned there = 0;
    while (there < messages) {
        (void)nanosleep(&look, NULL);
        there = depth("out");
        int64_t now_ns = idem_clock_monotonic_ns();
        if (start_ns == 0 && there >= messages / 10) {
            first = there;
            start_ns = now_ns;
        }
        if (now_ns > limit_ns) {
            give_up("not all messages arrive");
        }
    }
    return (double)(messages - first) * 1e9 /
           (double)(idem_clock_monotonic_ns() - start_ns);
}

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static struct figures run(enum contender contender) {
    struct figures figures = {0, 0};
    struct rusage usage;
    int status = 0;
    renew("in");
    renew("out");
    fill();
    pid_t pid = contender == SHOVEL ? 0 : start_bridge(contender);
    if (contender == SHOVEL) {
        start_shovel();
    }
    figures.rate = measure();
    if (contender == SHOVEL) {
        control("clear_parameter shovel bench");
        return figures;
    }
    if (kill(pid, SIGTERM) != 0 || wait4(pid, &status, 0, &usage) != pid || status != 0) {
        give_up("the bridge failed");
    }
    figures.cpu_us = (seconds(usage.ru_utime) + seconds(usage.ru_stime)) * 1e6 / messages;
    return figures;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void show(const char *name, struct figures *const *of, enum contender a,
                 size_t rounds) {
    double rates[ROUNDS_MAX];
    double cpu[ROUNDS_MAX];
    double ratios[2][ROUNDS_MAX];
    char cost[32];
    for (size_t i = 0; i < rounds; i++) {
        rates[i] = of[a][i].rate;
        cpu[i] = of[a][i].cpu_us;
        ratios[0][i] = of[a][i].rate / of[SHOVEL][i].rate;
        ratios[1][i] = of[a][i].rate / of[NATURAL][i].rate;
    }
    qsort(rates, rounds, sizeof *rates, compare);
    qsort(cpu, rounds, sizeof *cpu, compare);
    qsort(ratios[0], rounds, sizeof *ratios[0], compare);
    qsort(ratios[1], rounds, sizeof *ratios[1], compare);
    size_t middle = rounds / 2;
    size_t last = rounds - 1;
    (void)snprintf(cost, sizeof cost, "%.1f us", cpu[middle]);
    (void)printf("%-24s %6.0f/s  %5.2f (%.2f .. %.2f)  %5.2f (%.2f .. %.2f)  %s\n", name,
                 rates[middle], ratios[0][middle], ratios[0][0], ratios[0][last],
                 ratios[1][middle], ratios[1][0], ratios[1][last],
                 a == SHOVEL ? "-" : cost);
}

static void read_port(void) {
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/port", rabbitmq);
    FILE *file = fopen(path, "re");
    if (file == NULL || fscanf(file, "%u", &port) != 1) {
        give_up("RABBITMQ has no port: is it running?");
    }
    (void)fclose(file);
}

int main(int argc, char **argv) {
    static struct figures figures[CONTENDER_COUNT][ROUNDS_MAX];
    struct figures *of[CONTENDER_COUNT];
    if (argc < 5) {
        give_up("usage: bench_bridge RABBITMQ BRIDGE REDIS DIR [MESSAGES [ROUNDS]]");
    }
    rabbitmq = argv[1];
    program = argv[2];
    redis = argv[3];
    dir = argv[4];
    messages = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : messages;
    size_t rounds = argc > 6 ? strtoul(argv[6], NULL, 10) : 5;
    if (messages < BATCH || rounds == 0 || rounds > ROUNDS_MAX) {
        give_up("no figures can be had");
    }
    run_of_ms = idem_clock_wall_ms();
    read_port();
    connect_to_broker();
    for (size_t round = 0; round < rounds; round++) {
        for (enum contender a = 0; a < CONTENDER_COUNT; a++) {
            figures[a][round] = run(a);
        }
    }
    (void)printf("RabbitMQ, queue to queue, %u messages of %d bytes, %zu rounds\n"
                 "%-24s %8s  %-20s  %-20s  %s\n",
                 messages, BODY_SIZE, rounds, "", "", ": Shovel", ": natural",
                 "processor time a message");
    for (enum contender a = 0; a < CONTENDER_COUNT; a++) {
        of[a] = figures[a];
    }
    for (enum contender a = 0; a < CONTENDER_COUNT; a++) {
        show(names[a], of, a, rounds);
    }
    (void)amqp_destroy_connection(connection);
    return EXIT_SUCCESS;
}
