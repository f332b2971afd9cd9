/* SPDX-License-Identifier: MIT
 * The Redis store over TLS: whom it trusts, and what a connection that is cut or changed does. */
#include "logged.h"
#include "proxy.h"
#include "redis_tls.h"
#include "stores.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)

static char dir[FILES_PATH_MAX]; /* of the certificates */
static struct redis_server server;
static struct redis_tls tls;
static struct stores_box box;
static struct proxy *proxy;

static int make_certificates(void **state) {
    (void)state;
    files_make_dir(dir);
    redis_tls_certify(dir, "ca", NULL, "DNS:ca");
    redis_tls_certify(dir, "other-ca", NULL, "DNS:other-ca");
    redis_tls_certify(dir, "server", "ca", "DNS:localhost,IP:127.0.0.1");
    redis_tls_certify(dir, "elsewhere", "ca", "DNS:elsewhere.example,IP:10.1.2.3");
    redis_tls_certify(dir, "client", "ca", "DNS:client");
    return 0;
}

static int remove_certificates(void **state) {
    (void)state;
    files_remove_dir(dir);
    return 0;
}

static int reset(void **state) {
    (void)state;
    memset(&box, 0, sizeof box);
    box.log = logged_open();
    return 0;
}

static int tidy(void **state) {
    (void)state;
    stores_close(&box);
    proxy_stop(proxy);
    proxy = NULL;
    redis_remove(&server);
    return 0;
}

static void start(const char *name, const char *authority, const char *const *more) {
    redis_tls_start(&server, &tls, dir, name, authority, more);
}

/* ca: the name of one; "": none is given. */
static void use(const char *scheme, const char *host, unsigned port, const char *ca,
                const char *more) {
    bool named = ca[0] != '\0';
    (void)snprintf(box.url, sizeof box.url, "%s://%s:%u?timeout=5s%s%s%s%s%s", scheme,
                   host, port, named ? "&ca=" : "", named ? dir : "", named ? "/" : "",
                   named ? ca : "", more);
}

static void refused(enum idem_code code, const char *hint) {
    struct idem_store *store = NULL;
    struct idem_error error;
    if (stores_try(&box, false, &store, &error) != code) {
        fail_msg("not refused as it should be: %s%s", error.text, logged_lines());
    }
    assert_null(store);
    if (strstr(error.text, hint) == NULL) {
        fail_msg("no '%s' in: %s", hint, error.text);
    }
}

/* In TLS 1.3 the server judges us after we believe that all is well; what it says then is lost where its
 * end of the connection is reset first. */
static void refused_or_lost(const char *hint, const char *hint_in_log) {
    struct idem_error error;
    if (stores_try(&box, false, &box.store, &error) == IDEM_ERR_INVALID) {
        assert_non_null(strstr(error.text, hint));
        return;
    }
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).code,
                     IDEM_ERR_UNAVAILABLE);
    if (!logged_has(hint_in_log)) {
        fail_msg("no '%s' in: %s", hint_in_log, logged_lines());
    }
    stores_close(&box);
}

static void accepted(void) {
    stores_open(&box);
    stores_put_done(&box, 1, T0, HOUR);
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).outcome,
                     IDEM_CLAIM_DONE);
    stores_close(&box);
    (void)redis_tell(&server, "FLUSHALL");
}

static void addresses_and_names_of_the_certificate_are_accepted(void **state) {
    (void)state;
    start("server", NULL, NULL);
    use("rediss", "127.0.0.1", tls.port, "ca.pem", "");
    accepted();
    use("rediss", "localhost", tls.port, "ca.pem", "");
    accepted();
}

static void a_certificate_for_another_host_is_refused(void **state) {
    (void)state;
    start("elsewhere", NULL, NULL);
    use("rediss", "127.0.0.1", tls.port, "ca.pem", "");
    refused(IDEM_ERR_INVALID, "IP address mismatch");
    use("rediss", "localhost", tls.port, "ca.pem", "");
    refused(IDEM_ERR_INVALID, "ostname mismatch");
}

