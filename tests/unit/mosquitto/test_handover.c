/* SPDX-License-Identifier: MIT
 * The handover file: what is saved comes out whole, and what is damaged does not come out at all. */
#include "handover.h"

#include "compat.h"
#include "fake_broker.h"
#include "files.h"

#include <idem/digest.h>

#include <errno.h>
#include <limits.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE (FILES_PATH_MAX + 32)

static char dir[FILES_PATH_MAX];
static char path[PATH_SIZE];
static char aside[PATH_SIZE];
static char fresh[PATH_SIZE];

static int start(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    files_make_dir(dir);
    (void)snprintf(path, sizeof path, "%s/store.handover", dir);
    (void)snprintf(aside, sizeof aside, "%s/store.handover.damaged", dir);
    (void)snprintf(fresh, sizeof fresh, "%s/store.handover.new", dir);
    fake_broker_start(FAKE_2_0_21);
    idem_compat_learn();
    return idem_digest_init(&error) == IDEM_OK ? 0 : -1;
}

static int stop(void **state) {
    (void)state;
    files_remove_dir(dir);
    fake_broker_stop();
    return 0;
}

static bool exists(const char *name) {
    struct stat info;
    return lstat(name, &info) == 0;
}

/* ---- bytes of files ---- */

struct bytes {
    uint8_t *data;
    size_t size;
};

static struct bytes read_bytes(const char *name) {
    struct bytes bytes = {calloc(1, 65536), 0};
    FILE *file = fopen(name, "rb");
    assert_non_null(file);
    assert_non_null(bytes.data);
    bytes.size = fread(bytes.data, 1, 65536, file);
    assert_int_equal(fclose(file), 0);
    return bytes;
}

