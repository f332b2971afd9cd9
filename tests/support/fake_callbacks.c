/* SPDX-License-Identifier: MIT
 * The broker's list of a plugin's callbacks. */
#include "fake_callbacks.h"

#include "fake_broker.h"

#define CALLBACKS_MAX 16

static struct {
    mosquitto_plugin_id_t *identifier;
    int event;
    MOSQ_FUNC_generic_callback callback;
    void *userdata;
} list[CALLBACKS_MAX];
static size_t count;
static size_t granted = CALLBACKS_MAX;

void fake_callbacks_grant(size_t more) {
    granted = count + more;
}

size_t fake_callbacks_count(void) {
    return count;
}

int mosquitto_callback_register(mosquitto_plugin_id_t *identifier, int event,
                                MOSQ_FUNC_generic_callback cb_func,
                                const void *event_data, void *userdata) {
    assert_non_null(cb_func);
    if (event == MOSQ_EVT_CONTROL) {
        assert_string_equal(event_data, "$CONTROL/idem/v1");
    } else {
        assert_null(event_data);
    }
    if (count >= granted || count == CALLBACKS_MAX) {
        return MOSQ_ERR_NOT_SUPPORTED;
    }
    list[count].identifier = identifier;
    list[count].event = event;
    list[count].callback = cb_func;
    list[count].userdata = userdata;
    count++;
    return MOSQ_ERR_SUCCESS;
}

/* The newest of the same, as no two of a plugin are. */
int mosquitto_callback_unregister(mosquitto_plugin_id_t *identifier, int event,
                                  MOSQ_FUNC_generic_callback cb_func,
                                  const void *event_data) {
    (void)event_data;
    for (size_t i = 0; i < count; i++) {
        if (list[i].identifier == identifier && list[i].event == event &&
            list[i].callback == cb_func) {
            count--;
            for (; i < count; i++) {
                list[i] = list[i + 1];
            }
            return MOSQ_ERR_SUCCESS;
        }
    }
    return MOSQ_ERR_NOT_FOUND;
}

int fake_callbacks_call(const mosquitto_plugin_id_t *identifier, int event, void *data) {
    int rc = MOSQ_ERR_SUCCESS;
    for (size_t i = 0; i < count && rc == MOSQ_ERR_SUCCESS; i++) {
        bool meant = identifier == NULL || list[i].identifier == identifier;
        if (meant && list[i].event == event) {
            rc = list[i].callback(event, data, list[i].userdata);
        }
    }
    return rc;
}

const char *mosquitto_strerror(int mosq_errno) {
    return mosq_errno == MOSQ_ERR_NOT_SUPPORTED ? "not supported" : "another error";
}
