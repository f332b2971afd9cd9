/* SPDX-License-Identifier: MIT
 * Error codes, their texts, and the struct that carries the first cause. */
#include <idem/error.h>

#include <stdarg.h>
#include <stdio.h>

static const char *const code_texts[IDEM_CODE_COUNT] = {
    [IDEM_OK] = "success",
    [IDEM_ERR_INVALID] = "invalid argument or value",
    [IDEM_ERR_NOMEM] = "out of memory",
    [IDEM_ERR_CONFIG] = "configuration refused",
    [IDEM_ERR_IO] = "input/output error",
    [IDEM_ERR_BUSY] = "store is in use",
    [IDEM_ERR_FORMAT] = "not an Idem store, or a damaged one",
    [IDEM_ERR_VERSION] = "written by a newer version of Idem",
    [IDEM_ERR_FULL] = "no room left",
    [IDEM_ERR_UNAVAILABLE] = "store unavailable",
    [IDEM_ERR_TIMEOUT] = "no answer in time",
    [IDEM_ERR_NOT_OWNER] = "record belongs to another owner",
    [IDEM_ERR_NOT_FOUND] = "nothing recorded",
    [IDEM_ERR_UNSUPPORTED] = "not supported",
};

enum idem_code idem_error_set(struct idem_error *error, enum idem_code code,
                              int sys_errno, const char *format, ...) {
    if (error == NULL || error->code != IDEM_OK) {
        return code;
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    error->code = code;
    error->sys_errno = sys_errno;
    return code;
}

const char *idem_code_text(enum idem_code code) {
    if ((unsigned)code >= IDEM_CODE_COUNT) {
        return "unknown error";
    }
    return code_texts[code];
}