static void write_bytes(const char *name, const void *data, size_t size) {
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* ---- three messages, different in all that a message has ---- */

struct messages {
    struct idem_handover items[3];
    mosquitto_property *properties;
};

static void messages_init(struct messages *messages) {
    mosquitto_property **list = &messages->properties;
    memset(messages, 0, sizeof *messages);
    fake_user_property_add(list, "a", "1");
    fake_property_add(list, MQTT_PROP_CONTENT_TYPE, NULL, "text/plain", 10);
    fake_property_add(list, MQTT_PROP_RESPONSE_TOPIC, NULL, "back/to", 7);
    fake_property_add(list, MQTT_PROP_CORRELATION_DATA, NULL, "x\0y", 3);
    fake_property_add(list, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, NULL, "\1", 1);
    fake_property_add(list, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, NULL, NULL,
                      0); /* left out */
    fake_user_property_add(list, "", "");
    messages->items[0] = (struct idem_handover){strdup("a/b"), "p\0q", 3, 2, true, *list};
    messages->items[1] = (struct idem_handover){strdup("empty"), NULL, 0, 2, false, NULL};
    messages->items[2] =
        (struct idem_handover){strdup("$idem/duplicate/a"), "x", 1, 1, false, NULL};
}

static void messages_fini(struct messages *messages) {
    for (size_t i = 0; i < 3; i++) {
        idem_handover_fini(&messages->items[i]);
    }
    mosquitto_property_free_all(&messages->properties);
}

static enum idem_code save(struct idem_error *error) {
    struct messages messages;
    messages_init(&messages);
    const struct idem_handover *const all[] = {&messages.items[0], &messages.items[1],
                                               &messages.items[2]};
    enum idem_code code = idem_handover_save(path, all, 3, error);
    messages_fini(&messages);
    return code;
}

static void save_all(void) {
    struct idem_error error = IDEM_ERROR_INIT;
    assert_int_equal(save(&error), IDEM_OK);
}

static enum idem_code publish(size_t *count) {
    struct idem_error error = IDEM_ERROR_INIT;
    enum idem_code code = idem_handover_publish(path, count, &error);
    assert_int_equal(error.code, code);
    assert_int_equal(code == IDEM_OK, error.text[0] == '\0');
    return code;
}

static void assert_message(const struct fake_published *message, const char *topic,
                           const void *payload, size_t size, int qos, bool retain) {
    assert_string_equal(message->topic, topic);
    assert_int_equal(message->size, size);
    assert_true(size == 0 || memcmp(message->payload, payload, size) == 0);
    assert_int_equal(message->qos, qos);
    assert_int_equal(message->retain, retain);
}

static void assert_all_published(void) {
    const struct fake_published *at = fake_broker_queue();
    assert_int_equal(fake_broker_queued(), 3);
    assert_message(at, "a/b", "p\0q", 3, 2, true);
    char *text = fake_properties_text(at->properties);
    assert_string_equal(text, "user:a=1 content:text/plain response:back/to "
                              "correlation:3:x format:1 user:=");
    free(text);
    at = at->next;
    assert_message(at, "empty", NULL, 0, 2, false);
    assert_null(at->properties);
    assert_message(at->next, "$idem/duplicate/a", "x", 1, 1, false);
}

static void correlation_data_keeps_its_nul(void) {
    const mosquitto_property *list = fake_broker_queue()->properties;
    void *data = NULL;
    uint16_t size = 0;
    assert_non_null(mosquitto_property_read_binary(list, MQTT_PROP_CORRELATION_DATA,
                                                   &data, &size, false));
    assert_int_equal(size, 3);
    assert_memory_equal(data, "x\0y", 3);
    idem_compat_free_read(data);
}

/* ---- tests ---- */

static void what_is_saved_is_published(void **state) {
    (void)state;
    size_t count = 0;
    save_all();
    assert_false(exists(fresh));
    assert_int_equal(publish(&count), IDEM_OK);
    assert_int_equal(count, 3);
    assert_all_published();
    correlation_data_keeps_its_nul();
    assert_true(exists(path));
}

static void the_file_is_for_its_owner_only(void **state) {
    (void)state;
    struct stat info;
    save_all();
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void saving_replaces_what_was_there(void **state) {
    (void)state;
    size_t count = 0;
    write_bytes(path, "something else", 14);
    write_bytes(fresh, "left by a crash", 15);
    save_all();
    assert_int_equal(publish(&count), IDEM_OK);
    assert_all_published();
}

static void saving_nothing_publishes_nothing(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    size_t count = 7;
    assert_int_equal(idem_handover_save(path, NULL, 0, &error), IDEM_OK);
    assert_int_equal(publish(&count), IDEM_OK);
    assert_int_equal(count, 0);
    assert_int_equal(fake_broker_queued(), 0);
}

static void without_a_file_there_is_nothing_to_publish(void **state) {
    (void)state;
    size_t count = 7;
    assert_int_equal(publish(&count), IDEM_OK);
    assert_int_equal(count, 0);
    assert_false(exists(aside));
}

static void removing_is_final_and_may_be_repeated(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    save_all();
    assert_int_equal(idem_handover_remove(path, &error), IDEM_OK);
    assert_false(exists(path));
    assert_int_equal(idem_handover_remove(path, &error), IDEM_OK);
}

static void assert_refused(const void *data, size_t size) {
    size_t count = 7;
    write_bytes(path, data, size);
    assert_int_equal(publish(&count), IDEM_ERR_FORMAT);
    assert_int_equal(count, 0);
    assert_int_equal(fake_broker_queued(), 0);
    assert_false(exists(path));
    struct bytes kept = read_bytes(aside);
    assert_int_equal(kept.size, size);
    assert_memory_equal(kept.data, data, size);
    free(kept.data);
    assert_int_equal(unlink(aside), 0);
}

static void a_file_cut_short_anywhere_is_set_aside(void **state) {
    (void)state;
    save_all();
    struct bytes whole = read_bytes(path);
    for (size_t size = 0; size < whole.size; size++) {
        assert_refused(whole.data, size);
    }
    free(whole.data);
}

static void a_file_with_any_byte_changed_is_set_aside(void **state) {
    (void)state;
    save_all();
    struct bytes whole = read_bytes(path);
    for (size_t at = 0; at < whole.size; at++) {
        whole.data[at] ^= (uint8_t)(1U << (at % 8));
        assert_refused(whole.data, whole.size);
        whole.data[at] ^= (uint8_t)(1U << (at % 8));
    }
    free(whole.data);
}

static void a_file_with_more_at_its_end_is_set_aside(void **state) {
    (void)state;
    save_all();
    struct bytes whole = read_bytes(path);
    assert_refused(whole.data, whole.size + 1);
    free(whole.data);
}

static void what_cannot_be_opened_is_set_aside_too(void **state) {
    (void)state;
    size_t count = 0;
    struct idem_error error = IDEM_ERROR_INIT;
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_equal(idem_handover_publish(path, &count, &error), IDEM_ERR_IO);
    assert_non_null(strstr(error.text, strerror(ELOOP)));
    assert_false(exists(path));
    assert_true(exists(aside));
    assert_int_equal(unlink(aside), 0);

    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(publish(&count), IDEM_ERR_FORMAT);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(rmdir(aside), 0);
    assert_int_equal(publish(&count), IDEM_ERR_FORMAT);
    save_all();
    assert_int_equal(publish(&count), IDEM_OK);
    assert_all_published();
}

/* As a user whom permissions hold: root is asked to be nobody for a moment. */
static void in_a_folder_without_permission_the_old_file_stays(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    const bool root = geteuid() == 0;
    save_all();
    struct bytes before = read_bytes(path);
    assert_int_equal(chmod(dir, 0555), 0);
    assert_true(!root || seteuid(65534) == 0);
    enum idem_code saved = save(&error);
    enum idem_code removed = idem_handover_remove(path, &error);
    assert_true(!root || seteuid(0) == 0);
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(saved, IDEM_ERR_IO);
    assert_int_equal(removed, IDEM_ERR_IO);
    assert_int_equal(error.sys_errno, EACCES);
    assert_non_null(strstr(error.text, path));
    struct bytes after = read_bytes(path);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.data, before.data, before.size);
    assert_false(exists(fresh));
    free(before.data);
    free(after.data);
}

static void a_file_that_could_not_be_put_in_its_place_is_not_left_behind(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(save(&error), IDEM_ERR_IO);
    assert_int_equal(error.sys_errno, EISDIR);
    assert_false(exists(fresh));
}

/* Whoever may write the folder could let the broker overwrite another file. */
static void nothing_is_written_through_a_link(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    files_write(dir, "other", "kept");
    assert_int_equal(symlink("other", fresh), 0);
    assert_int_equal(save(&error), IDEM_ERR_IO);
    assert_int_equal(error.sys_errno, ELOOP);
    char other[PATH_SIZE];
    (void)snprintf(other, sizeof other, "%s/other", dir);
    char *text = files_read(other);
    assert_string_equal(text, "kept");
    free(text);
}

static void a_path_that_is_too_long_is_an_error(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    char long_path[PATH_MAX];
    memset(long_path, 'x', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(idem_handover_save(long_path, NULL, 0, &error), IDEM_ERR_IO);
    assert_int_equal(error.sys_errno, ENAMETOOLONG);
    assert_non_null(strstr(error.text, "the path is too long"));
}

static void a_missing_folder_is_an_error_and_no_crash(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    (void)snprintf(path, sizeof path, "%s/none/store.handover", dir);
    assert_int_equal(save(&error), IDEM_ERR_IO);
    assert_int_equal(error.sys_errno, ENOENT);
}

/* The broker does not start then, and with that nothing of its queue is delivered: all of the messages
 * are still in the file. */
static void without_memory_publishing_fails_and_the_file_stays(void **state) {
    (void)state;
    save_all();
    struct bytes before = read_bytes(path);
    for (size_t nth = 1;; nth++) {
        size_t count = 0;
        fake_broker_refuse(nth, 1);
        enum idem_code code = publish(&count);
        if (!fake_broker_refused()) {
            assert_int_equal(code, IDEM_OK);
            assert_all_published();
            assert_true(nth > 15);
            break;
        }
        assert_int_equal(code, IDEM_ERR_NOMEM);
        assert_int_equal(fake_broker_queued(), count);
        struct bytes after = read_bytes(path);
        assert_int_equal(after.size, before.size);
        assert_memory_equal(after.data, before.data, before.size);
        free(after.data);
        fake_broker_take_queue();
    }
    free(before.data);
}

static void without_memory_saving_fails_and_the_old_file_stays(void **state) {
    (void)state;
    struct messages messages;
    messages_init(&messages);
    const struct idem_handover *const all[] = {&messages.items[0]};
    for (size_t nth = 1;; nth++) {
        struct idem_error error = IDEM_ERROR_INIT;
        write_bytes(path, "old", 3);
        fake_broker_refuse(nth, 1);
        enum idem_code code = idem_handover_save(path, all, 1, &error);
        if (!fake_broker_refused()) {
            assert_int_equal(code, IDEM_OK);
            assert_true(nth > 8);
            break;
        }
        assert_int_equal(code, IDEM_ERR_NOMEM);
        struct bytes after = read_bytes(path);
        assert_int_equal(after.size, 3);
        free(after.data);
    }
    messages_fini(&messages);
}

static void
a_property_that_the_broker_no_longer_takes_does_not_hold_its_message_up(void **state) {
    (void)state;
    size_t count = 0;
    struct idem_error error = IDEM_ERROR_INIT;
    struct messages messages;
    messages_init(&messages);
    mosquitto_property_free_all(&messages.properties);
    fake_user_property_add(&messages.properties, "\xFF", "1");
    fake_user_property_add(&messages.properties, "b", "2");
    messages.items[0].properties = messages.properties;
    const struct idem_handover *const all[] = {&messages.items[0]};
    assert_int_equal(idem_handover_save(path, all, 1, &error), IDEM_OK);
    messages_fini(&messages);
    assert_int_equal(publish(&count), IDEM_OK);
    assert_int_equal(count, 1);
    char *text = fake_properties_text(fake_broker_queue()->properties);
    assert_string_equal(text, "user:b=2");
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_saved_is_published),
        TEST(the_file_is_for_its_owner_only),
        TEST(saving_replaces_what_was_there),
        TEST(saving_nothing_publishes_nothing),
        TEST(without_a_file_there_is_nothing_to_publish),
        TEST(removing_is_final_and_may_be_repeated),
        TEST(a_file_cut_short_anywhere_is_set_aside),
        TEST(a_file_with_any_byte_changed_is_set_aside),
        TEST(a_file_with_more_at_its_end_is_set_aside),
        TEST(what_cannot_be_opened_is_set_aside_too),
        TEST(in_a_folder_without_permission_the_old_file_stays),
        TEST(a_file_that_could_not_be_put_in_its_place_is_not_left_behind),
        TEST(nothing_is_written_through_a_link),
        TEST(a_path_that_is_too_long_is_an_error),
        TEST(a_missing_folder_is_an_error_and_no_crash),
        TEST(without_memory_publishing_fails_and_the_file_stays),
        TEST(without_memory_saving_fails_and_the_old_file_stays),
        TEST(a_property_that_the_broker_no_longer_takes_does_not_hold_its_message_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
