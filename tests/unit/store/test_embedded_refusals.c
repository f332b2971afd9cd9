/* SPDX-License-Identifier: MIT
 * Files and places that the embedded store refuses, and what it says of them. */
#include "children.h"
#include "stores.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)
#define KEYS 3000

static char path[2 * FILES_PATH_MAX];

/* A store with records in it, closed. */
static int make_store(void **state) {
    static struct stores_box box;
    memset(&box, 0, sizeof box);
    stores_make(&box, "embedded://%s/store?commit=10s"); /* always the same file */
    for (uint64_t n = 0; n < KEYS; n++) {
        stores_put_done(&box, n, T0, HOUR);
    }
    stores_close(&box);
    (void)snprintf(path, sizeof path, "%s/store", box.dir);
    *state = &box;
    return 0;
}

static int remove_store(void **state) {
    stores_remove(*state);
    return 0;
}

static void assert_refused(struct stores_box *box, bool read_only, enum idem_code code,
                           const char *text) {
    struct idem_error error;
    struct idem_store *store = NULL;
    enum idem_code got = stores_try(box, read_only, &store, &error);
    if (got != code || store != NULL || strstr(error.text, text) == NULL ||
        strstr(error.text, box->dir) == NULL) {
        fail_msg("code %d, text '%s', expected %d and '%s'", got, error.text, code, text);
    }
}

static void assert_sound(struct stores_box *box) {
    stores_open(box);
    for (uint64_t n = 0; n < KEYS; n += 17) {
        assert_int_equal(stores_claim(box, n, &stores_me, T0, 1).outcome,
                         IDEM_CLAIM_DONE);
    }
    stores_close(box);
}

