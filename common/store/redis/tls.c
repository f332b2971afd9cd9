/* SPDX-License-Identifier: MIT
 * TLS by OpenSSL with memory on both sides.
 *
 * Sockets stay the link's own business, so there is one place for time-outs and no signal of a broken
 * pipe. OpenSSL keeps errors in a queue of the thread, which is the broker's thread too: it is cleared
 * before each call and after each failure. */
#include "store/redis/tls.h"

#ifdef IDEM_HAVE_OPENSSL

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

struct idem_tls {
    SSL *ssl;
    BIO *from_peer; /* both belong to ssl */
    BIO *to_peer;
};

enum idem_code idem_tls_available(struct idem_error *error) {
    (void)error;
    return IDEM_OK;
}

/* The library's own words for what went wrong last. */
static const char *reason(void) {
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text != NULL ? text : "unknown error";
}

static enum idem_code bad_file(struct idem_error *error, const char *what,
                               const char *path) {
    enum idem_code code =
        idem_error_set(error, IDEM_ERR_INVALID, 0, "TLS: %s %s cannot be used: %s", what,
                       path, reason());
    ERR_clear_error();
    return code;
}

static enum idem_code no_memory(struct idem_error *error) {
    ERR_clear_error();
    return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for TLS");
}

static enum idem_code load_authorities(SSL_CTX *context,
                                       const struct idem_tls_options *options,
                                       struct idem_error *error) {
    if (options->insecure) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
        return IDEM_OK;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (options->ca[0] == '\0') {
        return SSL_CTX_set_default_verify_paths(context) == 1
                   ? IDEM_OK
                   : bad_file(error, "authorities", "of the system");
    }
    return SSL_CTX_load_verify_locations(context, options->ca, NULL) == 1
               ? IDEM_OK
               : bad_file(error, "ca", options->ca);
}

static enum idem_code load_own(SSL_CTX *context, const struct idem_tls_options *options,
                               struct idem_error *error) {
    if (options->certificate[0] == '\0') {
        return IDEM_OK;
    }
    if (SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1) {
        return bad_file(error, "cert", options->certificate);
    }
    if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return bad_file(error, "key", options->key);
    }
    return IDEM_OK;
}

