/* SPDX-License-Identifier: MIT
 * One error channel: a code that functions return, and a text in a struct that the caller owns. */
#ifndef IDEM_ERROR_H
#define IDEM_ERROR_H

#if defined(__GNUC__)
#define IDEM_MUST_USE               __attribute__((warn_unused_result))
#define IDEM_PRINTF(text_at, first) __attribute__((format(printf, text_at, first)))
#define IDEM_API                    __attribute__((visibility("default")))
#else
#define IDEM_MUST_USE
#define IDEM_PRINTF(text_at, first)
#define IDEM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Every code has a text (idem_code_text) and a line in docs/reference/errors.md. */
enum idem_code {
    IDEM_OK = 0,
    IDEM_ERR_INVALID, /* an argument or a value is outside its documented range */
    IDEM_ERR_NOMEM,   /* memory could not be had; nothing was changed */
    IDEM_ERR_CONFIG, /* the configuration is refused; the text names file, line and key */
    IDEM_ERR_IO,     /* the operating system refused; sys_errno tells why */
    IDEM_ERR_BUSY,   /* another process or handle holds the store */
    IDEM_ERR_FORMAT, /* not an Idem store, or a damaged one */
    IDEM_ERR_VERSION,     /* a store or record written by a newer Idem */
    IDEM_ERR_FULL,        /* the disk, the map or a bound is full; try again later */
    IDEM_ERR_UNAVAILABLE, /* the store cannot be reached or has failed */
    IDEM_ERR_TIMEOUT,     /* no answer in time: the operation MAY have taken effect */
    IDEM_ERR_NOT_OWNER,   /* the record is no longer this owner's: another took it over */
    IDEM_ERR_NOT_FOUND,   /* nothing is recorded for this digest */
    IDEM_ERR_UNSUPPORTED, /* this build, backend or protocol cannot do it */
    IDEM_CODE_COUNT
};

#define IDEM_ERROR_TEXT_MAX 512

/* The caller's storage. The first cause wins: setting an error that is already set keeps the first
 * text. Initialise with IDEM_ERROR_INIT before use. */
struct idem_error {
    enum idem_code code;
    int sys_errno; /* 0 where the operating system had no part in it */
    char text[IDEM_ERROR_TEXT_MAX];
};

#define IDEM_ERROR_INIT                                                                  \
    { IDEM_OK, 0, "" }

/* Records an error and returns its code, so that `return idem_error_set(...)` reads well.
 * error may be NULL: then only the code is returned. Never blocks, never allocates. */
IDEM_API enum idem_code idem_error_set(struct idem_error *error, enum idem_code code,
                                       int sys_errno, const char *format, ...)
    IDEM_PRINTF(4, 5);

/* A fixed, static text for a code; "unknown error" outside the enumeration. */
IDEM_API const char *idem_code_text(enum idem_code code);

#ifdef __cplusplus
}
#endif

#endif