static void overwrite(long offset, const void *bytes, size_t size) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static off_t size_of_file(void) {
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

static void a_text_file_is_no_store(void **state) {
    struct stores_box *box = *state;
    files_write(box->dir, "store", "To whom it may concern: this is not a database.\n");
    assert_refused(box, false, IDEM_ERR_FORMAT, "not an Idem store");
    assert_refused(box, true, IDEM_ERR_FORMAT, "not an Idem store");
    char *text = files_read(path);
    assert_non_null(strstr(text, "To whom it may concern")); /* and is left alone */
    free(text);
}

static void an_empty_file_becomes_a_store(void **state) {
    struct stores_box *box = *state;
    assert_int_equal(truncate(path, 0), 0);
    assert_refused(box, true, IDEM_ERR_FORMAT, "empty");
    stores_open(box);
    stores_put_done(box, 1, T0, HOUR);
    stores_close(box);
}

static void another_kind_of_file_is_refused(void **state) {
    struct stores_box *box = *state;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(box, false, IDEM_ERR_FORMAT, "not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(box, false, IDEM_ERR_IO, "is a directory");
    assert_refused(box, true, IDEM_ERR_IO, "is a directory");
}

static void a_missing_directory_is_to_be_created(void **state) {
    struct stores_box *box = *state;
    struct stores_box elsewhere = *box;
    (void)snprintf(elsewhere.url, sizeof elsewhere.url, "embedded://%s/no/such/store",
                   box->dir);
    assert_refused(&elsewhere, false, IDEM_ERR_IO, "mkdir -p ");
    assert_refused(&elsewhere, false, IDEM_ERR_IO, "/no/such");
}

static void a_reader_does_not_create_anything(void **state) {
    struct stores_box *box = *state;
    assert_int_equal(unlink(path), 0);
    assert_refused(box, true, IDEM_ERR_IO, "does not exist yet");
    assert_int_equal(access(path, F_OK), -1);
}

/* Root may do everything, so this is tried as nobody. */
static int try_without_rights(struct child *child, void *arg) {
    struct stores_box *box = arg;
    struct idem_error error;
    struct idem_store *store = NULL;
    (void)child;
    if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) {
        return 1;
    }
    enum idem_code code = stores_try(box, false, &store, &error);
    bool said = strstr(error.text, "no permission") != NULL &&
                strstr(error.text, box->dir) != NULL && error.sys_errno == EACCES;
    if (code != IDEM_ERR_IO || store != NULL || !said) {
        return 2;
    }
    /* To give the file away would take it from the program that writes it. */
    code = stores_try(box, true, &store, &error);
    said = strstr(error.text, "no permission to read it") != NULL &&
           strstr(error.text, "chown") == NULL;
    return code == IDEM_ERR_IO && store == NULL && said ? 0 : 3;
}

static void missing_rights_are_named(void **state) {
    struct stores_box *box = *state;
    struct child child;
    assert_int_equal(chmod(path, 0), 0);
    child_start(&child, try_without_rights, box);
    child_end(&child);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(chmod(box->dir, 0), 0);
    child_start(&child, try_without_rights, box);
    child_end(&child);
    assert_int_equal(chmod(box->dir, 0700), 0);
    assert_sound(box);
}

/* A store with free pages at the front, where small commits put the roots of LMDB's
 * trees: then records, and nothing else, are missing from a shortened file. */
static void move_roots(struct stores_box *box) {
    stores_open(box);
    for (uint64_t n = KEYS; n < 4 * KEYS; n++) {
        stores_put_done(box, n, T0, HOUR);
    }
    stores_sync(box);
    for (uint64_t n = KEYS; n < 4 * KEYS; n++) {
        assert_int_equal(stores_forget(box, n), IDEM_OK);
    }
    for (uint64_t n = 0; n < 20; n++) {
        stores_put_done(box, 5 * KEYS + n, T0, HOUR);
        stores_sync(box);
    }
    stores_close(box);
}

/* No length may lead to SIGBUS or to a store that has lost something. */
static void a_truncated_file_is_refused_at_each_length(void **state) {
    struct stores_box *box = *state;
    move_roots(box);
    off_t whole = size_of_file();
    char *copy = malloc((size_t)whole);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_non_null(copy);
    assert_int_equal(fread(copy, 1, (size_t)whole, file), whole);
    (void)fclose(file);
    for (off_t length = 1; length < whole; length += length < 8192 ? 512 : 8192) {
        overwrite(0, copy, (size_t)whole);
        assert_int_equal(truncate(path, length), 0);
        struct idem_error error;
        struct idem_store *store = NULL;
        enum idem_code reader = stores_try(box, true, &store, &error);
        idem_store_close(store);
        enum idem_code writer = stores_try(box, false, &store, &error);
        assert_int_equal(reader, writer);
        if (writer == IDEM_OK) {
            idem_store_close(store); /* what was cut off is free: nothing is missing */
            assert_sound(box);
        } else {
            assert_int_equal(error.code, IDEM_ERR_FORMAT);
            assert_int_equal(size_of_file(), length); /* left as it was found */
        }
    }
    overwrite(0, copy, (size_t)whole);
    assert_sound(box);
    assert_int_equal(truncate(path, whole / 2), 0);
    assert_refused(box, false, IDEM_ERR_FORMAT, "is truncated");
    free(copy);
}

static MDB_txn *begin_raw(MDB_env **env, MDB_dbi *dbi) {
    MDB_txn *txn;
    assert_int_equal(mdb_env_create(env), 0);
    assert_int_equal(mdb_env_open(*env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600), 0);
    assert_int_equal(mdb_txn_begin(*env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, dbi), 0);
    return txn;
}

static void put_one(MDB_txn *txn, MDB_dbi dbi, uint64_t n) {
    struct idem_digest digest = stores_digest(n);
    MDB_val key = {sizeof digest.bytes, digest.bytes};
    MDB_val data = {sizeof digest.bytes, digest.bytes};
    assert_int_equal(mdb_put(txn, dbi, &key, &data, 0), 0);
}

/* LMDB leaves out pages at the end that a transaction took and gave up: see
 * freelist.c. Returns the length that the file should have. */
static off_t leave_out_free_pages(void) {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_envinfo info;
    MDB_txn *txn = begin_raw(&env, &dbi);
    for (uint64_t n = 100000; n < 110000; n++) {
        put_one(txn, dbi, n);
    }
    for (uint64_t n = 100000; n < 110000; n++) {
        struct idem_digest digest = stores_digest(n);
        MDB_val key = {sizeof digest.bytes, digest.bytes};
        assert_int_equal(mdb_del(txn, dbi, &key, NULL), 0);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    assert_int_equal(mdb_env_info(env, &info), 0);
    mdb_env_close(env);
    off_t used = (off_t)(info.me_last_pgno + 1) * 4096;
    assert_true(size_of_file() < used);
    return used;
}

static void assert_short_but_sound(struct stores_box *box, off_t used) {
    struct idem_error error;
    struct idem_store *view = NULL;
    assert_true(size_of_file() < used);
    assert_int_equal(stores_try(box, true, &view, &error), IDEM_OK);
    idem_store_close(view);
    assert_true(size_of_file() < used); /* readers do not write */
    assert_sound(box);
    assert_true(size_of_file() >= used);
}

static void a_file_that_lacks_free_pages_only_is_sound(void **state) {
    assert_short_but_sound(*state, leave_out_free_pages());
}

/* While a reader might still need them, free pages are not used again: each
 * transaction adds to their list, until it is a tree of several levels. Then the last
 * live pages are moved to the front. */
static void a_long_list_of_free_pages_is_read_to_its_end(void **state) {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *reader;
    MDB_txn *txn = begin_raw(&env, &dbi);
    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &reader), 0);
    for (uint64_t n = 0; n < 400; n++) {
        put_one(txn, dbi, 200000 + n);
        assert_int_equal(mdb_txn_commit(txn), 0);
        assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    }
    mdb_txn_abort(reader);
    mdb_txn_abort(txn);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    for (uint64_t n = 0; n < 400; n++) {
        put_one(txn, dbi, 200000 + n);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    off_t used = size_of_file();
    assert_int_equal(truncate(path, used - 2 * 4096), 0);
    assert_short_but_sound(*state, used);
}

/* The list of free pages is read without LMDB: nothing in it may lead astray. */
static void a_damaged_list_of_free_pages_leads_nowhere(void **state) {
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0xff};
    struct stores_box *box = *state;
    uint8_t page[4096];
    /* At 80 in each meta page; the newer one is the higher transaction's. */
    uint64_t roots[2];
    uint64_t transactions[2];
    int refused = 0;
    (void)leave_out_free_pages();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pread(fd, &roots[i], 8, 4096 * i + 80), 8);
        assert_int_equal(pread(fd, &transactions[i], 8, 4096 * i + 144), 8);
    }
    long root = (long)roots[transactions[0] < transactions[1]] * 4096;
    assert_int_equal(pread(fd, page, sizeof page, root), sizeof page);
    (void)close(fd);
    for (long at = 8; at < 4096; at += at == 128 ? 3700 : 1) {
        for (size_t v = 0; v < sizeof values; v++) {
            struct idem_error error;
            struct idem_store *view = NULL;
            overwrite(root + at, &values[v], 1);
            enum idem_code code = stores_try(box, true, &view, &error);
            assert_true(code == IDEM_OK || code == IDEM_ERR_FORMAT);
            refused += code == IDEM_ERR_FORMAT;
            idem_store_close(view);
        }
        overwrite(root + at, &page[at], 1);
    }
    assert_true(refused > 0);
    assert_sound(box);
}

