/* SPDX-License-Identifier: MIT
 * Messages handed on to the broker, kept over a clean stop.
 *
 * The file, all integers little endian:
 *   8 bytes  "IDEMHND1"
 *   messages: u8 1, u8 qos, u8 retain, text topic, text payload, u32 number of properties,
 *             each: u8 MQTT property id, text, text (the second one empty but for user properties)
 *   u8 0
 *   16 bytes digest of everything before
 * A text is a u32 length and its bytes. A change of the format takes another magic. */
#include "handover.h"

#include <idem/digest.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC          "IDEMHND1"
#define MAGIC_SIZE     8
#define FILE_MAX_BYTES ((size_t)1 << 30)

void idem_handover_fini(struct idem_handover *handover) {
    free(handover->topic);
    handover->topic = NULL;
}

/* ---- a growing buffer; after the first failure it stays failed ---- */

struct buffer {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    bool failed;
};

static void append(struct buffer *buffer, const void *bytes, size_t size) {
    if (buffer->failed || size > FILE_MAX_BYTES - buffer->size) {
        buffer->failed = true;
        return;
    }
    if (buffer->size + size > buffer->capacity) {
        size_t capacity = (buffer->size + size) * 2;
        uint8_t *grown = realloc(buffer->bytes, capacity);
        if (grown == NULL) {
            buffer->failed = true;
            return;
        }
        buffer->bytes = grown;
        buffer->capacity = capacity;
    }
    if (size > 0) {
        memcpy(buffer->bytes + buffer->size, bytes, size);
        buffer->size += size;
    }
}

static void append_byte(struct buffer *buffer, int value) {
    uint8_t byte = (uint8_t)value;
    append(buffer, &byte, 1);
}

static void append_u32(struct buffer *buffer, size_t value) {
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                        (uint8_t)(value >> 24)};
    append(buffer, bytes, sizeof bytes);
}

static void append_text(struct buffer *buffer, const void *bytes, size_t size) {
    append_u32(buffer, size);
    append(buffer, bytes, size);
}

static void append_string(struct buffer *buffer, const char *text) {
    append_text(buffer, text, text == NULL ? 0 : strlen(text));
}

static void append_property(struct buffer *buffer, const mosquitto_property *property) {
    int id = mosquitto_property_identifier(property);
    char *name = NULL;
    char *value = NULL;
    void *data = NULL;
    uint16_t size = 0;
    uint8_t byte = 0;
    append_byte(buffer, id);
    switch (id) {
    case MQTT_PROP_USER_PROPERTY:
        (void)mosquitto_property_read_string_pair(property, id, &name, &value, false);
        append_string(buffer, name);
        break;
    case MQTT_PROP_CORRELATION_DATA:
        (void)mosquitto_property_read_binary(property, id, &data, &size, false);
        append_text(buffer, data, size);
        break;
    case MQTT_PROP_PAYLOAD_FORMAT_INDICATOR:
        (void)mosquitto_property_read_byte(property, id, &byte, false);
        append_text(buffer, &byte, 1);
        break;
    default: /* content type, response topic */
        (void)mosquitto_property_read_string(property, id, &name, false);
        append_string(buffer, name);
        break;
    }
    append_string(buffer, value);
    free(name);
    free(value);
    free(data);
}

static void append_handover(struct buffer *buffer, const struct idem_handover *handover) {
    size_t properties = 0;
    const mosquitto_property *at;
    for (at = handover->properties; at != NULL; at = mosquitto_property_next(at)) {
        properties++;
    }
    append_byte(buffer, 1);
    append_byte(buffer, handover->qos);
    append_byte(buffer, handover->retain);
    append_string(buffer, handover->topic);
    append_text(buffer, handover->payload, handover->payload_size);
    append_u32(buffer, properties);
    for (at = handover->properties; at != NULL; at = mosquitto_property_next(at)) {
        append_property(buffer, at);
    }
}

static void checksum(struct idem_digest *digest, const uint8_t *bytes, size_t size) {
    struct idem_secret secret;
    struct idem_span span = idem_span_of(bytes, size);
    idem_secret_default(&secret);
    idem_digest_of(digest, &secret, IDEM_DOMAIN_COPY, &span, 1);
}

/* ---- files ---- */

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

/* A file's name is on disk when its folder is. */
static bool sync_folder(const char *path) {
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) {
        errno = ENAMETOOLONG;
        return false;
    }
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool synced = fsync(fd) == 0;
    (void)close(fd);
    return synced;
}

static enum idem_code write_file(const char *path, const struct buffer *buffer,
                                 struct idem_error *error) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool done = fd >= 0 && write_all(fd, buffer->bytes, buffer->size) && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (!done || !sync_folder(path)) {
        why = done ? errno : why;
        return idem_error_set(error, IDEM_ERR_IO, why, "%s cannot be written: %s", path,
                              strerror(why));
    }
    return IDEM_OK;
}

enum idem_code idem_handover_save(const char *path,
                                  const struct idem_handover *const *handovers,
                                  size_t count, struct idem_error *error) {
    struct buffer buffer = {NULL, 0, 0, false};
    struct idem_digest digest;
    append(&buffer, MAGIC, MAGIC_SIZE);
    for (size_t i = 0; i < count; i++) {
        append_handover(&buffer, handovers[i]);
    }
    append_byte(&buffer, 0);
    enum idem_code code = IDEM_ERR_NOMEM;
    if (!buffer.failed) {
        checksum(&digest, buffer.bytes, buffer.size);
        append(&buffer, digest.bytes, sizeof digest.bytes);
    }
    if (buffer.failed) {
        code = idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    } else {
        code = write_file(path, &buffer, error);
    }
    free(buffer.bytes);
    return code;
}

