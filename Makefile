# The only makefile.  `make help` lists the targets.
#
# Layout: every .c below lib/ goes into libdatil.a; every program is one folder
# whose .c files are linked with it.  Adding a file needs no change here.
# Variants (sanitizers, clang) are the same rules with another build directory.

ifeq ($(origin CC),default)
CC := gcc
endif
B ?= build
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' '$1' '$2')

PREFIX ?= /usr/local
DESTDIR ?=
VERSION := $(shell cat VERSION)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
        -Wformat=2 -Wvla -Wimplicit-fallthrough -Wconversion -Wno-sign-conversion
ifneq ($(findstring clang,$(shell $(CC) --version 2>/dev/null)),clang)
WARN += -Wno-format-truncation
else
WARN += -Wno-unknown-warning-option -Wno-gnu-statement-expression
endif

ifeq ($(SAN),1)
MODE_C := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DARENA_DEBUG=1
MODE_L := -fsanitize=address,undefined
else ifeq ($(SAN),thread)
MODE_C := -O1 -fsanitize=thread
MODE_L := -fsanitize=thread
else ifeq ($(SAN),fuzz)
MODE_C := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DARENA_DEBUG=1
MODE_L := -fsanitize=fuzzer-no-link,address,undefined
else ifeq ($(SAN),coverage)
MODE_C := -O0 --coverage
MODE_L := --coverage
else
MODE_C := -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong
MODE_L :=
endif

PKGS := jansson libpq libcurl zlib libpcre2-8 libseccomp libcrypto libxxhash libzstd libzip libargon2 \
        ctpl gio-2.0 libdw libelf liblzma
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null | sed 's/-I/-isystem /g')
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lfcgi -lZydis -lmspack -lbz2 -lm -lpthread

ALL_CPPFLAGS := -D_GNU_SOURCE -DDATIL_VERSION='"$(VERSION)"' -I. -I$(B)/gen $(PKG_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS := -std=gnu17 -g -ffile-prefix-map=$(CURDIR)=. $(MODE_C) -fPIE $(WARN) -include lib/base/banned.h $(CFLAGS)
ALL_LDFLAGS := $(MODE_L) -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)

# What was built with other flags is built again.
FLAGS_NOW := $(strip $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS))
ifneq ($(strip $(file <$(B)/.flags)),$(FLAGS_NOW))
$(shell mkdir -p $(B))
$(file >$(B)/.flags,$(FLAGS_NOW))
endif

