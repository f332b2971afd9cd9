/* SPDX-License-Identifier: MIT
 * The meta record: key "idem", 32 bytes.
 *
 *   offset  bytes
 *        0      8  "IDEMSTOR"
 *        8      1  format of the file: 1
 *        9      1  1 where the check value is there, else 0
 *       10      6  zeroes
 *       16     16  check value of the secret: a digest of nothing, in its own domain */
#include "store/embedded/meta.h"

#define FILE_FORMAT 1

enum {
    AT_FORMAT = 8,
    AT_HAS_CHECK = 9,
    AT_CHECK = 16,
    META_SIZE = 32,
};

static char meta_key[] = "idem";
static const char magic[] = "IDEMSTOR";

static void make_meta(uint8_t bytes[META_SIZE], const struct idem_secret *secret) {
    memset(bytes, 0, META_SIZE);
    memcpy(bytes, magic, sizeof magic - 1);
    bytes[AT_FORMAT] = FILE_FORMAT;
    if (secret != NULL) {
        struct idem_digest check;
        idem_digest_of(&check, secret, IDEM_DOMAIN_SECRET_CHECK, NULL, 0);
        bytes[AT_HAS_CHECK] = 1;
        memcpy(bytes + AT_CHECK, check.bytes, sizeof check.bytes);
    }
}

static enum idem_code judge(const struct idem_disk *disk, const MDB_val *found,
                            const struct idem_secret *secret, struct idem_error *error) {
    uint8_t ours[META_SIZE];
    const uint8_t *bytes = found->mv_data;
    make_meta(ours, secret);
    if (found->mv_size < META_SIZE || memcmp(bytes, magic, sizeof magic - 1) != 0 ||
        bytes[AT_FORMAT] == 0) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0,
                              "store %s is damaged: its meta record makes no sense",
                              disk->path);
    }
    if (bytes[AT_FORMAT] > FILE_FORMAT) {
        return idem_error_set(error, IDEM_ERR_VERSION, 0,
                              "store %s has format %u, this program knows %d: it was "
                              "written by a newer Idem; use that one, or another path",
                              disk->path, bytes[AT_FORMAT], FILE_FORMAT);
    }
    if (secret != NULL && bytes[AT_HAS_CHECK] == 1 &&
        memcmp(bytes + AT_CHECK, ours + AT_CHECK, IDEM_DIGEST_SIZE) != 0) {
        return idem_error_set(
            error, IDEM_ERR_FORMAT, 0,
            "store %s was written under another secret: its keys would "
            "never be recognised; use that secret_file, or another path",
            disk->path);
    }
    return IDEM_OK;
}

/* With the journal, so that a store always has both. */
static int write_meta(struct idem_disk *disk, const struct idem_secret *secret) {
    uint8_t bytes[META_SIZE];
    MDB_val key = {sizeof meta_key - 1, meta_key};
    MDB_val data = {sizeof bytes, bytes};
    MDB_txn *txn = NULL;
    make_meta(bytes, secret);
    int rc = mdb_txn_begin(disk->env, NULL, 0, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_put(txn, disk->dbi, &key, &data, 0);
    rc = rc == MDB_SUCCESS ? idem_disk_open_journal(disk, txn, true) : rc;
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

static enum idem_code refuse(const struct idem_disk *disk, int rc,
                             struct idem_error *error) {
    return idem_error_set(error, idem_disk_code(rc), rc > 0 ? rc : 0,
                          "store %s cannot be used: %s", disk->path, mdb_strerror(rc));
}

/* A file that LMDB has just made, or that a crash left before the meta record: nothing
 * is in it. */
static enum idem_code adopt(struct idem_disk *disk, const struct idem_secret *secret,
                            struct idem_error *error) {
    MDB_stat stat;
    int rc = mdb_env_stat(disk->env, &stat);
    if (rc == MDB_SUCCESS && (stat.ms_entries > 0 || disk->read_only)) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0,
                              "%s is an LMDB file, but not an Idem store; name another "
                              "path",
                              disk->path);
    }
    rc = rc == MDB_SUCCESS ? write_meta(disk, secret) : rc;
    return rc == MDB_SUCCESS ? IDEM_OK : refuse(disk, rc, error);
}

enum idem_code idem_meta_check(struct idem_disk *disk, const struct idem_secret *secret,
                               struct idem_error *error) {
    MDB_val key = {sizeof meta_key - 1, meta_key};
    MDB_val data;
    enum idem_code code = idem_disk_view_begin(disk);
    if (code != IDEM_OK) {
        return idem_error_set(error, code, 0, "store %s cannot be read", disk->path);
    }
    int rc = mdb_get(disk->view, disk->dbi, &key, &data);
    if (rc == MDB_SUCCESS) {
        code = judge(disk, &data, secret, error);
    }
    idem_disk_view_end(disk);
    if (rc == MDB_NOTFOUND) {
        return adopt(disk, secret, error);
    }
    if (rc == MDB_SUCCESS && code == IDEM_OK && !disk->has_journal) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0,
                              "store %s is damaged: its journal is missing; restore it, "
                              "or move it away to begin with an empty one",
                              disk->path);
    }
    return rc == MDB_SUCCESS ? code : refuse(disk, rc, error);
}
