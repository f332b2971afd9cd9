/* SPDX-License-Identifier: MIT
 * The LMDB environment: opening with all its refusals, views, growth. */
#include "store/embedded/disk.h"

#include "store/embedded/meta.h"
#include "store/record.h"
#include "store/step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEEK_STRIDE  64        /* records that one seek looks at: some ten microseconds */
#define JOURNAL_NAME "journal" /* among the records, where no digest is as short */

enum idem_code idem_disk_code(int rc) {
    switch (rc) {
    case MDB_SUCCESS:
        return IDEM_OK;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return IDEM_ERR_FULL;
    case ENOMEM:
        return IDEM_ERR_NOMEM;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
        return IDEM_ERR_FORMAT;
    case MDB_VERSION_MISMATCH:
        return IDEM_ERR_VERSION;
    case MDB_PANIC:
    case MDB_READERS_FULL:
        return IDEM_ERR_UNAVAILABLE;
    default:
        return IDEM_ERR_IO;
    }
}

static void drop_env(struct idem_disk *disk) {
    if (disk->view != NULL) {
        mdb_txn_abort(disk->view);
        disk->view = NULL;
    }
    if (disk->env != NULL) {
        mdb_env_close(disk->env);
        disk->env = NULL;
    }
}

int idem_disk_open_journal(struct idem_disk *disk, MDB_txn *txn, bool create) {
    unsigned flags = 0;
    int rc = mdb_dbi_open(txn, JOURNAL_NAME, create ? (unsigned)MDB_CREATE : 0,
                          &disk->journal);
    rc = rc == MDB_SUCCESS ? mdb_dbi_flags(txn, disk->journal, &flags) : rc;
    disk->has_journal = rc == MDB_SUCCESS && flags == 0;
    return rc == MDB_SUCCESS && flags != 0 ? MDB_INCOMPATIBLE : rc;
}

/* Handles outlive the transaction that opened them only if it is committed. Without a
 * journal the file is new, or no store: the meta record tells which. */
static int open_databases(struct idem_disk *disk) {
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(disk->env, NULL, MDB_RDONLY, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_dbi_open(txn, NULL, 0, &disk->dbi);
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    (void)idem_disk_open_journal(disk, txn, false);
    return mdb_txn_commit(txn);
}

static int start_view(struct idem_disk *disk) {
    int rc = open_databases(disk);
    rc = rc == MDB_SUCCESS ? mdb_txn_begin(disk->env, NULL, MDB_RDONLY, &disk->view) : rc;
    if (rc != MDB_SUCCESS) {
        disk->view = NULL;
        return rc;
    }
    mdb_txn_reset(disk->view);
    return MDB_SUCCESS;
}

/* Opens the environment with disk->map_size, or what the file needs if that is more. */
static int open_env(struct idem_disk *disk) {
    unsigned flags =
        MDB_NOSUBDIR | MDB_NOTLS | (disk->read_only ? (unsigned)MDB_RDONLY : 0);
    int dead_readers = 0;
    MDB_envinfo info;
    int rc = mdb_env_create(&disk->env);
    if (rc != MDB_SUCCESS) {
        disk->env = NULL;
        return rc;
    }
    rc = mdb_env_set_mapsize(disk->env, disk->map_size);
    rc = rc == MDB_SUCCESS ? mdb_env_set_maxdbs(disk->env, 1) : rc;
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_open(disk->env, disk->path, flags, S_IRUSR | S_IWUSR);
    }
    if (rc == MDB_SUCCESS) {
        /* A tool that was killed while it looked would pin old pages, and a slot, for
         * ever. */
        (void)mdb_reader_check(disk->env, &dead_readers);
        rc = start_view(disk);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_info(disk->env, &info);
    }
    if (rc != MDB_SUCCESS) {
        drop_env(disk);
        return rc;
    }
    disk->map_size = info.me_mapsize;
    return MDB_SUCCESS;
}

static enum idem_code refuse_env(const struct idem_disk *disk, int rc,
                                 struct idem_error *error) {
    enum idem_code code = idem_disk_code(rc);
    return idem_error_set(error, code, rc > 0 ? rc : 0,
                          "store %s or its lock file %s-lock cannot be opened: %s",
                          disk->path, disk->path, mdb_strerror(rc));
}

