/* SPDX-License-Identifier: MIT
 * The layout of an export: see docs/reference/export-format.md, which has to say the same. */
#ifndef IDEM_STORE_TRANSFER_STREAM_H
#define IDEM_STORE_TRANSFER_STREAM_H

#include "store/record.h"

/* Bytes that no text has, and that do not survive a conversion of line ends. */
#define IDEM_STREAM_MAGIC      "\x89IDEM\r\n\x1a"
#define IDEM_STREAM_MAGIC_SIZE 8
#define IDEM_STREAM_VERSION    1

/* Head: magic, version, flags (none yet), time, check value of the secret. */
enum {
    IDEM_STREAM_AT_VERSION = 8,
    IDEM_STREAM_AT_FLAGS = 10,
    IDEM_STREAM_AT_TIME = 12,
    IDEM_STREAM_AT_CHECK = 18,
    IDEM_STREAM_HEAD_SIZE = 34,
};

/* A record: its length, its digest, its bytes (record.h). The end: length 0, the number of records, and
 * the checksum of all that comes before it, BLAKE2b of 16 bytes. */
enum {
    IDEM_STREAM_LENGTH_SIZE = 4,
    IDEM_STREAM_COUNT_SIZE = 8,
    IDEM_STREAM_SUM_SIZE = 16,
};

/* What is in front of the result is shorter than this. */
#define IDEM_STREAM_RECORD_MAX (64 + IDEM_RESULT_MAX)

#endif
