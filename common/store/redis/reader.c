/* SPDX-License-Identifier: MIT
 * hiredis' parser with bounds on what one reply may hold. */
#include "store/redis/reader.h"
#include "store/record.h"

/* The longest reply is a record; the widest a page of keys or the slots of a cluster. */
#define TEXT_MAX     ((size_t)IDEM_RESULT_MAX + 65536)
#define ELEMENTS_MAX ((size_t)65536)
#define BUFFER_MAX   (TEXT_MAX + 65536)

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static bool spend(size_t *left, size_t amount) {
    if (amount > *left) {
        return false;
    }
    *left -= amount;
    return true;
}

/* NULL makes the parser stop for good. */
static void *bounded_string(const redisReadTask *task, char *text, size_t length) {
    struct idem_reader *reader = task->privdata;
    return spend(&reader->text_left, length) && spend(&reader->elements_left, 1)
               ? reader->original->createString(task, text, length)
               : NULL;
}

static void *bounded_array(const redisReadTask *task, element_count elements) {
    struct idem_reader *reader = task->privdata;
    return spend(&reader->elements_left, (size_t)elements)
               ? reader->original->createArray(task, elements)
               : NULL;
}

static void start_reply(struct idem_reader *reader) {
    reader->text_left = TEXT_MAX;
    reader->elements_left = ELEMENTS_MAX;
}

enum idem_code idem_reader_open(struct idem_reader *reader) {
    reader->parser = redisReaderCreate();
    if (reader->parser == NULL) {
        return IDEM_ERR_NOMEM;
    }
    reader->original = reader->parser->fn;
    reader->bounded = *reader->parser->fn;
    reader->bounded.createString = bounded_string;
    reader->bounded.createArray = bounded_array;
    reader->parser->fn = &reader->bounded;
    reader->parser->privdata = reader;
    start_reply(reader);
    return IDEM_OK;
}

void idem_reader_close(struct idem_reader *reader) {
    if (reader->parser != NULL) {
        redisReaderFree(reader->parser);
        reader->parser = NULL;
    }
}

enum idem_code idem_reader_feed(struct idem_reader *reader, const void *data,
                                size_t length) {
    if (reader->parser->len - reader->parser->pos + length > BUFFER_MAX) {
        return IDEM_ERR_FORMAT;
    }
    return redisReaderFeed(reader->parser, data, length) == REDIS_OK ? IDEM_OK
                                                                     : IDEM_ERR_NOMEM;
}

enum idem_code idem_reader_next(struct idem_reader *reader, redisReply **reply) {
    void *next = NULL;
    *reply = NULL;
    if (redisReaderGetReply(reader->parser, &next) != REDIS_OK) {
        return IDEM_ERR_FORMAT;
    }
    if (next != NULL) {
        start_reply(reader);
        *reply = next;
    }
    return IDEM_OK;
}

struct idem_span idem_reply_text(const redisReply *reply) {
    bool text = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS ||
                reply->type == REDIS_REPLY_ERROR;
    return text ? idem_span_of(reply->str, reply->len) : idem_span_of(NULL, 0);
}

bool idem_reply_is(const redisReply *reply, int type, const char *text) {
    return reply->type == type &&
           idem_span_equal(idem_reply_text(reply), idem_span_text(text));
}
