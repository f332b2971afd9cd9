/* SPDX-License-Identifier: MIT
 * A reply that is stored and read again is the reply that came. */
#include "response.h"

#include "rabbitmq_types.h"
#include "testing.h"

#include <stdlib.h>

static amqp_pool_t pool;
static struct idem_response response;

static int set_up(void **state) {
    (void)state;
    init_amqp_pool(&pool, 4096);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    empty_amqp_pool(&pool);
    return 0;
}

static void read_reply(const amqp_basic_properties_t *properties, const char *payload,
                       enum idem_response_form form, bool expected_whole) {
    bool whole = !expected_whole;
    assert_int_equal(idem_response_read(&response, properties, idem_span_text(payload),
                                        form, &pool, &whole),
                     IDEM_OK);
    assert_int_equal(whole, expected_whole);
}

/* What a result has no place for is the bridge's to set, or nobody's. */
static void every_property_and_type_survives_the_store(void **state) {
    amqp_basic_properties_t came = *(const amqp_basic_properties_t *)rabbitmq_all_types();
    amqp_basic_properties_t answered;
    struct idem_result decoded;
    (void)state;
    came._flags &=
        ~(amqp_flags_t)(AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG |
                        AMQP_BASIC_USER_ID_FLAG | AMQP_BASIC_CLUSTER_ID_FLAG);
    came.correlation_id = came.reply_to = amqp_empty_bytes;
    came.user_id = came.cluster_id = amqp_empty_bytes;
    read_reply(&came, "payload", IDEM_RESPONSE_TO_STORE, true);
    size_t size = idem_result_size(&response.result);
    assert_int_not_equal(size, 0);
    uint8_t *stored = malloc(size);
    assert_non_null(stored);
    idem_result_encode(stored, &response.result);
    assert_int_equal(idem_result_decode(&decoded, idem_span_of(stored, size)), IDEM_OK);
    assert_int_equal(idem_response_write(&answered, &decoded, &pool), IDEM_OK);
    rabbitmq_expect_properties(&answered, &came);
    assert_true(idem_span_equal(decoded.payload, idem_span_text("payload")));
    free(stored);
}

static void a_reply_without_properties_is_an_answer_without_any(void **state) {
    const amqp_basic_properties_t none = {0};
    amqp_basic_properties_t answered;
    (void)state;
    read_reply(&none, "", IDEM_RESPONSE_TO_STORE, true);
    assert_int_equal(idem_response_write(&answered, &response.result, &pool), IDEM_OK);
    assert_int_equal(answered._flags, 0);
}

static struct idem_span judged(amqp_table_entry_t entry) {
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                          .headers = {1, &entry}};
    struct idem_span value = {NULL, 0};
    entry.key = amqp_cstring_bytes("status");
    read_reply(&properties, "", IDEM_RESPONSE_TO_JUDGE, true);
    (void)idem_result_find_header(&response.result, idem_span_text("status"), &value);
    return value;
}

static void expect_judged(amqp_field_value_t value, const char *text) {
    const amqp_table_entry_t entry = {.value = value};
    if (!idem_span_equal(judged(entry), idem_span_text(text))) {
        fail_msg("a status of the type '%c' is not judged as %s", value.kind, text);
    }
}

