/* SPDX-License-Identifier: MIT
 * Records of a store as a stream of bytes, to be moved to another store: idemctl export and import.
 * docs/reference/export-format.md has the format. Where the bytes go to and come from is the caller's; nothing
 * here blocks but its callbacks. A handle belongs to one thread at a time. */
#ifndef IDEM_TRANSFER_H
#define IDEM_TRANSFER_H

#include <idem/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Takes all of the bytes, which are borrowed; false: it could not. */
typedef bool idem_export_write(void *arg, const void *bytes, size_t length);

/* Fills in up to length bytes and says how many: fewer only at the end. False: it could not read. */
typedef bool idem_import_read(void *arg, void *bytes, size_t length, size_t *got);

struct idem_export;
struct idem_import;

/* Writes the head. The stream says which secret its digests were made with, without telling it. arg is borrowed
 * until it is closed. IDEM_ERR_IO: write refused. IDEM_ERR_NOMEM. *export_ is NULL on error. */
IDEM_API IDEM_MUST_USE enum idem_code
idem_export_open(struct idem_export **export_, idem_export_write *write, void *arg,
                 const struct idem_secret *secret, int64_t now_ms);

/* One more record. IDEM_ERR_INVALID: it is none. IDEM_ERR_IO, _NOMEM. */
IDEM_API IDEM_MUST_USE enum idem_code idem_export_add(struct idem_export *export_,
                                                      const struct idem_digest *digest,
                                                      const struct idem_record *record);

/* Writes the end, without which a stream is refused; records tells how many there are. IDEM_ERR_IO. */
IDEM_API IDEM_MUST_USE enum idem_code idem_export_finish(struct idem_export *export_,
                                                         uint64_t *records);

/* Frees; writes nothing. NULL is accepted. */
IDEM_API void idem_export_close(struct idem_export *export_);

/* Reads and checks the head. The bytes may come from anywhere. IDEM_ERR_FORMAT: this is no export, or it was
 * made with another secret. IDEM_ERR_VERSION: of a newer Idem. IDEM_ERR_IO: read failed. IDEM_ERR_NOMEM.
 * *import is NULL on error. */
IDEM_API IDEM_MUST_USE enum idem_code idem_import_open(struct idem_import **import,
                                                       idem_import_read *read, void *arg,
                                                       const struct idem_secret *secret,
                                                       struct idem_error *error);

/* When the stream was begun. */
IDEM_API int64_t idem_import_created_ms(const struct idem_import *import);

/* The next record; its result is borrowed until the next call. IDEM_ERR_NOT_FOUND: that was the last one, and
 * all of them are as they were written. IDEM_ERR_FORMAT: the stream ends early or is damaged, which may
 * show only at its end: whoever must not take over half of it reads it to the end first. IDEM_ERR_VERSION: a record of
 * a newer Idem. IDEM_ERR_IO, _NOMEM. After any of these there is no next one. */
IDEM_API IDEM_MUST_USE enum idem_code idem_import_next(struct idem_import *import,
                                                       struct idem_digest *digest,
                                                       struct idem_record *record,
                                                       struct idem_error *error);

/* NULL is accepted. */
IDEM_API void idem_import_close(struct idem_import *import);

#ifdef __cplusplus
}
#endif

#endif