/* ---- reading ---- */

struct reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static const uint8_t *take(struct reader *reader, size_t size) {
    if (reader->failed || size > reader->left) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *bytes = reader->at;
    reader->at += size;
    reader->left -= size;
    return bytes;
}

static int take_byte(struct reader *reader) {
    const uint8_t *byte = take(reader, 1);
    return byte == NULL ? 0 : *byte;
}

static uint32_t take_u32(struct reader *reader) {
    const uint8_t *b = take(reader, 4);
    if (b == NULL) {
        return 0;
    }
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
           (uint32_t)b[3] << 24;
}

static struct idem_span take_text(struct reader *reader) {
    uint32_t size = take_u32(reader);
    const uint8_t *bytes = take(reader, size);
    return idem_span_of(bytes, bytes == NULL ? 0 : size);
}

/* A terminated copy on the heap; NULL marks the reader as failed. */
static char *take_string(struct reader *reader) {
    struct idem_span text = take_text(reader);
    char *copy = reader->failed ? NULL : malloc(text.len + 1);
    if (copy == NULL) {
        reader->failed = true;
        return NULL;
    }
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    copy[text.len] = '\0';
    return copy;
}

static int add_property(mosquitto_property **list, int id, const char *text, size_t size,
                        const char *value) {
    switch (id) {
    case MQTT_PROP_USER_PROPERTY:
        return mosquitto_property_add_string_pair(list, id, text, value);
    case MQTT_PROP_CORRELATION_DATA:
        return mosquitto_property_add_binary(list, id, text, (uint16_t)size);
    case MQTT_PROP_PAYLOAD_FORMAT_INDICATOR:
        return mosquitto_property_add_byte(list, id, (uint8_t)text[0]);
    default:
        return mosquitto_property_add_string(list, id, text);
    }
}

static void take_property(struct reader *reader, mosquitto_property **list) {
    int id = take_byte(reader);
    struct reader start = *reader;
    char *text = take_string(reader);
    size_t size = take_u32(&start);
    char *value = take_string(reader);
    if (!reader->failed &&
        add_property(list, id, text, size, value) != MOSQ_ERR_SUCCESS) {
        reader->failed = true;
    }
    free(text);
    free(value);
}

static void publish_next(struct reader *reader) {
    mosquitto_property *properties = NULL;
    int qos = take_byte(reader);
    bool retain = take_byte(reader) != 0;
    char *topic = take_string(reader);
    struct idem_span payload = take_text(reader);
    uint32_t count = take_u32(reader);
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        take_property(reader, &properties);
    }
    if (reader->failed ||
        mosquitto_broker_publish_copy(NULL, topic, (int)payload.len, payload.data, qos,
                                      retain, properties) != MOSQ_ERR_SUCCESS) {
        reader->failed = true;
        mosquitto_property_free_all(&properties);
    }
    free(topic);
}

static bool intact(const uint8_t *bytes, size_t size) {
    struct idem_digest digest;
    if (size < MAGIC_SIZE + 1 + IDEM_DIGEST_SIZE ||
        memcmp(bytes, MAGIC, MAGIC_SIZE) != 0) {
        return false;
    }
    checksum(&digest, bytes, size - IDEM_DIGEST_SIZE);
    return memcmp(digest.bytes, bytes + size - IDEM_DIGEST_SIZE, IDEM_DIGEST_SIZE) == 0;
}

static enum idem_code move_aside(const char *path, struct idem_error *error) {
    char aside[PATH_MAX];
    (void)snprintf(aside, sizeof aside, "%s.damaged", path);
    bool moved = rename(path, aside) == 0;
    return idem_error_set(error, IDEM_ERR_FORMAT, 0,
                          "%s is damaged: its messages were not published; %s %s", path,
                          moved ? "it is kept as" : "it could not be renamed to", aside);
}

static enum idem_code read_file(const char *path, uint8_t **bytes, size_t *size,
                                struct idem_error *error) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    *size = 0;
    if (fd < 0 && errno == ENOENT) {
        return IDEM_OK;
    }
    if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 0 &&
        (size_t)info.st_size <= FILE_MAX_BYTES) {
        *bytes = malloc((size_t)info.st_size);
        ssize_t got = *bytes == NULL ? -1 : read(fd, *bytes, (size_t)info.st_size);
        *size = got > 0 ? (size_t)got : 0;
    }
    int why = errno;
    if (fd >= 0) {
        (void)close(fd);
        return *size > 0 ? IDEM_OK : move_aside(path, error);
    }
    return idem_error_set(error, IDEM_ERR_IO, why, "%s cannot be read: %s", path,
                          strerror(why));
}

enum idem_code idem_handover_publish(const char *path, size_t *count,
                                     struct idem_error *error) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    *count = 0;
    enum idem_code code = read_file(path, &bytes, &size, error);
    if (code == IDEM_OK && size > 0) {
        if (!intact(bytes, size)) {
            code = move_aside(path, error);
        } else {
            struct reader reader = {bytes + MAGIC_SIZE,
                                    size - MAGIC_SIZE - IDEM_DIGEST_SIZE, false};
            while (take_byte(&reader) == 1 && !reader.failed) {
                publish_next(&reader);
                *count += reader.failed ? 0 : 1;
            }
            if (reader.failed) {
                code = idem_error_set(
                    error, IDEM_ERR_NOMEM, 0,
                    "%s: %zu messages were published, the others were not", path, *count);
            }
        }
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
