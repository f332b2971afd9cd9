/* SPDX-License-Identifier: MIT
 * One message on its way through: kept whole, seen by the core, handed on with additions. */
#include "address.h"
#include "letter.h"
#include "outgoing.h"
#include "view.h"

#include "files.h"
#include "rabbitmq_types.h"
#include "testing.h"

#include <stdio.h>

#define ROOM 131072

static struct idem_letter letter;
static amqp_pool_t pool;
static uint8_t encoded[ROOM];

static int open_all(void **state) {
    (void)state;
    init_amqp_pool(&pool, 4096);
    return 0;
}

static int close_all(void **state) {
    (void)state;
    empty_amqp_pool(&pool);
    idem_letter_fini(&letter);
    return 0;
}

static struct idem_span text(const char *value) {
    return idem_span_text(value);
}

static struct idem_span encode(const amqp_basic_properties_t *properties) {
    amqp_bytes_t room = {ROOM, encoded};
    int length =
        amqp_encode_properties(AMQP_BASIC_CLASS, (void *)(uintptr_t)properties, room);
    assert_true(length > 0);
    return idem_span_of(encoded, (size_t)length);
}

static const amqp_basic_properties_t *decode(struct idem_span raw) {
    void *decoded = NULL;
    assert_int_equal(
        amqp_decode_properties(AMQP_BASIC_CLASS, &pool, idem_rabbit_bytes(raw), &decoded),
        AMQP_STATUS_OK);
    return decoded;
}

static void write_letter(const amqp_basic_properties_t *properties, const char *body) {
    assert_int_equal(idem_letter_address(&letter, text("exchange"), text("a.b.c")),
                     IDEM_OK);
    assert_int_equal(idem_letter_header(&letter, encode(properties), strlen(body)),
                     IDEM_OK);
    assert_int_equal(idem_letter_body(&letter, text(body)), IDEM_OK);
    assert_true(idem_letter_complete(&letter));
}

static void assert_span(struct idem_span span, const char *expected) {
    assert_int_equal(span.len, strlen(expected));
    if (span.len > 0) {
        assert_memory_equal(span.data, expected, span.len);
    }
}

static void a_letter_keeps_its_parts(void **state) {
    (void)state;
    assert_int_equal(idem_letter_address(&letter, text("ex"), text("key")), IDEM_OK);
    assert_int_equal(idem_letter_header(&letter, text("props"), 10), IDEM_OK);
    assert_int_equal(idem_letter_body(&letter, text("hello")), IDEM_OK);
    assert_false(idem_letter_complete(&letter));
    assert_int_equal(idem_letter_body(&letter, text("world")), IDEM_OK);
    assert_true(idem_letter_complete(&letter));
    static const char *const before[] = {"as", NULL};
    static const char *const names[] = {"name", "x-other", "n", NULL};
    struct idem_span name = {NULL, 0};
    assert_int_equal(idem_letter_set_key(&letter, before, text("first")), IDEM_OK);
    assert_int_equal(idem_letter_set_key(&letter, names, text("value")), IDEM_OK);
    assert_span(idem_letter_exchange(&letter), "ex");
    assert_span(idem_letter_routing_key(&letter), "key");
    assert_span(idem_letter_properties(&letter), "props");
    assert_span(idem_letter_payload(&letter), "helloworld");
    for (size_t i = 0; names[i] != NULL; i++) {
        assert_true(idem_letter_next_key_name(&letter, &name));
        assert_span(name, names[i]);
    }
    assert_false(idem_letter_next_key_name(&letter, &name));
    assert_span(idem_letter_key_text(&letter), "value");
}

static void a_letter_refuses_what_was_not_announced(void **state) {
    (void)state;
    assert_int_equal(idem_letter_address(&letter, text(""), text("key")), IDEM_OK);
    assert_int_equal(idem_letter_body(&letter, text("x")), IDEM_ERR_INVALID);
    assert_int_equal(idem_letter_header(&letter, text("p"), UINT64_MAX),
                     IDEM_ERR_INVALID);
    assert_int_equal(idem_letter_header(&letter, text("p"), 3), IDEM_OK);
    assert_int_equal(idem_letter_header(&letter, text("p"), 3), IDEM_ERR_INVALID);
    assert_int_equal(idem_letter_body(&letter, text("four")), IDEM_ERR_INVALID);
    assert_int_equal(idem_letter_body(&letter, text("abc")), IDEM_OK);
    assert_int_equal(idem_letter_body(&letter, text("d")), IDEM_ERR_INVALID);
}

static void a_letter_is_used_again(void **state) {
    amqp_basic_properties_t none = {0};
    (void)state;
    write_letter(&none, "a long first body, longer than the second");
    idem_letter_rest(&letter);
    write_letter(&none, "");
    assert_span(idem_letter_payload(&letter), "");
    struct idem_span name = {NULL, 0};
    assert_false(idem_letter_next_key_name(&letter, &name));
}

static bool look_up(struct idem_view *view, const char *name, struct idem_span *value) {
    return view->message.property(view->message.property_source, text(name), value);
}