/* A tail that is missing and free does no harm to readers; a writer fills it in. */
static enum idem_code check_tail(const struct idem_disk *disk,
                                 const struct idem_file_facts *facts,
                                 struct idem_error *error) {
    if (facts->empty || facts->size >= facts->used) {
        return IDEM_OK;
    }
    if (!idem_file_tail_is_free(&disk->file, facts)) {
        return idem_error_set(
            error, IDEM_ERR_FORMAT, 0,
            "store %s is truncated: %zu bytes of %zu are there; restore "
            "it, or move it away to begin with an empty one",
            disk->path, facts->size, facts->used);
    }
    if (!disk->read_only && ftruncate(disk->file.fd, (off_t)facts->used) != 0) {
        return idem_error_set(error, IDEM_ERR_IO, errno, "store %s cannot be extended",
                              disk->path);
    }
    return IDEM_OK;
}

/* A new file must survive a power loss under its name. */
static void sync_directory(const char *path) {
    char *directory = strdup(path);
    char *slash = directory != NULL ? strrchr(directory, '/') : NULL;
    if (slash != NULL) {
        slash[slash == directory ? 1 : 0] = '\0';
        int fd = open(directory, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            (void)fsync(fd);
            (void)close(fd);
        }
    }
    free(directory);
}

static enum idem_code open_locked(struct idem_disk *disk,
                                  const struct idem_secret *secret,
                                  struct idem_error *error) {
    struct idem_file_facts facts;
    enum idem_code code = idem_file_inspect(&disk->file, disk->path, &facts, error);
    if (code == IDEM_OK && facts.empty && disk->read_only) {
        code = idem_error_set(error, IDEM_ERR_FORMAT, 0,
                              "store %s is empty: no program has written to it yet",
                              disk->path);
    }
    if (code == IDEM_OK) {
        code = check_tail(disk, &facts, error);
    }
    if (code != IDEM_OK) {
        return code;
    }
    int rc = open_env(disk);
    if (rc != MDB_SUCCESS) {
        return refuse_env(disk, rc, error);
    }
    MDB_stat stat;
    if (mdb_env_stat(disk->env, &stat) == MDB_SUCCESS) {
        disk->page_size = stat.ms_psize;
    }
    return idem_meta_check(disk, secret, error);
}

enum idem_code idem_disk_open(struct idem_disk *disk,
                              const struct idem_disk_options *options,
                              struct idem_error *error) {
    *disk = (struct idem_disk){.read_only = options->read_only,
                               .map_size = options->map_size,
                               .file = {.fd = -1}};
    disk->path = strdup(options->path);
    if (disk->path == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for a store");
    }
    enum idem_code code = idem_file_open(&disk->file, disk->path, disk->read_only, error);
    if (code == IDEM_OK) {
        code = open_locked(disk, options->secret, error);
    }
    if (code == IDEM_OK && disk->file.created) {
        sync_directory(disk->path);
    }
    if (code != IDEM_OK) {
        idem_disk_close(disk);
    }
    return code;
}

void idem_disk_close(struct idem_disk *disk) {
    drop_env(disk);
    idem_file_close(&disk->file);
    free(disk->path);
    disk->path = NULL;
}

enum idem_code idem_disk_view_begin(struct idem_disk *disk) {
    if (disk->view == NULL) {
        return IDEM_ERR_UNAVAILABLE;
    }
    int rc = mdb_txn_renew(disk->view);
    if (rc == MDB_MAP_RESIZED) { /* another process has let it grow */
        rc = mdb_env_set_mapsize(disk->env, 0);
        rc = rc == MDB_SUCCESS ? mdb_txn_renew(disk->view) : rc;
    }
    disk->viewing = rc == MDB_SUCCESS;
    return idem_disk_code(rc);
}

void idem_disk_view_end(struct idem_disk *disk) {
    if (disk->viewing) {
        mdb_txn_reset(disk->view);
        disk->viewing = false;
    }
}

enum idem_code idem_disk_read(struct idem_disk *disk, const struct idem_digest *digest,
                              struct idem_record *record) {
    struct idem_digest copy = *digest;
    MDB_val key = {sizeof copy.bytes, copy.bytes};
    MDB_val data;
    *record = (struct idem_record){.state = IDEM_RECORD_NONE};
    int rc = mdb_get(disk->view, disk->dbi, &key, &data);
    if (rc == MDB_NOTFOUND) {
        return IDEM_OK;
    }
    if (rc != MDB_SUCCESS) {
        return idem_disk_code(rc);
    }
    return idem_record_decode(record, idem_span_of(data.mv_data, data.mv_size));
}

bool idem_digest_step(struct idem_digest *digest) {
    for (size_t i = IDEM_DIGEST_SIZE; i-- > 0;) {
        if (++digest->bytes[i] != 0) {
            return true;
        }
    }
    return false;
}

static int seek(MDB_cursor *cursor, int64_t now_ms, struct idem_digest *digest,
                struct idem_record *record, enum idem_disk_seek *result) {
    MDB_val key = {sizeof digest->bytes, digest->bytes};
    MDB_val data;
    int rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    for (int looked = 0; rc == MDB_SUCCESS; looked++) {
        if (key.mv_size == IDEM_DIGEST_SIZE) {
            struct idem_span bytes = idem_span_of(data.mv_data, data.mv_size);
            memcpy(digest->bytes, key.mv_data, IDEM_DIGEST_SIZE);
            *result = IDEM_DISK_MORE;
            if (looked >= SEEK_STRIDE) {
                return MDB_SUCCESS;
            }
            if (idem_record_decode(record, bytes) == IDEM_OK &&
                idem_record_live(record, now_ms)) {
                *result = IDEM_DISK_FOUND;
                return MDB_SUCCESS;
            }
        }
        rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    *result = IDEM_DISK_END;
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

enum idem_code idem_disk_seek(struct idem_disk *disk, int64_t now_ms,
                              struct idem_digest *digest, struct idem_record *record,
                              enum idem_disk_seek *result) {
    MDB_cursor *cursor = NULL;
    int rc = mdb_cursor_open(disk->view, disk->dbi, &cursor);
    if (rc == MDB_SUCCESS) {
        rc = seek(cursor, now_ms, digest, record, result);
        mdb_cursor_close(cursor);
    }
    return idem_disk_code(rc);
}

/* All but the meta record and the journal. */
static uint64_t count_records(const struct idem_disk *disk, const MDB_stat *stat) {
    size_t others = 1 + (size_t)disk->has_journal;
    return stat->ms_entries > others ? stat->ms_entries - others : 0;
}

uint64_t idem_disk_count(struct idem_disk *disk) {
    MDB_stat stat;
    return mdb_stat(disk->view, disk->dbi, &stat) == MDB_SUCCESS
               ? count_records(disk, &stat)
               : 0;
}

void idem_disk_size(struct idem_disk *disk, uint64_t *records, uint64_t *bytes) {
    MDB_stat stat;
    MDB_envinfo info;
    *records = 0;
    *bytes = 0;
    if (disk->env != NULL && mdb_env_stat(disk->env, &stat) == MDB_SUCCESS &&
        mdb_env_info(disk->env, &info) == MDB_SUCCESS) {
        *records = count_records(disk, &stat);
        *bytes = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    }
}

int idem_disk_grow(struct idem_disk *disk) {
    int dead_readers = 0;
    if (mdb_reader_check(disk->env, &dead_readers) == MDB_SUCCESS && dead_readers > 0) {
        return MDB_SUCCESS; /* the pages that they pinned may be room enough */
    }
    size_t size = disk->map_size > SIZE_MAX / 4 ? disk->map_size : 2 * disk->map_size;
    int rc = mdb_env_set_mapsize(disk->env, size);
    if (rc == MDB_SUCCESS) {
        disk->map_size = size;
        return MDB_SUCCESS;
    }
    /* The old map is gone already: only a new environment can be used. */
    drop_env(disk);
    (void)open_env(disk);
    return rc;
}

int idem_disk_heal(struct idem_disk *disk) {
    if (disk->env != NULL) {
        enum idem_code code = idem_disk_view_begin(disk);
        idem_disk_view_end(disk);
        if (code != IDEM_ERR_UNAVAILABLE) {
            return MDB_SUCCESS;
        }
    }
    drop_env(disk);
    return open_env(disk);
}
