/* SPDX-License-Identifier: MIT
 * The journal: groups of changes, one behind the other, until they are merged among the
 * records. */
#ifndef IDEM_STORE_EMBEDDED_JOURNAL_H
#define IDEM_STORE_EMBEDDED_JOURNAL_H

#include "store/embedded/disk.h"

/* A result counts against the bounds of the front like so many entries. */
#define IDEM_RESULT_BYTES_PER_ENTRY 256

/* What of a set is to be written, and how far that has come: some MiB in each
 * transaction. */
struct idem_journal_group {
    const struct idem_record_set *records;
    struct idem_table_cursor next; /* moves only with a commit */
    size_t entries;                /* written so far */
    uint64_t last;                 /* the journal's last blob */
    bool complete;
};

/* Appends the next piece of the group, and syncs: one transaction. Returns an LMDB
 * code. */
int idem_journal_append(struct idem_disk *disk, struct idem_journal_group *group);

/* Removes blobs up to this one, the oldest first: one transaction, which takes some
 * thousand. *complete: no such blob is left. */
int idem_journal_trim(struct idem_disk *disk, uint64_t last, bool *complete);

/* Within a view: reads the whole journal into a set, the newest word on each digest;
 * and *last as above, 0 where the journal is empty. IDEM_ERR_FORMAT, _VERSION: it is
 * not to be read. IDEM_ERR_FULL: it has more than most records, or longer results than
 * so many may have. On errors the set holds a part. */
IDEM_MUST_USE enum idem_code idem_journal_read(struct idem_disk *disk, size_t most,
                                               struct idem_record_set *records,
                                               uint64_t *last);

/* The same in a view of its own, for opening: with texts that say what to do. */
IDEM_MUST_USE enum idem_code idem_journal_replay(struct idem_disk *disk, size_t most,
                                                 struct idem_record_set *records,
                                                 uint64_t *last,
                                                 struct idem_error *error);

#endif
