/* SPDX-License-Identifier: MIT
 * The Redis store against what answers anything but what a Redis server would. */
#include "redis.h"
#include "stores.h"

#include "store/redis/reader.h"

#include <idem/clock.h>

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define T0 INT64_C(1700000000000)

enum manner {
    SILENT,        /* accepts, says nothing */
    SAYS_TEXT,     /* the text, at once */
    SANE_GREETING, /* greets as Redis 7 does; answers everything else with the text */
    RANDOM,        /* greets well or badly; answers with mutilated replies */
};

/* One client at a time; the thread ends when stop is set. */
struct impostor {
    pthread_t thread;
    int listener;
    unsigned port;
    enum manner manner;
    const char *text;
    size_t length;
    uint64_t random;
    atomic_bool stop;
};

static struct impostor impostor;
static struct stores_box box;

static uint64_t next_random(void) {
    impostor.random ^= impostor.random << 13;
    impostor.random ^= impostor.random >> 7;
    impostor.random ^= impostor.random << 17;
    return impostor.random;
}

static void say(int fd, const char *text, size_t length) {
    while (length > 0) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        text += sent;
        length -= (size_t)sent;
    }
}

static const char *const fragments[] = {
    "$-1\r\n",
    "*-1\r\n",
    "+OK\r\n",
    ":1\r\n",
    ":-9223372036854775808\r\n",
    ":18446744073709551616\r\n",
    "-ERR no\r\n",
    "-NOSCRIPT no\r\n",
    "-READONLY no\r\n",
    "-MOVED 1 127.0.0.1:1\r\n",
    "-OOM no\r\n",
    "-ERR syntax error\r\n",
    "$5\r\nhello\r\n",
    "$0\r\n\r\n",
    "$2147483647\r\n",
    "$9223372036854775807\r\n",
    "*2147483647\r\n",
    "*1000000\r\n",
    "*0\r\n",
    "*2\r\n$1\r\n0\r\n*1\r\n$23\r\nidem:{aaaaaaaaaaaaaaaa}\r\n",
    "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
    "%1\r\n+a\r\n+b\r\n",
    "_\r\n",
    "#t\r\n",
    ",1.5\r\n",
    "(123456789012345678901234567890\r\n",
    ">1\r\n+x\r\n",
    "$22\r\n\x01\x02zzzzzzyyyyyyxxxxxxxx\r\n",
    "$30\r\n\x01\x01zzzzzzyyyyyyxxxxxxxxwwwwwwww\r\n",
    "HTTP/1.1 400 Bad Request\r\n\r\n",
    "\r\n",
};

static void say_something(int fd) {
    const char *fragment =
        fragments[next_random() % (sizeof fragments / sizeof *fragments)];
    char bytes[128];
    size_t length = strlen(fragment);
    memcpy(bytes, fragment, length);
    if (next_random() % 4 == 0 && length > 0) {
        bytes[next_random() % length] = (char)next_random();
    }
    say(fd, bytes, next_random() % 8 == 0 ? next_random() % (length + 1) : length);
}

/* False: it was none of the greeting. */
static bool greet(int fd, const redisReply *command) {
    static const struct {
        const char *word;
        const char *reply;
    } table[] = {
        {"INFO", "$20\r\nredis_version:7.0.15\r\n"},
        {"CONFIG", "*2\r\n$4\r\nsave\r\n$4\r\n60 1\r\n"},
        {"SCRIPT", "$40\r\n0123456789012345678901234567890123456789\r\n"},
        {"DBSIZE", ":3\r\n"},
        {"SETNX", ":0\r\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (command->type == REDIS_REPLY_ARRAY && command->elements > 0 &&
            strcmp(command->element[0]->str, table[i].word) == 0) {
            say(fd, table[i].reply, strlen(table[i].reply));
            return true;
        }
    }
    if (command->elements == 2 && strcmp(command->element[1]->str, "idem:secret") == 0) {
        say(fd, "$-1\r\n", 5);
        return true;
    }
    return false;
}