compile = $(Q)mkdir -p $(@D) && $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@
link = $(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(filter %.o %.a,$^) -o $@ $1 $(PKG_LIBS)

# Programs: name=folders
PROGRAMS := datil-collector=fcgi/collector datil-webapp=fcgi/webapp datil-symbols=fcgi/symbols datil-pings=fcgi/pings \
            datil-processor=processor datil-cron=cron datil=tools/datil \
            datil-stackwalk=tools/stackwalk datil-symreader=tools/symreader datil-symfetch=tools/symfetch crashsig=tools/crashsig datil-dump-syms=tools/dump-syms \
            datil-client-handler=client/handler crashme=client/examples

sources = $(sort $(wildcard $1/*.c $1/*/*.c $1/*/*/*.c))
objects = $(patsubst %.c,$(B)/obj/%.o,$1)

# Generated sources
# tools/gen/NAME.awk or .py; each output is one rule below.
GEN_C :=
GEN_H :=
-include tools/gen/rules.mk

LIB_SRC := $(call sources,lib)
LIB_OBJ := $(call objects,$(LIB_SRC)) $(patsubst $(B)/gen/%.c,$(B)/obj/gen/%.o,$(GEN_C))
LIB := $(B)/libdatil.a
CLIENT_SRC := $(wildcard client/*.c)
CLIENT_LIB := $(if $(CLIENT_SRC),$(B)/libdatil-client.a)

.DEFAULT_GOAL := all
.PHONY: all
all:

BINS :=
define program_rules
ifneq ($$(strip $$(call sources,$2)),)
OBJ_$1 := $$(call objects,$$(call sources,$2))
BINS += $(if $(wildcard $2/main.c $2/$1.c),$(B)/bin/$1)
# Everything but main.o, for the unit tests of the program's own files.
$(B)/prog/$(notdir $2).a: $$(filter-out %/main.o,$$(OBJ_$1))
	$$(Q)mkdir -p $$(@D) && rm -f $$@ && $$(AR) rcs $$@ $$^
$(B)/bin/$1: $$(OBJ_$1) $(if $(filter client/%,$2),$(CLIENT_LIB)) $(if $(filter client/examples,$2),,$(LIB))
	$$(call say,LINK,$$@)
	$$(call link,$$(LINK_$1))
endif
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rules,$(word 1,$(subst =, ,$p)),$(word 2,$(subst =, ,$p)))))
# The example must be debuggable by frame and line, as an application's release build is.
LINK_crashme := -rdynamic
# For __cxa_demangle.
LINK_datil-dump-syms := -lstdc++

all: $(BINS) $(CLIENT_LIB)

$(LIB): $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/libdatil-client.a: $(call objects,$(CLIENT_SRC))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/obj/%.o: %.c $(B)/.flags | $(GEN_H)
	$(call say,CC,$<)
	$(compile)

$(B)/obj/gen/%.o: $(B)/gen/%.c $(B)/.flags | $(GEN_H)
	$(call say,CC,$<)
	$(compile)

# Unit tests
# tests/unit/test_x.c links with the library; tests/unit/PROGRAM/test_x.c also with the
# files of that program (folder name: collector, webapp, processor, …).
UNIT_SRC := $(wildcard tests/unit/test_*.c) $(wildcard tests/unit/*/test_*.c)
UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/tests/%,$(UNIT_SRC))
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_REPLAY := $(patsubst tests/fuzz/fuzz_%.c,$(B)/tests/replay_%,$(FUZZ_SRC))
# Targets whose parser belongs to a program.
FUZZ_PROG_announcement := $(B)/prog/symbols.a
FUZZ_PROG_symbolicate := $(B)/prog/symbols.a
FUZZ_PROG_java := $(B)/prog/processor.a
FUZZ_PROG_memory_report := $(B)/prog/processor.a
FUZZ_PROG_telemetry_environment := $(B)/prog/processor.a
FUZZ_PROG_walk_output := $(B)/prog/processor.a
FUZZ_PROG_cfi := $(B)/prog/dump-syms.a
FUZZ_PROG_rustname := $(B)/prog/dump-syms.a
FUZZ_PROG_elf_image := $(B)/prog/dump-syms.a
FUZZ_PROG_native := $(B)/prog/dump-syms.a
FUZZ_PROG_container := $(B)/prog/dump-syms.a
FUZZ_LINK_elf_image := -lstdc++
FUZZ_LINK_native := -lstdc++
FUZZ_LINK_container := -lstdc++
FUZZ_PROG_elfid := $(B)/prog/handler.a
FUZZ_PROG_maps := $(B)/prog/handler.a
FUZZ_PROG_throttle := $(B)/prog/collector.a
FUZZ_PROG_annotations := $(B)/prog/handler.a

.SECONDEXPANSION:
$(B)/tests/%: $(B)/obj/tests/unit/%.o $$(addsuffix .a,$$(addprefix $(B)/prog/,$$(filter-out .,$$(subst /,,$$(dir $$*))))) $(CLIENT_LIB) $(LIB)
	$(call say,LINK,$@)
	$(call link,-lcmocka)

$(B)/tests/replay_%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/obj/tests/fuzz/replay.o $$(FUZZ_PROG_$$*) $(CLIENT_LIB) $(LIB)
	$(call say,LINK,$@)
	$(call link,$(FUZZ_LINK_$*))

.PHONY: tests-build unit
tests-build: all $(UNIT_BIN) $(FUZZ_REPLAY)

unit: tests-build
	$(Q)B=$(B) tests/run unit

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

# Other targets
PACKAGES = tools/run/install-packages

.PHONY: run up down deps test asan tsan fuzz lint docs bench coverage help
# `make run` and `make test` start on a bare Debian: packages first, then make again, so that
# pkg-config and the compiler are asked when they are there.
run: ; @$(PACKAGES) build run && $(MAKE) --no-print-directory -j2 all && exec tools/run/datilctl run $(RUN_OPTIONS)
up:  ; @$(PACKAGES) build run && $(MAKE) --no-print-directory -j2 all && tools/run/datilctl up $(RUN_OPTIONS)
down: ; @tools/run/datilctl down
deps: ; @$(PACKAGES) build run test lint

test:
	@$(PACKAGES) build run test
	@tools/run/node-modules
	@$(MAKE) --no-print-directory -j2 tests-build
	@B=$(B) tests/run all

