/* SPDX-License-Identifier: MIT
 * Records as bytes: the only file that knows how a record looks on disk.
 *
 * Version 2, little endian, no padding. Pending and done records look as they did in
 * version 1 and say so; version 2 brought sequences:
 *
 *   offset  bytes
 *        0      1  version: 1; 2 for sequences
 *        1      1  state (1 pending, 2 done, 3 sequence), + 0x80 where a fingerprint is
 *                  there
 *        2      6  first_seen_ms
 *        8      6  until_ms
 *       14      8  owner.instance
 *       22      8  owner.incarnation        pending only
 *               16 fingerprint              with 0x80 only
 *                  result: whatever is left done; sequence: see sequence/state.h
 *
 * 38 bytes for a done record with a fingerprint and no result. LMDB adds the digest
 * and 10 bytes, and random keys fill its pages to 69 %: some 94 bytes a key, free
 * pages aside.
 *
 * To change the format:
 *  1. raise IDEM_RECORD_VERSION and write the new layout under the old one above;
 *  2. rename today's decoder to decode_v1 and keep it: stores live longer than programs;
 *  3. encode in the new version only: records are rewritten when they change, and expire;
 *  4. keep the golden bytes of the old version in tests/unit/store/test_record.c, and add
 *     new ones;
 *  5. see to the scripts in redis/script.c, which know where the owner is;
 *  6. raise the format in the meta record (embedded/meta.c) only if an old program must
 *     not write into a new file: without that, it answers IDEM_ERR_VERSION for the single
 *     records that it cannot read. */
#ifndef IDEM_STORE_RECORD_H
#define IDEM_STORE_RECORD_H

#include "base/little.h"

#include <idem/store.h>

#define IDEM_RECORD_VERSION 2

/* 48 bits of milliseconds reach into the year 10889. */
#define IDEM_TIME_MAX_MS ((INT64_C(1) << 48) - 1)

/* The bytes that record takes; 0 where it cannot be encoded: it is none, a time outside
 * 0..IDEM_TIME_MAX_MS, a result that is longer than IDEM_RESULT_MAX or belongs to a
 * pending record. */
size_t idem_record_size(const struct idem_record *record);

/* Writes idem_record_size(record) bytes, which must not be 0. */
void idem_record_encode(uint8_t *out, const struct idem_record *record);

/* The bytes may come from anywhere. The result is borrowed from them.
 * IDEM_ERR_VERSION: a newer version; IDEM_ERR_FORMAT: not a record. *record is zeroed
 * on error. */
IDEM_MUST_USE enum idem_code idem_record_decode(struct idem_record *record,
                                                struct idem_span bytes);

/* 48-bit little-endian times, also used by the table of records. */
static inline void idem_time_put(uint8_t out[6], int64_t ms) {
    idem_little_put(out, (uint64_t)ms, 6);
}

static inline int64_t idem_time_get(const uint8_t in[6]) {
    return (int64_t)idem_little_get(in, 6);
}

#endif