static void assert_header(struct idem_view *view, const char *name,
                          const char *expected) {
    struct idem_span value;
    assert_true(look_up(view, name, &value));
    assert_span(value, expected);
}

static void the_core_sees_the_message(void **state) {
    static struct idem_view view;
    struct idem_span value;
    (void)state;
    write_letter(rabbitmq_all_types(), "{}");
    idem_view_init(&view, &letter, decode(idem_letter_properties(&letter)), text("in"));
    assert_int_equal(view.message.protocol, IDEM_PROTOCOL_AMQP);
    assert_span(view.message.topic, "a.b.c");
    assert_span(view.message.queue, "in");
    assert_span(view.message.payload, "{}");
    assert_span(view.message.user, "guest");
    assert_span(view.message.client, "");
    assert_span(view.message.message_id, "message-1");
    assert_int_equal(view.message.correlation_id.len, 16); /* with the NUL in it */
    assert_header(&view, "i8", "-128");
    assert_header(&view, "u8", "255");
    assert_header(&view, "i16", "-32768");
    assert_header(&view, "u16", "65535");
    assert_header(&view, "i32", "-2147483648");
    assert_header(&view, "u32", "4294967295");
    assert_header(&view, "i64", "-9223372036854775808");
    assert_header(&view, "timestamp", "1700000000");
    assert_header(&view, "boolean", "true");
    assert_header(&view, "utf8", "gr\xc3\xbc\xc3\x9f");
    assert_true(look_up(&view, "bytes", &value));
    assert_int_equal(value.len, 11);
    assert_false(look_up(&view, "f64", &value));
    assert_false(look_up(&view, "table", &value));
    assert_false(look_up(&view, "void", &value));
    assert_false(look_up(&view, "absent", &value));
}

static void two_numbers_live_side_by_side(void **state) {
    static struct idem_view view;
    struct idem_span first;
    struct idem_span second;
    (void)state;
    write_letter(rabbitmq_all_types(), "");
    idem_view_init(&view, &letter, decode(idem_letter_properties(&letter)), text("in"));
    assert_true(look_up(&view, "u8", &first));
    assert_true(look_up(&view, "u16", &second));
    assert_span(first, "255");
    assert_span(second, "65535");
}

static void a_message_without_properties_has_none(void **state) {
    static struct idem_view view;
    amqp_basic_properties_t none = {0};
    (void)state;
    write_letter(&none, "x");
    idem_view_init(&view, &letter, decode(idem_letter_properties(&letter)), text("in"));
    assert_null(view.message.property);
    assert_span(view.message.user, "");
    assert_span(view.message.message_id, "");
}

static struct idem_outgoing outgoing_of(const amqp_basic_properties_t *properties,
                                        const char *user) {
    struct idem_outgoing outgoing = {.user = text(user), .room = ROOM - 20};
    struct idem_span raw = encode(properties);
    outgoing.properties = properties;
    outgoing.encoded_len = raw.len;
    return outgoing;
}

static const amqp_table_entry_t *last(const amqp_basic_properties_t *properties,
                                      int back) {
    return &properties->headers.entries[properties->headers.num_entries - back];
}

static void every_type_survives_the_way(void **state) {
    amqp_basic_properties_t result;
    bool whole;
    (void)state;
    write_letter(rabbitmq_all_types(), "x");
    const amqp_basic_properties_t *came = decode(idem_letter_properties(&letter));
    struct idem_outgoing outgoing = outgoing_of(came, "guest");
    idem_outgoing_add(&outgoing, "idempotency-key", text("k"));
    assert_int_equal(idem_outgoing_build(&outgoing, &pool, &result, &whole), IDEM_OK);
    assert_true(whole);
    rabbitmq_expect_properties(decode(encode(&result)), rabbitmq_all_types());
    assert_int_equal(result.headers.num_entries, came->headers.num_entries + 1);
    assert_span(idem_rabbit_span(last(&result, 1)->key), "idempotency-key");
}

static void a_header_of_the_same_name_is_replaced(void **state) {
    amqp_table_entry_t old[2] = {{.key = idem_rabbit_text("k")},
                                 {.key = idem_rabbit_text("")}};
    amqp_basic_properties_t came = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                    .headers = {2, old}};
    amqp_basic_properties_t result;
    bool whole;
    (void)state;
    old[0].value.kind = AMQP_FIELD_KIND_VOID;
    old[1].value.kind = AMQP_FIELD_KIND_VOID;
    struct idem_outgoing outgoing = outgoing_of(&came, "u");
    idem_outgoing_add(&outgoing, "k", text("new"));
    idem_outgoing_add_time(&outgoing, "when", 77);
    assert_int_equal(idem_outgoing_build(&outgoing, &pool, &result, &whole), IDEM_OK);
    assert_int_equal(result.headers.num_entries, 3);
    assert_span(idem_rabbit_span(result.headers.entries[0].key), "");
    assert_span(idem_rabbit_span(last(&result, 2)->value.value.bytes), "new");
    assert_int_equal(last(&result, 1)->value.kind, AMQP_FIELD_KIND_TIMESTAMP);
    assert_int_equal(last(&result, 1)->value.value.u64, 77);
}

