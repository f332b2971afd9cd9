# SPDX-License-Identifier: MIT
# Tests: each tests/KIND/test_*.c becomes $(BUILD)/tests/KIND/test_*; KIND says what it needs.

TEST_CFLAGS := -Itests/support
TEST_LIBS   := -lcmocka -lmosquitto $(BRIDGE_LIBS)

# The fake broker takes the place of libmosquitto, for the units of the plugin only.
FAKE_SRC    := $(wildcard tests/support/fake_*.c)
FAKE_OBJ    := $(call object,$(FAKE_SRC) tests/support/files.c)
# ... and names that only tests know that of the resolver.
NAMES_OBJ   := $(call object,tests/support/names.c)
NAMES_WRAP  := -Wl,--wrap=getaddrinfo,--wrap=getaddrinfo_a,--wrap=gai_error,--wrap=gai_cancel
SUPPORT_OBJ := $(filter-out $(NAMES_OBJ),$(call object,$(filter-out $(FAKE_SRC),$(wildcard tests/support/*.c))))
UNIT_SRC    := $(wildcard tests/unit/*/test_*.c)
CONTRACT_SRC := $(wildcard tests/contract/test_*.c)
INTEGRATION_SRC := $(wildcard tests/integration/test_*.c)
test_program = $(patsubst tests/%.c,$(BUILD)/tests/%,$(1))

UNIT_TESTS        := $(call test_program,$(UNIT_SRC))
# Names are looked up in a thread that the C library makes by itself, which the thread sanitizer does not know and
# crashes over.
CONTRACT_TESTS    := $(filter-out $(if $(filter thread,$(SANITIZER)),%/test_redis_names %/test_redis_tls), \
  $(call test_program,$(CONTRACT_SRC)))
STACK_TESTS := $(call test_program,$(wildcard tests/docker/test_*.c))
INTEGRATION_TESTS := $(call test_program,$(INTEGRATION_SRC))
ALL_TESTS := $(UNIT_TESTS) $(CONTRACT_TESTS) $(INTEGRATION_TESTS)

# The library as its users have it: installed, found by pkg-config, and the example built against it.
STAGE := $(abspath $(BUILD))/stage
RECEIVER := $(BUILD)/examples/receiver
# An interpreter cannot load what a sanitizer has been built into.
LIBRARY_TESTS := $(patsubst tests/%.sh,$(BUILD)/tests/%,$(wildcard tests/library/test_*.sh)) \
  $(if $(SANITIZER),,$(patsubst tests/%.py,$(BUILD)/tests/%,$(wildcard tests/library/test_*.py)))

$(BUILD)/obj/tests/%.o: EXTRA_CFLAGS += $(TEST_CFLAGS)

# The command is tested as its users call it.
$(filter $(BUILD)/tests/unit/idemctl/%,$(UNIT_TESTS)): | $(BUILD)/idemctl

# For programs that fail their own allocations one after the other.
WRAP_ALLOCATIONS := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup

# The units of the plugin, whose allocations the fake broker can refuse.
PLUGIN_TESTS := $(filter $(BUILD)/tests/unit/mosquitto/%,$(UNIT_TESTS))
$(BUILD)/obj/tests/unit/mosquitto/%.o: EXTRA_CFLAGS += -Iplugins/mosquitto
$(BUILD)/obj/tests/support/fake_%.o: EXTRA_CFLAGS += -Iplugins/mosquitto
$(PLUGIN_TESTS): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(FAKE_OBJ) $(BUILD)/tests/plugin.a $(BUILD)/libidem.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(IDEM_LDFLAGS) $(LDFLAGS) $(WRAP_ALLOCATIONS) -o $@ $^ $(LIB_LIBS) -lcmocka

$(BUILD)/tests/plugin.a: $(PLUGIN_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$(BUILD)/tests/unit/receiver/test_exhaustion: WRAP := $(WRAP_ALLOCATIONS)
$(BUILD)/tests/contract/test_redis_names: $(NAMES_OBJ)
$(BUILD)/tests/contract/test_redis_names: WRAP := $(NAMES_WRAP)

# The units of the bridge: all of it but main.
RABBIT_TESTS := $(filter $(BUILD)/tests/unit/rabbitmq/%,$(UNIT_TESTS))
# Their headers come before those of tests/support, where a postgres.h is the server that tests start.
$(BUILD)/obj/tests/unit/rabbitmq/%.o: EXTRA_CFLAGS += -iquote plugins/rabbitmq
$(RABBIT_TESTS): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(SUPPORT_OBJ) $(BUILD)/tests/bridge.a $(BUILD)/libidem.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(IDEM_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIB_LIBS) $(TEST_LIBS)

$(BUILD)/tests/bridge.a: $(filter-out %/main.o,$(BRIDGE_OBJ))
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$(filter-out $(PLUGIN_TESTS) $(RABBIT_TESTS),$(ALL_TESTS) $(STACK_TESTS)): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(SUPPORT_OBJ) $(BUILD)/libidem.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(IDEM_LDFLAGS) $(LDFLAGS) $(WRAP) -o $@ $^ $(LIB_LIBS) $(TEST_LIBS)

$(STAGE)/installed: $(PROGRAMS) $(wildcard common/include/idem/*.h) common/idem.pc.in
	@rm -rf $(@D)
	@$(MAKE) --no-print-directory -s install DESTDIR= PREFIX=$(STAGE) LIBDIR=$(STAGE)/lib
	@touch $@

$(RECEIVER): examples/receiver.c $(STAGE)/installed
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(WARNINGS) $(CFLAGS) $(LDFLAGS) $(if $(SANITIZER),-fsanitize=$(SANITIZER)) \
	  -Wl,-rpath,$(STAGE)/lib -o $@ $< \
	  $$(PKG_CONFIG_PATH=$(STAGE)/lib/pkgconfig pkg-config --cflags --libs idem librabbitmq)

# They find the rest by their own place: tests/library/test_X becomes $(BUILD)/tests/library/test_X.
$(BUILD)/tests/library/%: tests/library/%.sh $(RECEIVER)
	@install -D -m 755 $< $@

$(BUILD)/tests/library/%: tests/library/%.py $(STAGE)/installed
	@install -D -m 755 $< $@

# The documentation, tried with the programs that it speaks of. Readers run no sanitizer, and a broker that was
# built without one cannot load what was built with it.
DOCS_TESTS := $(patsubst tests/%.py,$(BUILD)/tests/%,$(filter-out $(if $(SANITIZER),%/test_docs.py), \
  $(wildcard tests/docs/test_*.py)))
$(BUILD)/tests/docs/%: tests/docs/%.py $(PROGRAMS)
	@install -D -m 755 $< $@

# The page, in a browser: the test, and what it imports beside it.
BROWSER_TESTS := $(patsubst tests/%.py,$(BUILD)/tests/%,$(wildcard tests/browser/test_*.py))
$(BUILD)/tests/browser/%: tests/browser/%.py $(wildcard tests/browser/*.py) $(BUILD)/idem-bridge
	@install -D -m 755 $< $@
	@install -m 644 $(filter-out tests/browser/test_%,$(wildcard tests/browser/*.py)) $(@D)

$(filter $(BUILD)/tests/integration/test_rabbitmq_%,$(ALL_TESTS)): | $(RECEIVER)

# Commands beside running programs, and in a terminal; the broker is not built with a sanitizer here either.
LIVE_TESTS := $(if $(SANITIZER),,$(patsubst tests/%.py,$(BUILD)/tests/%,$(wildcard tests/integration/test_*.py)))
$(BUILD)/tests/integration/%: tests/integration/%.py $(PROGRAMS)
	@install -D -m 755 $< $@

# The fault harness, and a bridge that ends itself at the point that IDEM_FAULT names: in a folder of its own.
FAULTS_SRC  := $(wildcard tests/faults/*.c)
FAULTS_TEST := $(BUILD)/tests/faults/test_faults
FAULTY_BRIDGE := $(BUILD)/faults/idem-bridge
$(BUILD)/obj/tests/faults/%.o: EXTRA_CFLAGS += -DFAULTY_BRIDGE='"$(abspath $(FAULTY_BRIDGE))"'
$(FAULTS_TEST): $(call object,$(FAULTS_SRC)) $(SUPPORT_OBJ) $(BUILD)/libidem.a | $(FAULTY_BRIDGE)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(IDEM_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIB_LIBS) $(TEST_LIBS)

$(BUILD)/faults/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(COMPILE) -DIDEM_FAULTS $(CFLAGS) -c -o $@ $<

$(FAULTY_BRIDGE): $(patsubst %.c,$(BUILD)/faults/obj/%.o,$(BRIDGE_SRC)) $(ASSETS_OBJ) $(BUILD)/libidem.a
	$(call say,LD)$(CC) -pie $(IDEM_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIB_LIBS) $(BRIDGE_LIBS)

##@ Testing
check: deps ## install what is missing, build, and run every test with real brokers
	@$(MAKE) --no-print-directory $(JOBS) all tests
	@$(if $(SANITIZER),,tests/valgrind.sh --quick)
	@tests/run.sh $(BUILD)

tests: $(ALL_TESTS) $(LIBRARY_TESTS) $(DOCS_TESTS) $(BROWSER_TESTS) $(LIVE_TESTS) $(FAULTS_TEST) $(FAULTY_BRIDGE)

unit: all $(UNIT_TESTS) $(CONTRACT_TESTS) $(LIBRARY_TESTS) ## the tests that need no server
	@tests/run.sh $(BUILD) unit contract library

asan: ## every test with the address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory check SANITIZER=address,undefined

tsan: ## units and stores with the thread sanitizer
	@$(MAKE) --no-print-directory $(JOBS) SANITIZER=thread units

units: all $(UNIT_TESTS) $(CONTRACT_TESTS)
	@tests/run.sh $(BUILD) unit contract

valgrind: ## a broker with the plugin under valgrind, traffic of every kind over it
	@tools/deps.sh build run test
	@$(MAKE) --no-print-directory $(JOBS) all
	@tests/valgrind.sh

check-debian13: ## the whole of make check in a Debian 13 chroot with newer brokers
	@tests/debian13.sh

docker-test: ## a whole stack, then integration tests, in containers, where a Docker engine can be had (ALL=1: every one)
	@tools/docker.sh test

docker-up: ## Mosquitto with the plugin, RabbitMQ with the bridge, and Redis in containers (PROFILE=monitoring: Prometheus, too)
	@tools/docker.sh up

docker-down: ## stop them; what they keep stays in volumes (a private engine goes with all of it)
	@tools/docker.sh down

faults-quick: ## kill bridges, brokers and stores in the middle of traffic (SEED= repeats, ONLY= chooses)
	@tools/deps.sh build run test
	@$(MAKE) --no-print-directory $(JOBS) $(FAULTS_TEST) $(FAULTY_BRIDGE)
	@V=1 tests/run.sh $(BUILD) faults

faults: ## the same for long: hundreds of kills, and the table of docs/reliability.md
	@tools/deps.sh build run test
	@$(MAKE) --no-print-directory $(JOBS) $(FAULTS_TEST) $(FAULTY_BRIDGE)
	@$(FAULTS_TEST) long

bench: ## measure: with the plugin beside the bare broker, in one run, as ratios
	@tools/deps.sh build run test
	@$(MAKE) --no-print-directory $(JOBS) all $(BENCH_PROGRAMS)
	@tests/bench/run.sh $(BUILD)

$(BUILD)/obj/tests/fuzz/fuzz_control.o: EXTRA_CFLAGS += -Iplugins/mosquitto
$(BUILD)/obj/tests/fuzz/fuzz_token.o: EXTRA_CFLAGS += -Iplugins/rabbitmq

fuzz: ## fuzz the parsers with libFuzzer (FUZZ_SECONDS=30 each)
	@tests/fuzz/run.sh

lint: ## formatting, static analysis, layering, headers that stand alone, scripts
	@tests/lint/run.sh

format: ## reformat the sources with clang-format
	@clang-format -i $$(git ls-files '*.c' '*.h')

BENCH_PROGRAMS := $(call test_program,$(wildcard tests/bench/bench_*.c))
BENCH_SUPPORT  := $(call object,$(filter-out $(wildcard tests/bench/bench_*.c),$(wildcard tests/bench/*.c)))
$(BENCH_PROGRAMS): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BENCH_SUPPORT) $(BUILD)/libidem.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(IDEM_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIB_LIBS) $(BRIDGE_LIBS)

# Their proxy, bridge and database are the tests'.
BENCH_WITH_SUPPORT := $(BUILD)/tests/bench/bench_park $(BUILD)/tests/bench/bench_postgres
$(BENCH_WITH_SUPPORT): $(SUPPORT_OBJ)
$(BENCH_WITH_SUPPORT): private LIB_LIBS := $(BUILD)/libidem.a $(LIB_LIBS) $(TEST_LIBS)

.PHONY: docker-test docker-up docker-down check tests unit units asan tsan valgrind check-debian13 faults-quick faults bench fuzz lint format