static void put_raw(const char *name, const void *value, size_t size) {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn = begin_raw(&env, &dbi);
    MDB_val key = {strlen(name), (void *)(uintptr_t)name};
    MDB_val data = {size, (void *)(uintptr_t)value};
    assert_int_equal(mdb_put(txn, dbi, &key, &data, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void another_programs_database_is_refused(void **state) {
    struct stores_box *box = *state;
    assert_int_equal(unlink(path), 0);
    put_raw("their key", "their value", 11);
    assert_refused(box, false, IDEM_ERR_FORMAT, "not an Idem store");
    assert_refused(box, true, IDEM_ERR_FORMAT, "not an Idem store");
}

static void a_newer_format_is_refused_as_such(void **state) {
    uint8_t meta[32] = "IDEMSTOR";
    meta[8] = 2;
    put_raw("idem", meta, sizeof meta);
    assert_refused(*state, false, IDEM_ERR_VERSION, "newer Idem");
    assert_refused(*state, true, IDEM_ERR_VERSION, "newer Idem");
}

static void a_damaged_meta_record_is_refused(void **state) {
    uint8_t meta[32] = "IDEMSTOR";
    put_raw("idem", meta, sizeof meta);
    assert_refused(*state, false, IDEM_ERR_FORMAT, "makes no sense");
    meta[8] = 1;
    put_raw("idem", meta, sizeof meta - 1);
    assert_refused(*state, false, IDEM_ERR_FORMAT, "makes no sense");
    meta[0] = 'X';
    put_raw("idem", meta, sizeof meta);
    assert_refused(*state, false, IDEM_ERR_FORMAT, "makes no sense");
}

/* The fields of LMDB's meta pages that its own opening would stumble over. */
static void hostile_meta_pages_are_refused(void **state) {
    static const struct {
        long offset;
        size_t size;
    } fields[] = {{10, 2}, {16, 4}, {20, 4}, {40, 4}, {136, 8}};
    static const uint64_t values[] = {0, 1, 3, 4097, 0xFFFFFFFF, UINT64_MAX};
    struct stores_box *box = *state;
    uint8_t metas[8192];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(metas, 1, sizeof metas, file), sizeof metas);
    (void)fclose(file);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            uint64_t kept = 0;
            memcpy(&kept, metas + fields[i].offset, fields[i].size);
            if (kept == values[v]) {
                continue; /* data format 1 */
            }
            overwrite(fields[i].offset, &values[v], fields[i].size);
            overwrite(4096 + fields[i].offset, &values[v], fields[i].size);
            struct idem_error error;
            struct idem_store *store = NULL;
            enum idem_code code = stores_try(box, false, &store, &error);
            bool flag_kept = fields[i].offset == 10 && (values[v] & 8) != 0;
            bool page_kept =
                fields[i].offset == 136; /* a lower page number is not seen */
            if (!flag_kept && !page_kept) {
                assert_int_equal(code, IDEM_ERR_FORMAT);
            }
            idem_store_close(store);
            overwrite(0, metas, sizeof metas);
        }
    }
    assert_sound(box);
}