static void a_certificate_of_another_authority_is_refused(void **state) {
    (void)state;
    start("server", NULL, NULL);
    use("rediss", "127.0.0.1", tls.port, "other-ca.pem", "");
    refused(IDEM_ERR_INVALID, "certificate is refused");
}

static void without_a_named_authority_those_of_the_system_count(void **state) {
    (void)state;
    start("server", NULL, NULL);
    use("rediss", "127.0.0.1", tls.port, "", "");
    refused(IDEM_ERR_INVALID, "certificate is refused");
    use("rediss", "127.0.0.1", tls.port, "", "&insecure=no");
    refused(IDEM_ERR_INVALID, "certificate is refused");
}

static void only_insecure_yes_trusts_anybody(void **state) {
    (void)state;
    start("elsewhere", NULL, NULL);
    use("rediss", "127.0.0.1", tls.port, "", "&insecure=yes");
    accepted();
}

static void a_server_that_wants_a_certificate_gets_ours(void **state) {
    char own[3 * FILES_PATH_MAX];
    (void)state;
    start("server", "ca", NULL);
    use("rediss", "127.0.0.1", tls.port, "ca.pem", "");
    refused_or_lost("certificate required", "does it want a certificate");
    (void)snprintf(own, sizeof own, "&cert=%s/client.pem&key=%s/client.key", dir, dir);
    use("rediss", "127.0.0.1", tls.port, "ca.pem", own);
    accepted();
}

static void files_that_cannot_be_used_are_named(void **state) {
    char own[3 * FILES_PATH_MAX];
    (void)state;
    use("rediss", "127.0.0.1", 1, "absent.pem", "");
    refused(IDEM_ERR_INVALID, "absent.pem");
    (void)snprintf(own, sizeof own, "&cert=%s/absent&key=%s/client.key", dir, dir);
    use("rediss", "127.0.0.1", 1, "ca.pem", own);
    refused(IDEM_ERR_INVALID, "/absent");
    (void)snprintf(own, sizeof own, "&cert=%s/client.pem&key=%s/server.key", dir, dir);
    use("rediss", "127.0.0.1", 1, "ca.pem", own);
    refused(IDEM_ERR_INVALID, "server.key");
}

static void tls_1_2_will_do_and_1_1_will_not(void **state) {
    static const char *const newer[] = {"--tls-protocols", "TLSv1.2", NULL};
    static const char *const older[] = {"--tls-protocols", "TLSv1.1", "--tls-ciphers",
                                        "DEFAULT@SECLEVEL=0", NULL};
    struct idem_store *store = NULL;
    struct idem_error error;
    (void)state;
    start("server", NULL, newer);
    use("rediss", "127.0.0.1", tls.port, "ca.pem", "");
    accepted();
    redis_remove(&server);
    start("server", NULL, older);
    use("rediss", "127.0.0.1", tls.port, "ca.pem", "");
    assert_int_equal(stores_try(&box, false, &store, &error), IDEM_ERR_INVALID);
    assert_non_null(strstr(error.text, "protocol version"));
}

static void a_plain_server_is_never_used_and_the_log_says_why(void **state) {
    (void)state;
    start("server", NULL, NULL);
    use("rediss", "127.0.0.1", server.port, "ca.pem", "&connect_timeout=300ms");
    stores_open(&box);
    assert_true(logged_has("does it speak TLS there?"));
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).code,
                     IDEM_ERR_UNAVAILABLE);
}

static void redis_without_tls_to_a_port_with_it_is_not_used(void **state) {
    struct idem_store *store = NULL;
    struct idem_error error;
    (void)state;
    start("server", NULL, NULL);
    (void)snprintf(box.url, sizeof box.url, "redis://127.0.0.1:%u", tls.port);
    enum idem_code code = stores_try(&box, false, &store, &error);
    box.store = store;
    assert_true(code == IDEM_ERR_FORMAT || logged_has("store.unavailable"));
}

