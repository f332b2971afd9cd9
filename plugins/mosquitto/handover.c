/* SPDX-License-Identifier: MIT
 * Messages handed on to the broker, kept over a clean stop: files and publishing. */
#include "handover.h"

#include "compat.h"
#include "handover_codec.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void idem_handover_fini(struct idem_handover *handover) {
    free(handover->topic);
    handover->topic = NULL;
}

/* ---- saving ---- */

static void encode(struct idem_handover_writer *writer,
                   const struct idem_handover *handover) {
    const struct idem_handover_message message = {
        .topic = handover->topic,
        .payload = idem_span_of(handover->payload, handover->payload_size),
        .qos = handover->qos,
        .retain = handover->retain,
    };
    idem_handover_write(writer, &message);
    const mosquitto_property *at = handover->properties;
    for (; at != NULL && !writer->failed; at = mosquitto_property_next(at)) {
        struct idem_property property;
        if (idem_property_read(&property, at) != MOSQ_ERR_SUCCESS) {
            writer->failed = true;
        } else if (property.id != 0) {
            idem_handover_write_property(writer, &property);
        }
        idem_property_fini(&property);
    }
}

static bool write_all(int fd, const uint8_t *bytes, size_t size) {
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

static bool write_file(const char *path, const struct idem_handover_writer *writer) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return false;
    }
    bool written = write_all(fd, writer->bytes, writer->size) && fsync(fd) == 0;
    int why = errno;
    (void)close(fd);
    errno = why;
    return written;
}

/* A file's name is on disk when its folder is. */
static bool sync_folder(const char *path) {
    char copy[PATH_MAX];
    (void)snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool synced = fsync(fd) == 0;
    int why = errno;
    (void)close(fd);
    errno = why;
    return synced;
}

static enum idem_code replace_file(const char *path,
                                   const struct idem_handover_writer *writer,
                                   struct idem_error *error) {
    char fresh[PATH_MAX];
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh) {
        return idem_error_set(error, IDEM_ERR_IO, ENAMETOOLONG,
                              "%.300s...: the path is too long", path);
    }
    if (!write_file(fresh, writer) || rename(fresh, path) != 0 || !sync_folder(path)) {
        int why = errno;
        (void)unlink(fresh);
        return idem_error_set(error, IDEM_ERR_IO, why, "%s cannot be written: %s", path,
                              strerror(why));
    }
    return IDEM_OK;
}

enum idem_code idem_handover_save(const char *path,
                                  const struct idem_handover *const *handovers,
                                  size_t count, struct idem_error *error) {
    struct idem_handover_writer writer = {NULL, 0, 0, false};
    idem_handover_begin(&writer);
    for (size_t i = 0; i < count; i++) {
        encode(&writer, handovers[i]);
    }
    enum idem_code code = idem_handover_end(&writer)
                              ? replace_file(path, &writer, error)
                              : idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    free(writer.bytes);
    return code;
}

/* ---- publishing ---- */

static bool read_all(int fd, uint8_t *bytes, size_t size) {
    while (size > 0) {
        ssize_t got = read(fd, bytes, size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            errno = got == 0 ? EIO : errno; /* shorter than it was a moment ago */
            return false;
        }
        bytes += got;
        size -= (size_t)got;
    }
    return true;
}

/* *bytes is the caller's to free() in any case. */
static enum idem_code read_open_file(int fd, uint8_t **bytes, size_t *size) {
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return IDEM_ERR_IO;
    }
    if (!S_ISREG(info.st_mode) || (uintmax_t)info.st_size > SIZE_MAX - 1) {
        return IDEM_ERR_FORMAT;
    }
    *size = (size_t)info.st_size;
    *bytes = malloc(*size + 1);
    if (*bytes == NULL) {
        return IDEM_ERR_NOMEM;
    }
    return read_all(fd, *bytes, *size) ? IDEM_OK : IDEM_ERR_IO;
}

static enum idem_code read_file(const char *path, uint8_t **bytes, size_t *size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? IDEM_ERR_NOT_FOUND : IDEM_ERR_IO;
    }
    enum idem_code code = read_open_file(fd, bytes, size);
    int why = errno;
    (void)close(fd);
    errno = why;
    return code;
}

static int publish_message(struct idem_handover_reader *reader,
                           const struct idem_handover_message *message) {
    mosquitto_property *properties = NULL;
    struct idem_property property;
    int rc = MOSQ_ERR_SUCCESS;
    while (rc != MOSQ_ERR_NOMEM && idem_handover_read_property(reader, &property)) {
        /* A newer broker may refuse what an older one took: better without it than never. */
        rc = idem_property_add(&properties, &property);
    }
    if (rc != MOSQ_ERR_NOMEM) {
        rc = idem_compat_publish(message->topic, message->payload, message->qos,
                                 message->retain, properties);
    }
    if (rc != MOSQ_ERR_SUCCESS) {
        mosquitto_property_free_all(&properties);
    }
    return rc;
}

static enum idem_code publish_all(const char *path, struct idem_handover_reader *reader,
                                  size_t *count, struct idem_error *error) {
    struct idem_handover_message message;
    while (idem_handover_read(reader, &message)) {
        if (publish_message(reader, &message) != MOSQ_ERR_SUCCESS) {
            return idem_error_set(error, IDEM_ERR_NOMEM, 0,
                                  "%s: no memory to publish its messages", path);
        }
        (*count)++;
    }
    return IDEM_OK;
}

/* Keeps what cannot be published for a person to look at, and out of the way of the next stop. */
static enum idem_code move_aside(const char *path, enum idem_code code,
                                 struct idem_error *error) {
    const char *why = code == IDEM_ERR_IO ? strerror(errno) : "it is damaged";
    char aside[PATH_MAX];
    bool moved = snprintf(aside, sizeof aside, "%s.damaged", path) < (int)sizeof aside &&
                 rename(path, aside) == 0;
    return idem_error_set(
        error, code, 0, "the messages in %s were not published: %s; %s%s", path, why,
        moved ? "it is kept as " : "it is still there", moved ? aside : "");
}

enum idem_code idem_handover_publish(const char *path, size_t *count,
                                     struct idem_error *error) {
    struct idem_handover_reader reader;
    uint8_t *bytes = NULL;
    size_t size = 0;
    *count = 0;
    enum idem_code code = read_file(path, &bytes, &size);
    if (code == IDEM_OK && !idem_handover_open(&reader, idem_span_of(bytes, size))) {
        code = IDEM_ERR_FORMAT;
    }
    if (code == IDEM_OK) {
        code = publish_all(path, &reader, count, error);
    } else if (code == IDEM_ERR_NOT_FOUND) {
        code = IDEM_OK;
    } else if (code == IDEM_ERR_NOMEM) {
        code = idem_error_set(error, code, 0, "%s: no memory to read it", path);
    } else {
        code = move_aside(path, code, error);
    }
    free(bytes);
    return code;
}

enum idem_code idem_handover_remove(const char *path, struct idem_error *error) {
    if (unlink(path) != 0 && errno != ENOENT) {
        return idem_error_set(error, IDEM_ERR_IO, errno, "%s cannot be removed: %s", path,
                              strerror(errno));
    }
    return IDEM_OK;
}