static enum idem_code open_with(struct stores_box *box, const struct idem_secret *secret,
                                struct idem_error *error) {
    struct idem_store *store = NULL;
    struct idem_store_options options = {.url = box->url, .secret = secret};
    *error = (struct idem_error)IDEM_ERROR_INIT;
    enum idem_code code = idem_store_open(&store, &options, error);
    idem_store_close(store);
    return code;
}

static void another_secret_is_refused(void **state) {
    struct idem_secret other = {{7}};
    struct idem_error error;
    assert_int_equal(open_with(*state, &other, &error), IDEM_ERR_FORMAT);
    assert_non_null(strstr(error.text, "another secret"));
    assert_int_equal(open_with(*state, NULL, &error), IDEM_OK); /* a tool without it */
    assert_sound(*state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_store, remove_store)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_text_file_is_no_store),
        CASE(an_empty_file_becomes_a_store),
        CASE(another_kind_of_file_is_refused),
        CASE(a_missing_directory_is_to_be_created),
        CASE(a_reader_does_not_create_anything),
        CASE(missing_rights_are_named),
        CASE(a_truncated_file_is_refused_at_each_length),
        CASE(a_file_that_lacks_free_pages_only_is_sound),
        CASE(a_long_list_of_free_pages_is_read_to_its_end),
        CASE(a_damaged_list_of_free_pages_leads_nowhere),
        CASE(another_programs_database_is_refused),
        CASE(a_newer_format_is_refused_as_such),
        CASE(a_damaged_meta_record_is_refused),
        CASE(hostile_meta_pages_are_refused),
        CASE(another_secret_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
