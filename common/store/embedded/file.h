/* SPDX-License-Identifier: MIT
 * The store's file: who may open it, and whether it can be one at all, before LMDB
 * maps it. */
#ifndef IDEM_STORE_EMBEDDED_FILE_H
#define IDEM_STORE_EMBEDDED_FILE_H

#include <idem/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct idem_file {
    int fd; /* -1: not open */
    bool created;
    dev_t device;
    ino_t inode;
    struct idem_file *next; /* in the list of files that this process has open */
};

/* Writers hold the file alone, by flock: IDEM_ERR_BUSY names the holder. A file is
 * opened once in a process, in whatever mode: LMDB does not bear more. *file must stay
 * where it is until closed. A writer creates the file where there is none, mode 0600. */
IDEM_MUST_USE enum idem_code idem_file_open(struct idem_file *file, const char *path,
                                            bool read_only, struct idem_error *error);
void idem_file_close(struct idem_file *file);

/* What the file's first pages say of it. */
struct idem_file_facts {
    bool empty;
    size_t page_size;
    size_t size; /* of the file */
    /* What LMDB takes to be there; more than size where the tail is missing. */
    size_t used;
    uint64_t free_root; /* of the tree of free pages */
    unsigned free_depth;
};

/* IDEM_ERR_FORMAT: not an LMDB file that this machine could have written. */
IDEM_MUST_USE enum idem_code idem_file_inspect(const struct idem_file *file,
                                               const char *path,
                                               struct idem_file_facts *facts,
                                               struct idem_error *error);

/* Whether all pages that are missing at the end of the file are free ones
 * (freelist.c). */
bool idem_file_tail_is_free(const struct idem_file *file,
                            const struct idem_file_facts *facts);

#endif