asan:
	$(Q)$(MAKE) --no-print-directory B=build-asan SAN=1 unit
tsan:
	$(Q)$(MAKE) --no-print-directory B=build-tsan SAN=thread unit

# make fuzz T=mdmp SECONDS=60
fuzz:
	$(Q)$(MAKE) --no-print-directory B=build-fuzz SAN=fuzz CC=clang build-fuzz/fuzz_$(T)
	$(Q)mkdir -p build-fuzz/corpus-$(T) && build-fuzz/fuzz_$(T) -max_total_time=$(or $(SECONDS),60) \
	    -timeout=10 -rss_limit_mb=4096 -artifact_prefix=build-fuzz/ build-fuzz/corpus-$(T) tests/fuzz/corpus/$(T)

$(B)/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $$(FUZZ_PROG_$$*) $(CLIENT_LIB) $(LIB)
	$(call say,LINK,$@)
	$(call link,$(FUZZ_LINK_$*) -fsanitize=fuzzer)

lint:
	@$(PACKAGES) build lint
	@$(MAKE) --no-print-directory -j2 $(B)/bin/datil $(B)/bin/datil-webapp
	@B=$(B) tools/lint/run

# Benchmarks print numbers and ratios; nothing passes or fails by them.
BENCH_BIN := $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/*.c))
$(B)/bench/%: $(B)/obj/tests/bench/%.o $(LIB)
	$(call say,LINK,$@)
	$(call link,)
bench: all $(BENCH_BIN)
	$(Q)B=$(B) tests/bench/run $(BENCH)

# Pages that repeat what a program knows.
docs: $(B)/bin/datil $(B)/bin/datil-webapp $(B)/bin/datil-symbols
	$(Q)B=$(B) tools/gen/configuration-page > $(B)/configuration.md && mv $(B)/configuration.md docs/
	$(Q)B=$(B) tools/gen/metrics-page > $(B)/metrics.md && mv $(B)/metrics.md docs/
	$(Q)B=$(B) tools/gen/api-page > $(B)/api.md && mv $(B)/api.md docs/

coverage:
	$(Q)$(MAKE) --no-print-directory B=build-coverage SAN=coverage unit
	$(Q)tools/lint/coverage build-coverage

compile_commands.json:
	bear -- $(MAKE) B=build-bear tests-build

.PHONY: install dist
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include
	install -m 755 $(BINS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(CLIENT_LIB) $(DESTDIR)$(PREFIX)/lib
	install -m 644 client/datil_client.h $(DESTDIR)$(PREFIX)/include
	install -d $(DESTDIR)$(PREFIX)/share/datil
	cp -r templates static migrations nginx $(DESTDIR)$(PREFIX)/share/datil
	install -m 644 docs/operations.md docs/metrics.md $(DESTDIR)$(PREFIX)/share/datil
	cp -r docs/monitoring $(DESTDIR)$(PREFIX)/share/datil
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -d $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	install -m 644 tools/units/datil.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/datil.conf
	install -m 644 tools/units/datil.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/datil.conf
	sed 's|@PREFIX@|$(PREFIX)|g' 'tools/units/datil@.service' >'$(DESTDIR)$(PREFIX)/lib/systemd/system/datil@.service'

dist:
	mkdir -p dist && git archive --prefix=datil-$(VERSION)/ -o dist/datil-$(VERSION).tar.gz HEAD

help:
	@echo 'make            build everything into build/bin'
	@echo 'make run        install what is missing, build, start a complete Datil on http://127.0.0.1:8080'
	@echo '                (DATIL_VAR, DATIL_PORT, DATIL_BIND say where); Ctrl-C stops it'
	@echo 'make up, down   the same in the background'
	@echo 'make test       every test; make unit: the quick part without services'
	@echo 'make asan       unit tests with Address and UB sanitizers; make tsan: with threads'
	@echo 'make fuzz T=x SECONDS=60; make lint (DEEP=1: slower, looks further); make format; make format-check; make bench; make coverage; make docs'
	@echo 'make install DESTDIR= PREFIX=/usr/local; make dist; make clean'

.PHONY: clean format format-check
C_FILES = $(shell git ls-files '*.c' '*.h')
format:
	$(Q)clang-format -i $(C_FILES)
format-check:
	$(Q)clang-format --dry-run -Werror $(C_FILES)

clean:
	rm -rf build build-*
.SECONDARY:
