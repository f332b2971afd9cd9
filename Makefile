# SPDX-License-Identifier: MIT
# Idem: idempotent receivers for Mosquitto and RabbitMQ. `make help` lists the targets.

# CC, CFLAGS and LDFLAGS are the user's; CC=clang works.
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
DESTDIR ?=
WERROR  ?= 1
PORT    ?= 1883
CONFIG  :=
# SANITIZER=address | undefined | thread | address,undefined: builds into a folder of its own.
SANITIZER ?=

# V=1 shows the commands.
say = $(if $(V),,@printf '  %-3s %s\n' $(1) $@; )
JOBS := -j$(shell nproc 2>/dev/null || echo 1)

comma := ,
BUILD := build$(if $(SANITIZER),/$(subst $(comma),-,$(SANITIZER)))

VERSION := $(shell sed -n 's/^.define IDEM_VERSION *"\(.*\)"/\1/p' common/include/idem/version.h)
# Rises when a program that was built with an older libidem.so would not work with this one any more:
# docs/guide/library.md says what is promised. common/libidem.map has it, too.
ABI := 0
SONAME := libidem.so.$(ABI)

PACKAGES := lmdb libsodium json-c yaml-0.1 hiredis
# TLS to Redis, where OpenSSL is there; without it rediss:// is refused. OPENSSL= leaves it out.
OPENSSL := $(shell pkg-config --exists openssl 2>/dev/null && echo openssl)
PACKAGES += $(OPENSSL)
LIB_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null) $(if $(OPENSSL),-DIDEM_HAVE_OPENSSL)
LIB_LIBS   := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)
BRIDGE_PACKAGES := librabbitmq libevent_core libevent_extra libpq
BRIDGE_LIBS := $(shell pkg-config --libs $(BRIDGE_PACKAGES) 2>/dev/null)
LIB_CFLAGS  += $(shell pkg-config --cflags $(BRIDGE_PACKAGES) 2>/dev/null)

CTL_PACKAGES := ncursesw libevent_core libevent_extra
CTL_LIBS := $(shell pkg-config --libs $(CTL_PACKAGES) 2>/dev/null) -lmosquitto

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wswitch-enum -Wvla -Wformat=2 -Wundef -Wwrite-strings \
            $(if $(filter 1,$(WERROR)),-Werror)
