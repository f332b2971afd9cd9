/* SPDX-License-Identifier: MIT
 * idemctl as its users call it. */
#include "ctl.h"

#include "process.h"

#include <idem/clock.h>
#include <idem/config.h>
#include <idem/receiver.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

char ctl_dir[FILES_PATH_MAX];
char ctl_config[FILES_PATH_MAX + 16];
char ctl_output[65536];
struct redis_server ctl_redis;

static char store_url[2 * FILES_PATH_MAX];

static const char config_text[] =
    "instance: test\n"
    "store: {url: \"@STORE@\"}\n"
    "rules:\n"
    "  - name: orders\n"
    "    match: {topic: \"orders/#\"}\n"
    "    key: [property:idempotency-key, json:/id]\n"
    "    scope: global\n"
    "  - {name: state, match: {topic: \"state/#\"}, strategy: natural}\n"
    "  - name: readings\n"
    "    match: {topic: \"readings/+\"}\n"
    "    key: {all: [topic:2, payload]}\n"
    "    scope: principal\n"
    "  - {name: queued, match: {queue: jobs}, key: [correlation-id, message-id],\n"
    "     scope: global, fingerprint: none}\n"
    "  - {name: fifo, match: {topic: fifo}, key: payload-sha256, scope: rule,\n"
    "     ttl_header: x-cache-ttl, ttl_from: last}\n"
    "  - {name: own, match: {topic: \"own/#\"}, key: json:/id, scope: principal}\n"
    "  - name: tenants\n"
    "    match: {topic: \"tenants/+/+\"}\n"
    "    key: {all: [json:/id, \"text:fixed\", topic:2]}\n"
    "    scope: {by: {all: [topic:3, json:/tenant]}}\n"
    "  - {name: counted, match: {topic: \"counted/+/+\"}, strategy: sequence,\n"
    "     scope: global, sequence: {producer: topic:2, number: topic:3, window: 8}}\n";

void ctl_configure_with(const char *from, const char *to) {
    char *text = files_replace(config_text, from, to);
    char *with_store = files_replace(text, "@STORE@", store_url);
    char *whole = files_replace(with_store, "@DIR@", ctl_dir);
    files_write(ctl_dir, "idem.yaml", whole);
    free(whole);
    free(with_store);
    free(text);
}

const char *ctl_configure_store(const char *name, const char *url) {
    static char path[FILES_PATH_MAX + 64];
    char *text = files_replace(config_text, "@STORE@", url);
    files_write(ctl_dir, name, text);
    free(text);
    (void)snprintf(path, sizeof path, "%s/%s", ctl_dir, name);
    return path;
}

static void prepare(void) {
    files_make_dir(ctl_dir);
    (void)snprintf(ctl_config, sizeof ctl_config, "%s/idem.yaml", ctl_dir);
}

int ctl_set_up(void **state) {
    (void)state;
    prepare();
    (void)snprintf(store_url, sizeof store_url, "embedded://%s/store", ctl_dir);
    ctl_configure_with("@DIR@", "@DIR@");
    return 0;
}

int ctl_set_up_redis(void **state) {
    (void)state;
    prepare();
    memset(&ctl_redis, 0, sizeof ctl_redis);
    redis_start_in(&ctl_redis, ctl_dir);
    (void)snprintf(store_url, sizeof store_url, "unix://%s?timeout=10s",
                   ctl_redis.socket);
    ctl_configure_with("@DIR@", "@DIR@");
    return 0;
}

int ctl_tear_down(void **state) {
    (void)state;
    if (ctl_redis.pid != 0) {
        redis_stop(&ctl_redis);
    }
    files_remove_dir(ctl_dir);
    return 0;
}

static pid_t start(const char *const *argv, const int in[2], const int out[2]) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(in[0], 0);
        (void)dup2(out[1], 1);
        (void)dup2(out[1], 2);
        (void)close(in[1]);
        (void)close(out[0]);
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}

int ctl_with(const char *input, const char *const *arguments) {
    char program[FILES_PATH_MAX];
    const char *argv[160] = {program};
    int in[2];
    int out[2];
    process_program(program, sizeof program, "idemctl");
    for (size_t i = 0; arguments[i] != NULL; i++) {
        assert_true(i + 2 < sizeof argv / sizeof *argv);
        argv[i + 1] = arguments[i];
    }
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    pid_t pid = start(argv, in, out);
    (void)close(in[0]);
    (void)close(out[1]);
    assert_int_equal(write(in[1], input, strlen(input)), strlen(input));
    (void)close(in[1]);
    size_t used = 0;
    ssize_t got;
    while ((got = read(out[0], ctl_output + used, sizeof ctl_output - 1 - used)) > 0) {
        used += (size_t)got;
    }
    ctl_output[used] = '\0';
    (void)close(out[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void assert_says(const char *text) {
    if (strstr(ctl_output, text) == NULL) {
        fail_msg("\"%s\" is not in the output:\n%s", text, ctl_output);
    }
}

void assert_does_not_say(const char *text) {
    if (strstr(ctl_output, text) != NULL) {
        fail_msg("\"%s\" is in the output:\n%s", text, ctl_output);
    }
}

static void note(void *arg, struct idem_delivery *delivery) {
    (void)delivery;
    *(bool *)arg = true;
}

static void note_code(void *arg, enum idem_code code) {
    assert_int_equal(code, IDEM_OK);
    *(bool *)arg = true;
}

static void await(struct idem_store *store, const bool *done) {
    int64_t deadline = testing_deadline();
    while (!*done && testing_remaining_ms(deadline) > 0) {
        struct pollfd descriptor = {.fd = idem_store_poll_fd(store), .events = POLLIN};
        (void)poll(&descriptor, 1, 10);
        idem_store_dispatch(store);
    }
    assert_true(*done);
}

/* Whether it is delivered. */
static bool receive(const char *topic, const char *payload, bool complete) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_config config;
    struct idem_store *store = NULL;
    struct idem_receiver *receiver = NULL;
    struct idem_delivery delivery;
    struct idem_message message = {.protocol = IDEM_PROTOCOL_MQTT,
                                   .topic = idem_span_text(topic),
                                   .payload = idem_span_text(payload),
                                   .client = idem_span_text("c1")};
    bool decided = false;
    bool settled = !complete;
    assert_int_equal(idem_digest_init(&error), IDEM_OK);
    assert_int_equal(idem_config_load(&config, ctl_config, NULL, NULL, &error), IDEM_OK);
    struct idem_store_options options = {.url = config.store.url,
                                         .secret = &config.rules.secret};
    assert_int_equal(idem_store_open(&store, &options, &error), IDEM_OK);
    struct idem_receiver_options receiving = {
        .store = store, .rules = &config.rules, .instance = "test"};
    assert_int_equal(idem_receiver_open(&receiver, &receiving, &error), IDEM_OK);
    idem_receiver_submit(receiver, &message, idem_clock_wall_ms(), &delivery, note,
                         &decided);
    await(store, &decided);
    bool delivered = delivery.verdict == IDEM_VERDICT_DELIVER;
    if (complete && delivered) {
        idem_receiver_complete(receiver, &delivery, idem_clock_wall_ms(), note_code,
                               &settled);
        await(store, &settled);
    }
    idem_receiver_close(receiver);
    idem_store_close(store);
    idem_config_fini(&config);
    return delivered;
}

void ctl_deliver(const char *topic, const char *payload) {
    assert_true(receive(topic, payload, true));
}

void ctl_claim(const char *topic, const char *payload) {
    assert_true(receive(topic, payload, false));
}

bool ctl_delivers(const char *topic, const char *payload) {
    return receive(topic, payload, false);
}
