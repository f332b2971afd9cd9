/* SPDX-License-Identifier: MIT
 * Fuzz target: any bytes as an export, with a checksum that is right where there is room for one, so that what
 * lies behind it is reached. Each record that comes out goes into a store; the store refuses it or gives it
 * back. */
#include <idem/transfer.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define SUM_SIZE 16
#define T0       INT64_C(1700000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
    const uint8_t *data;
    size_t length;
    size_t at;
};

static bool take(void *arg, void *to, size_t length, size_t *got) {
    struct bytes *bytes = arg;
    size_t left = bytes->length - bytes->at;
    *got = length < left ? length : left;
    if (*got > 0) {
        memcpy(to, bytes->data + bytes->at, *got);
    }
    bytes->at += *got;
    return true;
}

static void require(bool holds, const char *what) {
    if (!holds) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

static void note_code(void *arg, const struct idem_answer *answer) {
    *(enum idem_code *)arg = answer->code;
}

static void put_into(struct idem_store *store, const struct idem_digest *digest,
                     const struct idem_record *record) {
    struct idem_restoration restoration = {
        .digest = *digest, .record = *record, .now_ms = T0};
    enum idem_code code = IDEM_CODE_COUNT;
    require(record->state != IDEM_RECORD_NONE, "a record of no state");
    require(record->result.len <= IDEM_RESULT_MAX, "a result without bounds");
    idem_store_restore(store, &restoration, note_code, &code);
    require(code != IDEM_CODE_COUNT, "no answer");
    if (code == IDEM_OK) {
        idem_store_lookup(store, digest, T0, note_code, &code);
        require(code == IDEM_OK || record->until_ms <= T0, "restored, and not there");
    }
}

static void read_all(const uint8_t *data, size_t size, struct idem_store *store) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct bytes bytes = {data, size, 0};
    struct idem_import *in = NULL;
    struct idem_secret secret;
    struct idem_digest digest;
    struct idem_record record;
    idem_secret_default(&secret);
    enum idem_code code = idem_import_open(&in, take, &bytes, &secret, &error);
    while (code == IDEM_OK) {
        code = idem_import_next(in, &digest, &record, &error);
        if (code == IDEM_OK) {
            put_into(store, &digest, &record);
        }
    }
    require(code == IDEM_ERR_NOT_FOUND || error.text[0] != '\0',
            "refused without a word");
    idem_import_close(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct idem_store *store = NULL;
    struct idem_store_options options = {.url = "memory:"};
    require(idem_digest_init(NULL) == IDEM_OK, "no hash");
    require(idem_store_open(&store, &options, NULL) == IDEM_OK, "no store");
    read_all(data, size, store);
    uint8_t *summed = malloc(size + SUM_SIZE);
    if (summed != NULL && size > 0) {
        memcpy(summed, data, size);
        (void)crypto_generichash(summed + size, SUM_SIZE, data, size, NULL, 0);
        read_all(summed, size + SUM_SIZE, store);
    }
    free(summed);
    idem_store_close(store);
    return 0;
}