static void a_status_is_judged_whatever_its_type(void **state) {
    (void)state;
#define VALUE(type, member, number)                                                      \
    (amqp_field_value_t){.kind = AMQP_FIELD_KIND_##type, .value.member = (number)}
    expect_judged(VALUE(I8, i8, -128), "-128");
    expect_judged(VALUE(U8, u8, 255), "255");
    expect_judged(VALUE(I16, i16, -32768), "-32768");
    expect_judged(VALUE(U16, u16, 65535), "65535");
    expect_judged(VALUE(I32, i32, -1), "-1");
    expect_judged(VALUE(U32, u32, UINT32_MAX), "4294967295");
    expect_judged(VALUE(I64, i64, INT64_MIN), "-9223372036854775808");
    expect_judged(VALUE(U64, u64, UINT64_MAX), "18446744073709551615");
    expect_judged(VALUE(TIMESTAMP, u64, 1700000000), "1700000000");
    expect_judged(VALUE(UTF8, bytes, amqp_cstring_bytes("failed")), "failed");
    expect_judged(VALUE(BYTES, bytes, amqp_cstring_bytes("503")), "503");
    expect_judged(VALUE(BOOLEAN, boolean, 1), "true");
#undef VALUE
}

/* There is no one way to write it, so no rule can name it. */
static void a_status_without_a_text_is_not_judged(void **state) {
    amqp_table_entry_t entry = {.value = {.kind = AMQP_FIELD_KIND_F64, .value.f64 = 1.5}};
    (void)state;
    assert_int_equal(judged(entry).len, 0);
}

/* A number is stored with its type, for all that it was judged as a text. */
static void what_was_judged_is_stored_with_its_type(void **state) {
    static const uint8_t kinds[] = {AMQP_FIELD_KIND_U64, AMQP_FIELD_KIND_TIMESTAMP};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        amqp_table_entry_t entry = {.key = amqp_cstring_bytes("status"),
                                    .value = {.kind = kinds[i], .value.u64 = 503}};
        const amqp_basic_properties_t came = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                              .headers = {1, &entry}};
        amqp_basic_properties_t answered;
        read_reply(&came, "", IDEM_RESPONSE_TO_STORE, true);
        assert_int_equal(idem_response_write(&answered, &response.result, &pool),
                         IDEM_OK);
        assert_int_equal(answered.headers.entries[0].value.kind, kinds[i]);
        assert_int_equal(answered.headers.entries[0].value.value.u64, 503);
    }
}

static void more_headers_than_a_result_holds_are_told(void **state) {
    static amqp_table_entry_t entries[IDEM_RESULT_HEADERS_MAX + 1];
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                          .headers = {IDEM_RESULT_HEADERS_MAX, entries}};
    (void)state;
    for (size_t i = 0; i <= IDEM_RESULT_HEADERS_MAX; i++) {
        entries[i].key = amqp_cstring_bytes("name");
        entries[i].value.kind = AMQP_FIELD_KIND_VOID;
    }
    read_reply(&properties, "", IDEM_RESPONSE_TO_STORE, true);
    properties.headers.num_entries++;
    read_reply(&properties, "", IDEM_RESPONSE_TO_STORE, false);
    assert_int_equal(response.result.header_count, 0);
}

static void a_value_longer_than_any_guess_is_kept(void **state) {
    static char text[100000];
    amqp_field_value_t item = {.kind = AMQP_FIELD_KIND_UTF8};
    amqp_table_entry_t entry = {
        .key = amqp_cstring_bytes("list"),
        .value = {.kind = AMQP_FIELD_KIND_ARRAY, .value.array = {1, &item}}};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                          .headers = {1, &entry}};
    (void)state;
    memset(text, 'x', sizeof text);
    item.value.bytes = (amqp_bytes_t){sizeof text, text};
    read_reply(&properties, "", IDEM_RESPONSE_TO_STORE, true);
    assert_true(response.result.headers[0].value.len > sizeof text);
}

/* What is in a store can be of any origin. */
static void a_header_that_is_malformed_is_left_out(void **state) {
    struct idem_result result = {.header_count = 3};
    amqp_basic_properties_t answered;
    static const char long_name[300] = "";
    (void)state;
    result.headers[0] = (struct idem_result_header){
        IDEM_RESULT_AMQP, idem_span_text("broken"), idem_span_text("S\xff\xff\xff\xff")};
    result.headers[1] =
        (struct idem_result_header){IDEM_RESULT_TEXT, idem_span_of(long_name, 300),
                                    idem_span_text("its name is too long for AMQP")};
    result.headers[2] = (struct idem_result_header){
        IDEM_RESULT_TEXT, idem_span_text("good"), idem_span_text("value")};
    assert_int_equal(idem_response_write(&answered, &result, &pool), IDEM_OK);
    assert_int_equal(answered.headers.num_entries, 1);
    assert_memory_equal(answered.headers.entries[0].key.bytes, "good", 4);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_property_and_type_survives_the_store),
        TEST(a_reply_without_properties_is_an_answer_without_any),
        TEST(a_status_is_judged_whatever_its_type),
        TEST(a_status_without_a_text_is_not_judged),
        TEST(what_was_judged_is_stored_with_its_type),
        TEST(more_headers_than_a_result_holds_are_told),
        TEST(a_value_longer_than_any_guess_is_kept),
        TEST(a_header_that_is_malformed_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