/* Larger than a record of TLS, and than what a socket takes at once. */
static void results_of_many_records_arrive_whole(void **state) {
    static uint8_t result[IDEM_RESULT_MAX];
    (void)state;
    start("server", NULL, NULL);
    use("rediss", "127.0.0.1", tls.port, "ca.pem", "");
    stores_open(&box);
    for (size_t i = 0; i < sizeof result; i++) {
        result[i] = (uint8_t)(i % 251);
    }
    (void)stores_claim(&box, 1, &stores_me, T0, 1000);
    assert_int_equal(
        stores_complete_with(&box, 1, T0, HOUR, idem_span_of(result, sizeof result)),
        IDEM_OK);
    struct stores_answer answer = stores_lookup(&box, 1, T0);
    assert_int_equal(answer.answer.code, IDEM_OK);
    assert_int_equal(answer.answer.record.result.len, sizeof result);
    assert_memory_equal(answer.result, result, STORES_RESULT_MAX);
    assert_int_equal(stores_claim(&box, 2, &stores_me, T0, 1000).outcome, IDEM_CLAIM_NEW);
}

#define MANY 30000
static struct stores_answer answers[MANY];

/* A claim that was carried out and is sent once more would meet itself. */
static void
a_cut_connection_repeats_no_claim_that_may_have_been_carried_out(void **state) {
    size_t counts[2] = {0, 0};
    (void)state;
    start("server", NULL, NULL);
    proxy = proxy_start(tls.port);
    use("rediss", "127.0.0.1", proxy_port(proxy), "ca.pem", "");
    stores_open(&box);
    assert_int_equal(stores_claim(&box, MANY, &stores_me, T0, 1000).code, IDEM_OK);
    memset(answers, 0, sizeof answers);
    for (uint64_t n = 0; n < MANY; n++) {
        proxy_stall(proxy, n > MANY / 3);
        stores_submit_claim(&box, n, T0, &answers[n]);
    }
    proxy_cut(proxy);
    proxy_stall(proxy, false);
    stores_sync(&box);
    for (size_t n = 0; n < MANY; n++) {
        assert_int_equal(answers[n].calls, 1);
        bool unsure = answers[n].answer.code == IDEM_ERR_TIMEOUT;
        if (!unsure) {
            assert_int_equal(answers[n].answer.code, IDEM_OK);
            assert_int_equal(answers[n].answer.outcome, IDEM_CLAIM_NEW);
        }
        counts[unsure]++;
    }
    assert_true(counts[0] > 0 && counts[1] > 0);
}

/* Passes one connection on to a server, up to a byte that comes from it; that one is changed, or not
 * passed on at all, and the connection ended. */
struct spoiler {
    pthread_t thread;
    int listener;
    unsigned port;
    unsigned server_port;
    size_t at;
    bool change;
};

static int loopback_socket(unsigned port, bool listens) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = listens ? bind(fd, (struct sockaddr *)&address, sizeof address)
                         : connect(fd, (struct sockaddr *)&address, sizeof address);
    if (fd < 0 || result != 0 || (listens && listen(fd, 8) != 0)) {
        fail_msg("loopback: %s", strerror(errno));
    }
    return fd;
}

/* False: this connection is over. */
static bool pass(int from, int to, struct spoiler *spoiler, size_t *passed) {
    char bytes[512];
    ssize_t count = recv(from, bytes, sizeof bytes, 0);
    if (count <= 0) {
        return false;
    }
    if (passed != NULL && spoiler->at < *passed + (size_t)count) {
        size_t index = spoiler->at >= *passed ? spoiler->at - *passed : sizeof bytes;
        if (!spoiler->change) {
            (void)send(to, bytes, index < sizeof bytes ? index : 0, MSG_NOSIGNAL);
            return false;
        }
        if (index < sizeof bytes) {
            bytes[index] = (char)(bytes[index] ^ 0x41);
        }
    }
    *(passed != NULL ? passed : &(size_t){0}) += (size_t)count;
    return send(to, bytes, (size_t)count, MSG_NOSIGNAL) == count;
}

