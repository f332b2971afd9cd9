/* SPDX-License-Identifier: MIT
 * hiredis' parser with bounds: a server, or what answers in its place, is not trusted with our memory. */
#ifndef IDEM_REDIS_READER_H
#define IDEM_REDIS_READER_H

#include <idem/error.h>
#include <idem/span.h>

#include <hiredis/hiredis.h>

/* The parser keeps a pointer to this: it must stay where it is while the reader is open. */
struct idem_reader {
    redisReader *parser;
    redisReplyObjectFunctions bounded;
    const redisReplyObjectFunctions *original;
    size_t text_left;     /* of the reply that is being read */
    size_t elements_left; /* the same */
};

IDEM_MUST_USE enum idem_code idem_reader_open(struct idem_reader *reader);
void idem_reader_close(struct idem_reader *reader);

/* Takes bytes in. IDEM_ERR_NOMEM; IDEM_ERR_FORMAT: more than any reply of ours can be. */
IDEM_MUST_USE enum idem_code idem_reader_feed(struct idem_reader *reader,
                                              const void *data, size_t length);

/* The next whole reply, to be freed with freeReplyObject; NULL where none is whole yet. IDEM_ERR_FORMAT:
 * not the protocol, or out of bounds; nothing can be read any more. */
IDEM_MUST_USE enum idem_code idem_reader_next(struct idem_reader *reader,
                                              redisReply **reply);

/* The text of a bulk string, status or error; empty for anything else. */
struct idem_span idem_reply_text(const redisReply *reply);
bool idem_reply_is(const redisReply *reply, int type, const char *text);

#endif