HARDENING := -fstack-protector-strong -fPIC \
             $(if $(SANITIZER),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
OPTIMISE := $(if $(SANITIZER),-O1 -fno-omit-frame-pointer,-O2)

IDEM_CFLAGS := -std=c11 -D_POSIX_C_SOURCE=200809L -g $(OPTIMISE) $(WARNINGS) $(HARDENING) \
               -fvisibility=hidden -pthread -Icommon/include -Icommon $(LIB_CFLAGS) \
               $(if $(SANITIZER),-fsanitize=$(SANITIZER)) -MMD -MP
COMPILE := $(CC) $(IDEM_CFLAGS)
IDEM_LDFLAGS := -pthread -Wl,-z,relro,-z,now $(if $(SANITIZER),-fsanitize=$(SANITIZER))

COMMON_SRC := $(wildcard common/*/*.c common/*/*/*.c)
PLUGIN_SRC := $(wildcard plugins/mosquitto/*.c)
BRIDGE_SRC := $(wildcard plugins/rabbitmq/*.c plugins/rabbitmq/*/*.c)
CTL_SRC    := $(wildcard tools/idemctl/*.c)

object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
# The page that the bridge serves, and the library that draws its charts: Debian's, or another of version 3.
PAGE      := plugins/rabbitmq/http/page
CHART_JS  ?= /usr/share/javascript/chart.js/chart.min.js
ASSETS    := /=$(PAGE)/index.html /page.css=$(PAGE)/page.css /page.js=$(PAGE)/page.js \
             /icon.svg=$(PAGE)/icon.svg /licences.txt=$(PAGE)/licences.txt /chart.js=$(CHART_JS)
ASSETS_OBJ := $(BUILD)/obj/assets.o

COMMON_OBJ := $(call object,$(COMMON_SRC))
PLUGIN_OBJ := $(call object,$(PLUGIN_SRC))
BRIDGE_OBJ := $(call object,$(BRIDGE_SRC)) $(ASSETS_OBJ)
CTL_OBJ    := $(call object,$(CTL_SRC))

PROGRAMS := $(BUILD)/libidem.a $(BUILD)/libidem.so $(BUILD)/mosquitto_idem.so \
            $(BUILD)/idem-bridge $(BUILD)/idemctl

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

##@ Building
all: $(PROGRAMS) ## build everything into build/ (the default)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(COMPILE) $(EXTRA_CFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/assets.c: tools/embed.sh $(wildcard $(PAGE)/*) $(CHART_JS)
	@mkdir -p $(@D)
	$(call say,JS)tools/embed.sh $(ASSETS) >$@

$(ASSETS_OBJ): $(BUILD)/assets.c plugins/rabbitmq/http/assets.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(COMPILE) -Iplugins/rabbitmq/http $(CFLAGS) -c -o $@ $<

# Touched only when the compiler or its flags are others than last time: then all is made again.
$(BUILD)/flags: always
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(CFLAGS)' | cmp -s - $@ || echo '$(COMPILE) $(CFLAGS)' >$@

$(BUILD)/libidem.a: $(COMMON_OBJ)
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$(BUILD)/libidem.so: $(COMMON_OBJ) common/libidem.map
	$(call say,LD)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=common/libidem.map \
	  $(IDEM_LDFLAGS) $(LDFLAGS) -o $@ $(COMMON_OBJ) $(LIB_LIBS)

# The library's symbols stay inside the plugin: the broker has a name space of its own.
$(BUILD)/mosquitto_idem.so: $(PLUGIN_OBJ) $(BUILD)/libidem.a
	$(call say,LD)$(CC) -shared -Wl,--exclude-libs,ALL $(IDEM_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIB_LIBS) -lmosquitto

$(BUILD)/idem-bridge: $(BRIDGE_OBJ) $(BUILD)/libidem.a
	$(call say,LD)$(CC) -pie $(IDEM_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIB_LIBS) $(BRIDGE_LIBS)

$(BUILD)/idemctl: $(CTL_OBJ) $(BUILD)/libidem.a
	$(call say,LD)$(CC) -pie $(IDEM_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIB_LIBS) $(CTL_LIBS)

include tests/tests.mk

deps: ## install the Debian packages that building and testing need
	@tools/deps.sh

##@ Trying
run: ## start a private Mosquitto with the plugin on 127.0.0.1:1883 (PORT= for another; CONFIG=FILE for your own rules)
	@tools/deps.sh build run
	@$(MAKE) --no-print-directory $(JOBS) all
	@PORT=$(PORT) CONFIG='$(CONFIG)' tools/run.sh

demo: ## the whole story by itself, both brokers: duplicates in, one copy of each out, in a table
	@tools/deps.sh build run demo
	@$(MAKE) --no-print-directory $(JOBS) all
	@tools/demo.sh

##@ Installing
install: all ## install into $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBDIR)/idem $(DESTDIR)$(LIBDIR)/pkgconfig \
	  $(DESTDIR)$(PREFIX)/include/idem $(DESTDIR)$(PREFIX)/share/doc/idem/examples
	install -m 755 $(BUILD)/idem-bridge $(BUILD)/idemctl $(DESTDIR)$(PREFIX)/bin/
	install -m 644 $(BUILD)/mosquitto_idem.so $(DESTDIR)$(LIBDIR)/idem/
	install -m 644 $(BUILD)/libidem.a $(DESTDIR)$(LIBDIR)/
	install -m 755 $(BUILD)/libidem.so $(DESTDIR)$(LIBDIR)/libidem.so.$(VERSION)
	ln -sf libidem.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libidem.so
	install -m 644 common/include/idem/*.h $(DESTDIR)$(PREFIX)/include/idem/
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|; s|@VERSION@|$(VERSION)|; s|@PACKAGES@|$(PACKAGES)|' \
	  common/idem.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/idem.pc
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man3
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 docs/man/*.3 $(DESTDIR)$(PREFIX)/share/man/man3/
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 644 packaging/completion/idemctl $(DESTDIR)$(PREFIX)/share/bash-completion/completions/
	install -m 644 README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/idem/
	install -m 644 examples/*.yaml examples/*.conf examples/*.c $(DESTDIR)$(PREFIX)/share/doc/idem/examples/

deb: ## Debian packages into build/deb: idem, idem-mosquitto, idem-bridge, libidem0, libidem-dev
	@packaging/deb.sh

deb-test: deb ## install, upgrade, remove and purge them in a chroot; needs root
	@packaging/deb-test.sh

clean: ## remove build/
	@[ ! -e build/docker/host ] || tools/docker.sh down
	rm -rf build

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: all always deps run demo install deb deb-test clean help

-include $(shell find build \( -path build/deb -o -path build/docker \) -prune -o -name '*.d' -type f -print 2>/dev/null)
