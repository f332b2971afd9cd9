/* SPDX-License-Identifier: MIT
 * Log lines: levels, one line per event whatever is in it, and the form on standard error. */
#include "files.h"
#include "testing.h"

#include <idem/log.h>

#include <json-c/json.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct heard {
    unsigned lines;
    enum idem_log_level level;
    char event[64];
    char text[2048];
};

static void hear(void *context, enum idem_log_level level, const char *event,
                 const char *text) {
    struct heard *heard = context;
    heard->lines++;
    heard->level = level;
    (void)snprintf(heard->event, sizeof heard->event, "%s", event);
    (void)snprintf(heard->text, sizeof heard->text, "%s", text);
}

static void lines_up_to_the_level_reach_the_sink(void **state) {
    (void)state;
    struct heard heard = {.lines = 0};
    struct idem_log log = {hear, &heard, IDEM_LOG_NOTICE};
    idem_log_write(&log, IDEM_LOG_INFO, "a.b", "quiet");
    assert_int_equal(heard.lines, 0);
    idem_log_write(&log, IDEM_LOG_NOTICE, "store.full", "%d keys", 7);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, IDEM_LOG_NOTICE);
    assert_string_equal(heard.event, "store.full");
    assert_string_equal(heard.text, "7 keys");
}

static void without_a_log_or_a_sink_nothing_happens(void **state) {
    (void)state;
    struct idem_log log = {NULL, NULL, IDEM_LOG_DEBUG};
    idem_log_write(NULL, IDEM_LOG_ERROR, "a.b", "unheard");
    idem_log_write(&log, IDEM_LOG_ERROR, "a.b", "unheard");
}

static void line_breaks_cannot_forge_a_second_line(void **state) {
    (void)state;
    struct heard heard = {.lines = 0};
    struct idem_log log = {hear, &heard, IDEM_LOG_DEBUG};
    idem_log_write(&log, IDEM_LOG_ERROR, "a.b", "client %s", "x\r\nforged: line");
    assert_string_equal(heard.text, "client x  forged: line");
}

static void bytes_that_are_no_text_cannot_reach_a_terminal(void **state) {
    (void)state;
    struct heard heard = {.lines = 0};
    struct idem_log log = {hear, &heard, IDEM_LOG_DEBUG};
    idem_log_write(&log, IDEM_LOG_ERROR, "a.b", "%s", "\x1b[2J \xFF \xC2\x9B \xC3\xA9");
    assert_string_equal(heard.text, " [2J ? ?? \xC3\xA9");
}

static void a_long_line_ends_in_dots(void **state) {
    (void)state;
    struct heard heard = {.lines = 0};
    struct idem_log log = {hear, &heard, IDEM_LOG_DEBUG};
    char text[1025];
    memset(text, 't', sizeof text - 1);
    text[1024] = '\0';
    idem_log_write(&log, IDEM_LOG_ERROR, "a.b", "%s", text);
    assert_int_equal(strlen(heard.text), 1023);
    assert_string_equal(heard.text + 1018, "tt...");
    text[1023] = '\0';
    idem_log_write(&log, IDEM_LOG_ERROR, "a.b", "%s", text);
    assert_string_equal(heard.text, text);
}

static void every_level_has_a_name(void **state) {
    (void)state;
    for (unsigned i = 0; i < IDEM_LOG_LEVEL_COUNT; i++) {
        assert_string_not_equal(idem_log_level_name((enum idem_log_level)i), "unknown");
    }
    assert_string_equal(idem_log_level_name(IDEM_LOG_WARNING), "warning");
    assert_string_equal(idem_log_level_name(IDEM_LOG_LEVEL_COUNT), "unknown");
}

/* What work writes to standard error; free it. */
static char *captured(void work(void)) {
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX + 8];
    files_make_dir(dir);
    files_write(dir, "stderr", "");
    (void)snprintf(path, sizeof path, "%s/stderr", dir);
    (void)fflush(stderr);
    int before = dup(STDERR_FILENO);
    assert_true(before >= 0);
    assert_non_null(freopen(path, "w", stderr));
    (void)setvbuf(stderr, NULL, _IONBF, 0); /* as a program's is */
    work();
    (void)fflush(stderr);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    (void)close(before);
    char *lines = files_read(path);
    files_remove_dir(dir);
    return lines;
}

static const enum idem_log_format *line_format;
static const char *line_text;

static void write_line(void) {
    enum idem_log_format copy = line_format != NULL ? *line_format : IDEM_LOG_TEXT;
    idem_log_stderr(line_format != NULL ? &copy : NULL, IDEM_LOG_ERROR, "store.io",
                    line_text);
}

/* What the sink writes; free it. */
static char *written(const enum idem_log_format *format, const char *text) {
    line_format = format;
    line_text = text;
    return captured(write_line);
}

static void text_lines_begin_with_time_and_level(void **state) {
    (void)state;
    char *line = written(NULL, "disk \"gone\"");
    assert_int_equal(strspn(line, "0123456789-:TZ"), strlen("2024-01-01T00:00:00Z"));
    assert_string_equal(strchr(line, ' '), " error store.io: disk \"gone\"\n");
    free(line);
}

static void json_lines_are_json_whatever_the_text(void **state) {
    (void)state;
    const enum idem_log_format format = IDEM_LOG_JSON;
    char *line = written(&format, "a \"quote\", a \\ and a \x01");
    struct json_object *parsed = json_tokener_parse(line);
    assert_non_null(parsed);
    assert_string_equal(json_object_get_string(json_object_object_get(parsed, "text")),
                        "a \"quote\", a \\ and a \x01");
    assert_string_equal(json_object_get_string(json_object_object_get(parsed, "level")),
                        "error");
    assert_string_equal(json_object_get_string(json_object_object_get(parsed, "event")),
                        "store.io");
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    (void)json_object_put(parsed);
    free(line);
}

#define THREADS 4
#define EACH    500

static void *write_whole_lines(void *arg) {
    char text[600];
    memset(text, *(char *)arg, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (unsigned i = 0; i < EACH; i++) {
        idem_log_stderr(NULL, IDEM_LOG_ERROR, "store.io", text);
    }
    return NULL;
}

static void run_writers(void) {
    static char letters[THREADS] = {'a', 'b', 'c', 'd'};
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, write_whole_lines, &letters[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

static void lines_of_several_threads_do_not_mix(void **state) {
    (void)state;
    char *text = captured(run_writers);
    unsigned lines = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *at = strstr(line, "store.io: ");
        assert_non_null(at);
        at += strlen("store.io: ");
        assert_int_equal(strspn(at, (char[]){at[0], '\0'}), 599);
        assert_int_equal(strlen(at), 599);
        lines++;
    }
    assert_int_equal(lines, THREADS * EACH);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_up_to_the_level_reach_the_sink),
        cmocka_unit_test(without_a_log_or_a_sink_nothing_happens),
        cmocka_unit_test(line_breaks_cannot_forge_a_second_line),
        cmocka_unit_test(bytes_that_are_no_text_cannot_reach_a_terminal),
        cmocka_unit_test(a_long_line_ends_in_dots),
        cmocka_unit_test(every_level_has_a_name),
        cmocka_unit_test(text_lines_begin_with_time_and_level),
        cmocka_unit_test(json_lines_are_json_whatever_the_text),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