static void respond(int fd, const redisReply *command) {
    bool greeting = impostor.manner == SANE_GREETING || next_random() % 32 != 0;
    if (greeting && greet(fd, command)) {
        return;
    }
    if (impostor.manner == SANE_GREETING) {
        say(fd, impostor.text, impostor.length);
    } else {
        say_something(fd);
    }
}

/* False: the client has gone. */
static bool hear(int fd, redisReader *reader) {
    char bytes[4096];
    void *command = NULL;
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0 || redisReaderFeed(reader, bytes, (size_t)got) != REDIS_OK) {
        return false;
    }
    while (redisReaderGetReply(reader, &command) == REDIS_OK && command != NULL) {
        if (impostor.manner == SANE_GREETING || impostor.manner == RANDOM) {
            respond(fd, command);
        }
        freeReplyObject(command);
    }
    return true;
}

static bool readable(int fd) {
    struct pollfd descriptor = {.fd = fd, .events = POLLIN};
    return poll(&descriptor, 1, 10) > 0;
}

static void attend(int fd) {
    redisReader *reader = redisReaderCreate();
    bool there = true;
    if (impostor.manner == SAYS_TEXT) {
        say(fd, impostor.text, impostor.length);
    }
    while (there && !atomic_load(&impostor.stop)) {
        there = !readable(fd) || hear(fd, reader);
    }
    redisReaderFree(reader);
    (void)close(fd);
}

static void *run(void *arg) {
    (void)arg;
    while (!atomic_load(&impostor.stop)) {
        int fd = readable(impostor.listener) ? accept(impostor.listener, NULL, NULL) : -1;
        if (fd >= 0) {
            attend(fd);
        }
    }
    return NULL;
}

static void pretend(enum manner manner, const char *text, size_t length) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    impostor.manner = manner;
    impostor.text = text;
    impostor.length = length;
    impostor.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(impostor.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(impostor.listener, 16), 0);
    assert_int_equal(getsockname(impostor.listener, (struct sockaddr *)&address, &size),
                     0);
    atomic_store(&impostor.stop, false);
    assert_int_equal(pthread_create(&impostor.thread, NULL, run, NULL), 0);
    (void)snprintf(box.url, sizeof box.url,
                   "redis://127.0.0.1:%u?timeout=300ms&connect_timeout=300ms",
                   ntohs(address.sin_port));
}

static int reset(void **state) {
    (void)state;
    memset(&box, 0, sizeof box);
    memset(&impostor, 0, sizeof impostor);
    impostor.random = 88172645463325252;
    impostor.listener = -1;
    return 0;
}

static int tidy(void **state) {
    (void)state;
    stores_close(&box);
    if (impostor.listener >= 0) {
        atomic_store(&impostor.stop, true);
        (void)pthread_join(impostor.thread, NULL);
        (void)close(impostor.listener);
    }
    return 0;
}

static void another_protocol_is_refused_at_start(void **state) {
    static const char *const greetings[] = {"HTTP/1.1 400 Bad Request\r\n\r\n",
                                            "SSH-2.0-OpenSSH_9.2p1\r\n",
                                            "220 mail.example.org ESMTP\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof greetings / sizeof greetings[0]; i++) {
        struct idem_store *store = NULL;
        struct idem_error error;
        pretend(SAYS_TEXT, greetings[i], strlen(greetings[i]));
        assert_int_equal(stores_try(&box, false, &store, &error), IDEM_ERR_FORMAT);
        assert_non_null(strstr(error.text, "Redis"));
        (void)tidy(NULL);
        (void)reset(NULL);
    }
}

static void a_silent_server_does_not_hold_up_the_start(void **state) {
    (void)state;
    pretend(SILENT, "", 0);
    int64_t start_ns = idem_clock_monotonic_ns();
    stores_open(&box);
    assert_true(idem_clock_monotonic_ns() - start_ns < INT64_C(2000) * 1000000);
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).code,
                     IDEM_ERR_UNAVAILABLE);
}

/* Operations of every kind, whatever comes back: each is answered once, in bounded time. */
static void try_everything(uint64_t n) {
    (void)stores_claim(&box, n, &stores_me, T0, 1000);
    (void)stores_lookup(&box, n, T0);
    (void)stores_complete(&box, n, &stores_me, T0, 1000);
    (void)stores_abandon(&box, n, &stores_me);
    (void)stores_forget(&box, n);
}

