/* SPDX-License-Identifier: MIT
 * Reads LMDB's list of free pages, without LMDB.
 *
 * LMDB does not write pages that a transaction took at the end of the file and gave up
 * again, so a sound file may be shorter than its meta page says. It is sound if all that
 * is missing is free; else it has been truncated. LMDB cannot be asked: of a truncated
 * file it maps what is not there, and stops the program when it meets it. So the tree of
 * free pages is read here, and nothing in it is trusted.
 *
 * A page begins with 16 bytes: flags at 10, the end of its index at 12. The index holds
 * 16-bit offsets of nodes. A node begins with 8 bytes: in a branch, the low 48 are the
 * child's page; in a leaf, 32 are the size of the data, then 16 of flags, 16 of the size
 * of the key, the key (a transaction) and the data, or, with a flag, the page where they
 * are. The data are words of 64 bits: how many pages, and which. */
#include "store/embedded/file.h"

#include <string.h>
#include <unistd.h>

#define PAGE_MAX    65536
#define HEADER      16
#define NODE_HEADER 8
#define DEPTH_MAX   8   /* of the tree; each level takes a page of stack */
#define WORDS       512 /* of a list, read at a time */

enum {
    AT_FLAGS = 10,
    AT_INDEX_END = 12,
    AT_NODE_FLAGS = 4,
    AT_KEY_SIZE = 6,
    FLAG_BRANCH = 0x01,
    FLAG_LEAF = 0x02,
    FLAG_ELSEWHERE = 0x01, /* of a node: the data have pages of their own */
};

struct reading {
    int fd;
    size_t page_size;
    uint64_t pages;    /* in the file */
    uint64_t missing;  /* the first page that is not */
    uint64_t found;    /* free ones among the missing */
    uint64_t patience; /* pages that may still be looked at: against loops */
};

static uint64_t number_at(const uint8_t *bytes, size_t size) {
    uint64_t number = 0; /* in the byte order of the machine, as LMDB writes */
    uint16_t half;
    uint32_t word;
    if (size == sizeof half) {
        memcpy(&half, bytes, sizeof half);
        return half;
    }
    if (size == sizeof word) {
        memcpy(&word, bytes, sizeof word);
        return word;
    }
    memcpy(&number, bytes, sizeof number);
    return number;
}

static bool read_at(const struct reading *reading, void *bytes, size_t size,
                    uint64_t offset) {
    return pread(reading->fd, bytes, size, (off_t)offset) == (ssize_t)size;
}

/* The list begins at offset in the file and has size bytes. */
static bool count_list(struct reading *reading, uint64_t offset, uint64_t size) {
    uint64_t words[WORDS];
    uint64_t count = 0;
    if (size < sizeof count || !read_at(reading, &count, sizeof count, offset) ||
        count > size / sizeof count - 1) {
        return false;
    }
    while (count > 0) {
        size_t some = count < WORDS ? (size_t)count : WORDS;
        offset += sizeof words[0];
        if (!read_at(reading, words, some * sizeof words[0], offset)) {
            return false;
        }
        for (size_t i = 0; i < some; i++) {
            reading->found += words[i] >= reading->missing;
        }
        offset += (some - 1) * sizeof words[0];
        count -= some;
    }
    return true;
}

static bool count_leaf_node(struct reading *reading, const uint8_t *page, uint64_t number,
                            size_t node) {
    size_t data = node + NODE_HEADER + number_at(page + node + AT_KEY_SIZE, 2);
    uint64_t size = number_at(page + node, 4);
    if ((number_at(page + node + AT_NODE_FLAGS, 2) & FLAG_ELSEWHERE) == 0) {
        return count_list(reading, number * reading->page_size + data, size);
    }
    if (data + sizeof(uint64_t) > reading->page_size) {
        return false;
    }
    uint64_t elsewhere = number_at(page + data, sizeof(uint64_t));
    return elsewhere < reading->missing &&
           count_list(reading, elsewhere * reading->page_size + HEADER, size);
}

/* One page, and with a branch all that is below it: depth levels, this one included. */
static bool count_page(struct reading *reading, uint64_t number, unsigned depth) {
    uint8_t page[PAGE_MAX];
    if (depth == 0 || number >= reading->missing || reading->patience-- == 0 ||
        !read_at(reading, page, reading->page_size, number * reading->page_size)) {
        return false;
    }
    uint64_t kind = number_at(page + AT_FLAGS, 2) & (FLAG_BRANCH | FLAG_LEAF);
    size_t end = (size_t)number_at(page + AT_INDEX_END, 2);
    if (kind != (depth > 1 ? FLAG_BRANCH : FLAG_LEAF) || end > reading->page_size) {
        return false;
    }
    for (size_t at = HEADER; at + 2 <= end; at += 2) {
        size_t node = (size_t)number_at(page + at, 2);
        if (node < HEADER || node + NODE_HEADER > reading->page_size) {
            return false;
        }
        uint64_t child = number_at(page + node, 8) & UINT64_C(0xFFFFFFFFFFFF);
        if (!(kind == FLAG_LEAF ? count_leaf_node(reading, page, number, node)
                                : count_page(reading, child, depth - 1))) {
            return false;
        }
    }
    return true;
}

bool idem_file_tail_is_free(const struct idem_file *file,
                            const struct idem_file_facts *facts) {
    struct reading reading = {
        .fd = file->fd,
        .page_size = facts->page_size,
        .missing = facts->size / facts->page_size,
        .patience = facts->size / facts->page_size,
    };
    return facts->page_size <= PAGE_MAX && facts->free_depth <= DEPTH_MAX &&
           count_page(&reading, facts->free_root, facts->free_depth) &&
           reading.found == facts->used / facts->page_size - reading.missing;
}