static void *spoil(void *arg) {
    struct spoiler *spoiler = arg;
    int client = -1;
    while ((client = accept(spoiler->listener, NULL, NULL)) >= 0) {
        int upstream = loopback_socket(spoiler->server_port, false);
        struct pollfd both[] = {{.fd = client, .events = POLLIN},
                                {.fd = upstream, .events = POLLIN}};
        size_t passed = 0;
        bool open = true;
        while (open && poll(both, 2, -1) > 0) {
            open = both[0].revents == 0 || pass(client, upstream, spoiler, NULL);
            open = open &&
                   (both[1].revents == 0 || pass(upstream, client, spoiler, &passed));
        }
        (void)close(upstream);
        (void)close(client);
    }
    return NULL;
}

static void spoiler_start(struct spoiler *spoiler, size_t at, bool change) {
    *spoiler = (struct spoiler){
        .port = redis_free_port(), .server_port = tls.port, .at = at, .change = change};
    spoiler->listener = loopback_socket(spoiler->port, true);
    assert_int_equal(pthread_create(&spoiler->thread, NULL, spoil, spoiler), 0);
}

static void spoiler_stop(struct spoiler *spoiler) {
    (void)shutdown(spoiler->listener, SHUT_RDWR);
    (void)pthread_join(spoiler->thread, NULL);
    (void)close(spoiler->listener);
}

/* Tries to claim through a connection that is spoilt at that byte. */
static enum idem_code try_spoilt(size_t at, bool change) {
    struct spoiler spoiler;
    struct idem_error error;
    spoiler_start(&spoiler, at, change);
    use("rediss", "127.0.0.1", spoiler.port, "ca.pem", "&connect_timeout=500ms");
    enum idem_code code = stores_try(&box, false, &box.store, &error);
    if (code == IDEM_OK) {
        struct idem_answer answer = stores_claim(&box, at, &stores_me, T0, 1000);
        code = answer.code;
        if (code == IDEM_OK) {
            assert_int_equal(answer.outcome, IDEM_CLAIM_NEW);
        }
    }
    stores_close(&box);
    spoiler_stop(&spoiler);
    (void)logged_open();
    return code;
}

/* The server's part of the handshake has some 700 bytes with these certificates. */
static void a_server_that_is_cut_off_during_the_handshake_is_unavailable(void **state) {
    (void)state;
    start("server", NULL, NULL);
    for (size_t at = 0; at < 600; at += 53) {
        assert_int_equal(try_spoilt(at, false), IDEM_ERR_UNAVAILABLE);
    }
    assert_int_equal(try_spoilt((size_t)1 << 30, false), IDEM_OK);
}

static void a_handshake_that_somebody_changed_leads_to_nothing(void **state) {
    (void)state;
    start("server", NULL, NULL);
    for (size_t at = 5; at < 600; at += 61) {
        assert_int_not_equal(try_spoilt(at, true), IDEM_OK);
    }
    assert_int_equal(redis_tell(&server, "DBSIZE"), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, reset, tidy)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(addresses_and_names_of_the_certificate_are_accepted),
        CASE(a_certificate_for_another_host_is_refused),
        CASE(a_certificate_of_another_authority_is_refused),
        CASE(without_a_named_authority_those_of_the_system_count),
        CASE(only_insecure_yes_trusts_anybody),
        CASE(a_server_that_wants_a_certificate_gets_ours),
        CASE(files_that_cannot_be_used_are_named),
        CASE(tls_1_2_will_do_and_1_1_will_not),
        CASE(a_plain_server_is_never_used_and_the_log_says_why),
        CASE(redis_without_tls_to_a_port_with_it_is_not_used),
        CASE(results_of_many_records_arrive_whole),
        CASE(a_cut_connection_repeats_no_claim_that_may_have_been_carried_out),
        CASE(a_server_that_is_cut_off_during_the_handshake_is_unavailable),
        CASE(a_handshake_that_somebody_changed_leads_to_nothing),
    };
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_store_url_check("rediss://localhost", &error) == IDEM_ERR_UNSUPPORTED) {
        return strstr(error.text, "libssl-dev") != NULL ? 0 : 1;
    }
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