static bool ignore_visit(void *arg, const struct idem_digest *digest,
                         const struct idem_record *record) {
    (void)arg;
    (void)digest;
    (void)record;
    return true;
}

static void answers_that_make_no_sense_are_survived(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof fragments / sizeof fragments[0]; i++) {
        pretend(SANE_GREETING, fragments[i], strlen(fragments[i]));
        (void)snprintf(strstr(box.url, "?"), 64, "?timeout=30ms&connect_timeout=2s");
        stores_open(&box);
        try_everything(i);
        enum idem_code code = idem_store_iterate(box.store, T0, ignore_visit, NULL, NULL);
        assert_true(code < IDEM_CODE_COUNT);
        (void)tidy(NULL);
        (void)reset(NULL);
    }
}

static void random_answers_are_survived(void **state) {
    (void)state;
    for (uint64_t round = 0; round < 60; round++) {
        struct idem_error error;
        pretend(RANDOM, "", 0);
        impostor.random += round * 7919;
        (void)snprintf(strstr(box.url, "?"), 64, "?timeout=15ms&connect_timeout=100ms");
        if (stores_try(&box, false, &box.store, &error) == IDEM_OK) {
            for (uint64_t n = 0; n < 8; n++) {
                try_everything(n);
            }
        }
        (void)tidy(NULL);
        (void)reset(NULL);
    }
}

static enum idem_code read_all(const char *bytes, size_t length) {
    struct idem_reader reader;
    redisReply *reply = NULL;
    assert_int_equal(idem_reader_open(&reader), IDEM_OK);
    enum idem_code code = idem_reader_feed(&reader, bytes, length);
    if (code == IDEM_OK) {
        code = idem_reader_next(&reader, &reply);
    }
    freeReplyObject(reply);
    idem_reader_close(&reader);
    return code;
}

static void a_reply_beyond_all_bounds_is_refused_before_it_takes_memory(void **state) {
    static char many[4096];
    (void)state;
    assert_int_equal(read_all("*2147483647\r\n", 13), IDEM_ERR_FORMAT);
    assert_int_equal(read_all("*65537\r\n", 8), IDEM_ERR_FORMAT);
    assert_int_equal(read_all("*65536\r\n", 8), IDEM_OK);
    size_t length = 0;
    for (int i = 0; i < 6; i++) { /* nested: 20000 each time, but not all together */
        length += (size_t)snprintf(many + length, sizeof many - length, "*20000\r\n");
    }
    assert_int_equal(read_all(many, length), IDEM_ERR_FORMAT);
}

static void a_text_beyond_all_bounds_is_refused_while_it_comes(void **state) {
    static char chunk[16384];
    struct idem_reader reader;
    enum idem_code code = IDEM_OK;
    size_t fed = 0;
    (void)state;
    memset(chunk, 'x', sizeof chunk);
    assert_int_equal(idem_reader_open(&reader), IDEM_OK);
    assert_int_equal(idem_reader_feed(&reader, "$999999999\r\n", 12), IDEM_OK);
    while (code == IDEM_OK && fed < 64u << 20) {
        redisReply *reply = NULL;
        code = idem_reader_feed(&reader, chunk, sizeof chunk);
        fed += sizeof chunk;
        if (code == IDEM_OK) {
            code = idem_reader_next(&reader, &reply);
            assert_null(reply);
        }
    }
    assert_int_equal(code, IDEM_ERR_FORMAT);
    assert_true(fed < 2u << 20);
    idem_reader_close(&reader);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, reset, tidy)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(another_protocol_is_refused_at_start),
        CASE(a_silent_server_does_not_hold_up_the_start),
        CASE(answers_that_make_no_sense_are_survived),
        CASE(random_answers_are_survived),
        CASE(a_reply_beyond_all_bounds_is_refused_before_it_takes_memory),
        CASE(a_text_beyond_all_bounds_is_refused_while_it_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