/* A key that is locked by a password must not make a broker ask its terminal. */
static int no_password(char *buffer, int size, int writing, void *arg) {
    (void)buffer;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

enum idem_code idem_tls_context_open(struct idem_tls_context **context,
                                     const struct idem_tls_options *options,
                                     struct idem_error *error) {
    ERR_clear_error();
    SSL_CTX *made = SSL_CTX_new(TLS_client_method());
    *context = NULL;
    if (made == NULL) {
        return no_memory(error);
    }
    (void)SSL_CTX_set_options(made, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_default_passwd_cb(made, no_password);
    enum idem_code code = SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION) == 1
                              ? load_authorities(made, options, error)
                              : no_memory(error);
    if (code == IDEM_OK) {
        code = load_own(made, options, error);
    }
    if (code != IDEM_OK) {
        SSL_CTX_free(made);
        return code;
    }
    *context = (struct idem_tls_context *)made;
    return IDEM_OK;
}

void idem_tls_context_close(struct idem_tls_context *context) {
    SSL_CTX_free((SSL_CTX *)context);
}

static bool is_address(const char *host) {
    uint8_t bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Whom the certificate must be for. Names are told to the server as well, which may have several. */
static bool expect(SSL *ssl, const char *host) {
    if (is_address(host)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

enum idem_code idem_tls_open(struct idem_tls **tls, struct idem_tls_context *context,
                             const char *host, struct idem_error *error) {
    ERR_clear_error();
    struct idem_tls *made = calloc(1, sizeof *made);
    *tls = NULL;
    if (made == NULL) {
        return no_memory(error);
    }
    made->ssl = SSL_new((SSL_CTX *)context);
    made->from_peer = BIO_new(BIO_s_mem());
    made->to_peer = BIO_new(BIO_s_mem());
    if (made->ssl == NULL || made->from_peer == NULL || made->to_peer == NULL) {
        BIO_free(made->from_peer);
        BIO_free(made->to_peer);
        idem_tls_close(made);
        return no_memory(error);
    }
    /* Nothing more to read now does not mean that it is the end. */
    (void)BIO_set_mem_eof_return(made->from_peer, -1);
    SSL_set_bio(made->ssl, made->from_peer, made->to_peer);
    SSL_set_connect_state(made->ssl);
    if (!expect(made->ssl, host)) {
        idem_tls_close(made);
        return no_memory(error);
    }
    *tls = made;
    return IDEM_OK;
}

void idem_tls_close(struct idem_tls *tls) {
    if (tls != NULL) {
        SSL_free(tls->ssl);
        free(tls);
    }
}

bool idem_tls_established(const struct idem_tls *tls) {
    return SSL_is_init_finished(tls->ssl) == 1;
}

/* By who refused whom: the remedies differ. */
static enum idem_code explain(const struct idem_tls *tls, struct idem_error *error) {
    long verdict = SSL_get_verify_result(tls->ssl);
    unsigned long last = ERR_peek_last_error();
    enum idem_code code = IDEM_ERR_FORMAT;
    if (ERR_GET_REASON(last) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        code =
            idem_error_set(error, IDEM_ERR_INVALID, 0,
                           "the server's certificate is refused: %s; ca=PATH names the "
                           "authority to trust",
                           X509_verify_cert_error_string(verdict));
    } else if (ERR_GET_LIB(last) == ERR_LIB_SSL &&
               ERR_GET_REASON(last) >= SSL_AD_REASON_OFFSET) {
        code = idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "the server refuses TLS with us: %s", reason());
    } else {
        code = idem_error_set(error, IDEM_ERR_FORMAT, 0,
                              "TLS: %s; is that a port that speaks TLS?", reason());
    }
    ERR_clear_error();
    return code;
}

enum idem_code idem_tls_handshake(struct idem_tls *tls, struct idem_error *error) {
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1 || SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ) {
        return IDEM_OK;
    }
    return explain(tls, error);
}

enum idem_code idem_tls_seal(struct idem_tls *tls, struct idem_span plain,
                             struct idem_error *error) {
    size_t written = 0;
    ERR_clear_error();
    if (SSL_write_ex(tls->ssl, plain.data, plain.len, &written) != 1 ||
        written != plain.len) {
        return explain(tls, error);
    }
    return IDEM_OK;
}

enum idem_code idem_tls_drain(struct idem_tls *tls, struct idem_bytes *wire) {
    size_t pending = BIO_ctrl_pending(tls->to_peer);
    if (pending == 0) {
        return IDEM_OK;
    }
    uint8_t *at = idem_bytes_reserve(wire, pending);
    size_t count = 0;
    if (at == NULL || BIO_read_ex(tls->to_peer, at, pending, &count) != 1) {
        return IDEM_ERR_NOMEM;
    }
    idem_bytes_added(wire, count);
    return IDEM_OK;
}

enum idem_code idem_tls_feed(struct idem_tls *tls, const void *data, size_t length,
                             struct idem_error *error) {
    size_t written = 0;
    ERR_clear_error();
    bool taken = BIO_write_ex(tls->from_peer, data, length, &written) == 1;
    return taken && written == length ? IDEM_OK : no_memory(error);
}

enum idem_code idem_tls_unseal(struct idem_tls *tls, void *plain, size_t room,
                               size_t *length, struct idem_error *error) {
    *length = 0;
    ERR_clear_error();
    int result = SSL_read_ex(tls->ssl, plain, room, length);
    if (result == 1) {
        return IDEM_OK;
    }
    *length = 0;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return IDEM_OK;
    case SSL_ERROR_ZERO_RETURN:
        return idem_error_set(error, IDEM_ERR_UNAVAILABLE, 0,
                              "the server closed the connection");
    default:
        return explain(tls, error);
    }
}

#else

enum idem_code idem_tls_available(struct idem_error *error) {
    return idem_error_set(error, IDEM_ERR_UNSUPPORTED, 0,
                          "store URL: this build has no TLS for Redis: install OpenSSL's "
                          "development files (Debian: libssl-dev) and build again");
}

enum idem_code idem_tls_context_open(struct idem_tls_context **context,
                                     const struct idem_tls_options *options,
                                     struct idem_error *error) {
    (void)options;
    *context = NULL;
    return idem_tls_available(error);
}

void idem_tls_context_close(struct idem_tls_context *context) {
    (void)context;
}

enum idem_code idem_tls_open(struct idem_tls **tls, struct idem_tls_context *context,
                             const char *host, struct idem_error *error) {
    (void)context;
    (void)host;
    *tls = NULL;
    return idem_tls_available(error);
}

void idem_tls_close(struct idem_tls *tls) {
    (void)tls;
}

enum idem_code idem_tls_handshake(struct idem_tls *tls, struct idem_error *error) {
    (void)tls;
    return idem_tls_available(error);
}

bool idem_tls_established(const struct idem_tls *tls) {
    (void)tls;
    return false;
}

enum idem_code idem_tls_seal(struct idem_tls *tls, struct idem_span plain,
                             struct idem_error *error) {
    (void)tls;
    (void)plain;
    return idem_tls_available(error);
}

enum idem_code idem_tls_drain(struct idem_tls *tls, struct idem_bytes *wire) {
    (void)tls;
    (void)wire;
    return IDEM_ERR_UNSUPPORTED;
}

enum idem_code idem_tls_feed(struct idem_tls *tls, const void *data, size_t length,
                             struct idem_error *error) {
    (void)tls;
    (void)data;
    (void)length;
    return idem_tls_available(error);
}

enum idem_code idem_tls_unseal(struct idem_tls *tls, void *plain, size_t room,
                               size_t *length, struct idem_error *error) {
    (void)tls;
    (void)plain;
    (void)room;
    *length = 0;
    return idem_tls_available(error);
}

#endif
