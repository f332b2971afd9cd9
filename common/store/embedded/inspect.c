/* SPDX-License-Identifier: MIT
 * Looks at an LMDB file's meta pages before LMDB does.
 *
 * LMDB trusts what it maps: a page size of 0 divides by it, a file shorter than its
 * meta page says ends in SIGBUS, within the broker. The layout below is that of LMDB
 * 0.9's data format 1 on 64-bit machines, in the byte order of the machine. */
#include "store/embedded/file.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_FLAG   0x08
#define META_MAGIC  0xBEEFC0DEU
#define DATA_FORMAT 1
#define PAGE_MIN    512
#define PAGE_MAX    65536
#define PAGES_MAX                                                                        \
    (UINT64_C(1) << 47) /* no file is longer; keeps products within 64 bits */

/* Offsets within a meta page. */
enum {
    AT_FLAGS = 10,
    AT_MAGIC = 16,
    AT_FORMAT = 20,
    AT_PAGE_SIZE = 40,
    AT_FREE_DEPTH = 46,
    AT_FREE_ROOT = 80,
    AT_LAST_PAGE = 136,
    AT_TRANSACTION = 144,
    META_SIZE = 152,
};

struct meta {
    uint32_t page_size;
    uint16_t free_depth;
    uint64_t free_root;
    uint64_t last_page;
    uint64_t transaction;
};

/* False: not a meta page, or the file ends before it. */
static bool read_meta(int fd, off_t offset, struct meta *meta) {
    uint8_t bytes[META_SIZE];
    if (pread(fd, bytes, sizeof bytes, offset) != (ssize_t)sizeof bytes) {
        return false;
    }
    uint16_t flags;
    uint32_t magic;
    uint32_t format;
    memcpy(&flags, bytes + AT_FLAGS, sizeof flags);
    memcpy(&magic, bytes + AT_MAGIC, sizeof magic);
    memcpy(&format, bytes + AT_FORMAT, sizeof format);
    memcpy(&meta->page_size, bytes + AT_PAGE_SIZE, sizeof meta->page_size);
    memcpy(&meta->free_depth, bytes + AT_FREE_DEPTH, sizeof meta->free_depth);
    memcpy(&meta->free_root, bytes + AT_FREE_ROOT, sizeof meta->free_root);
    memcpy(&meta->last_page, bytes + AT_LAST_PAGE, sizeof meta->last_page);
    memcpy(&meta->transaction, bytes + AT_TRANSACTION, sizeof meta->transaction);
    return (flags & META_FLAG) != 0 && magic == META_MAGIC && format == DATA_FORMAT;
}

static bool page_size_valid(uint32_t size) {
    return size >= PAGE_MIN && size <= PAGE_MAX && (size & (size - 1)) == 0;
}

enum idem_code idem_file_inspect(const struct idem_file *file, const char *path,
                                 struct idem_file_facts *facts,
                                 struct idem_error *error) {
    struct stat status;
    *facts = (struct idem_file_facts){.empty = true};
    if (fstat(file->fd, &status) != 0) {
        return idem_error_set(error, IDEM_ERR_IO, errno, "store %s cannot be read", path);
    }
    if (status.st_size == 0) {
        return IDEM_OK;
    }
    struct meta metas[2];
    if (!read_meta(file->fd, 0, &metas[0]) || !page_size_valid(metas[0].page_size) ||
        !read_meta(file->fd, (off_t)metas[0].page_size, &metas[1]) ||
        metas[1].page_size != metas[0].page_size) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0,
                              "%s is not an Idem store: it is no LMDB file, or its first "
                              "pages are damaged; name another path, or move it away",
                              path);
    }
    const struct meta *newer = &metas[metas[0].transaction < metas[1].transaction];
    if (newer->last_page < 1 || newer->last_page >= PAGES_MAX / metas[0].page_size) {
        return idem_error_set(error, IDEM_ERR_FORMAT, 0,
                              "store %s is damaged: its meta page makes no sense", path);
    }
    facts->empty = false;
    facts->page_size = metas[0].page_size;
    facts->size = (size_t)status.st_size;
    facts->used = (size_t)((newer->last_page + 1) * metas[0].page_size);
    facts->free_root = newer->free_root;
    facts->free_depth = newer->free_depth;
    return IDEM_OK;
}