static void a_foreign_user_id_becomes_a_header(void **state) {
    amqp_basic_properties_t came = {._flags = AMQP_BASIC_USER_ID_FLAG,
                                    .user_id = idem_rabbit_text("alice")};
    amqp_basic_properties_t result;
    bool whole;
    (void)state;
    struct idem_outgoing outgoing = outgoing_of(&came, "guest");
    assert_int_equal(idem_outgoing_build(&outgoing, &pool, &result, &whole), IDEM_OK);
    assert_int_equal(result._flags, AMQP_BASIC_HEADERS_FLAG);
    assert_span(idem_rabbit_span(last(&result, 1)->key), "x-idem-user-id");
    assert_span(idem_rabbit_span(last(&result, 1)->value.value.bytes), "alice");
}

static void additions_that_do_not_fit_are_left_out(void **state) {
    amqp_basic_properties_t result;
    bool whole;
    (void)state;
    write_letter(rabbitmq_all_types(), "x");
    const amqp_basic_properties_t *came = decode(idem_letter_properties(&letter));
    struct idem_outgoing outgoing = outgoing_of(came, "guest");
    outgoing.room = outgoing.encoded_len + 30;
    idem_outgoing_add(&outgoing, "name", text("a text that is too long for the rest"));
    assert_int_equal(idem_outgoing_build(&outgoing, &pool, &result, &whole), IDEM_OK);
    assert_false(whole);
    assert_int_equal(result.headers.num_entries, came->headers.num_entries);
}

static void an_address_is_taken_apart(void **state) {
    struct idem_address address;
    struct idem_error error = IDEM_ERROR_INIT;
    (void)state;
    assert_int_equal(
        idem_address_parse(&address, "amqps://al%40ice:s%2fcret@host:77/v%2fh", &error),
        IDEM_OK);
    assert_string_equal(address.user, "al@ice");
    assert_string_equal(address.password, "s/cret");
    assert_string_equal(address.host, "host");
    assert_int_equal(address.port, 77);
    assert_string_equal(address.vhost, "v/h");
    assert_true(address.tls);
    idem_address_fini(&address);
}

static void an_address_has_defaults(void **state) {
    static const char *const urls[] = {"amqp://h", "amqp://h/", "amqp://h/%2f"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct idem_address address;
        struct idem_error error = IDEM_ERROR_INIT;
        assert_int_equal(idem_address_parse(&address, urls[i], &error), IDEM_OK);
        assert_string_equal(address.user, "guest");
        assert_string_equal(address.vhost, "/");
        assert_int_equal(address.port, 5672);
        assert_false(address.tls);
        idem_address_fini(&address);
    }
}

static void a_malformed_address_is_refused_without_its_password(void **state) {
    static const char *const urls[] = {"http://secret@h", "amqp://u:secret@h:99999/",
                                       "amqp://u:secret@h/a/b", "amqp://u:secret@[h",
                                       "amqp://u:secret%zz@h"};
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct idem_address address;
        struct idem_error error = IDEM_ERROR_INIT;
        assert_int_equal(idem_address_parse(&address, urls[i], &error), IDEM_ERR_CONFIG);
        assert_null(strstr(error.text, "secret"));
        idem_address_fini(&address);
    }
}

static void a_password_comes_from_a_file(void **state) {
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX + 16];
    struct idem_address address;
    struct idem_error error = IDEM_ERROR_INIT;
    (void)state;
    files_make_dir(dir);
    files_write(dir, "good", "from the file\nnot this\n");
    files_write(dir, "empty", "\n");
    assert_int_equal(idem_address_parse(&address, "amqp://u:p@h", &error), IDEM_OK);
    (void)snprintf(path, sizeof path, "%s/good", dir);
    assert_int_equal(idem_address_read_password(&address, path, &error), IDEM_OK);
    assert_string_equal(address.password, "from the file");
    idem_address_fini(&address);
    (void)snprintf(path, sizeof path, "%s/empty", dir);
    assert_int_equal(idem_address_read_password(&address, path, &error), IDEM_ERR_CONFIG);
    (void)snprintf(path, sizeof path, "%s/absent", dir);
    assert_int_equal(idem_address_read_password(&address, path, NULL), IDEM_ERR_IO);
    files_remove_dir(dir);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
    const struct CMUnitTest tests[] = {
        TEST(a_letter_keeps_its_parts),
        TEST(a_letter_refuses_what_was_not_announced),
        TEST(a_letter_is_used_again),
        TEST(the_core_sees_the_message),
        TEST(two_numbers_live_side_by_side),
        TEST(a_message_without_properties_has_none),
        TEST(every_type_survives_the_way),
        TEST(a_header_of_the_same_name_is_replaced),
        TEST(a_foreign_user_id_becomes_a_header),
        TEST(additions_that_do_not_fit_are_left_out),
        TEST(an_address_is_taken_apart),
        TEST(an_address_has_defaults),
        TEST(a_malformed_address_is_refused_without_its_password),
        TEST(a_password_comes_from_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
