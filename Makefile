# SPDX-License-Identifier: MIT
# A thin front of meson, the tools and the lab. `make build` leaves the program at build/danelaw.

PREFIX ?= /usr/local
DESTDIR ?=
# yes: also the names sendmail, mailq and newaliases
INSTALL_SENDMAIL ?= no
MESON ?= meson
NINJA ?= ninja
BUILD = build
ASAN = build-asan
FUZZ = build-fuzz
# Suites that need neither the lab nor much time: these run with the sanitizers too.
SUITES = --suite unit --suite table --suite scene --suite fuzz-corpus

all: build

deps:
	@tools/install-packages

build: $(BUILD)/build.ninja
	@$(NINJA) -C $(BUILD)

$(BUILD)/build.ninja:
	@$(MESON) setup --prefix $(PREFIX) $(BUILD)

$(ASAN)/build.ninja:
	@$(MESON) setup --buildtype debug -Db_sanitize=address,undefined $(ASAN)

test: deps build test-plain test-asan test-live

test-plain: build
	@tools/run-suites $(BUILD)

test-asan: $(ASAN)/build.ninja
	@$(NINJA) -C $(ASAN)
	@UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1 \
		tools/run-suites $(ASAN) $(SUITES)

# Exim and OpenSMTPD for the lab, unpacked and not installed; says so where they cannot be had.
peers:
	@tools/fetch-peers $(BUILD)/peers

test-live: build peers
	@BUILD=$(BUILD) tools/run-live

demo: deps build
	@lab/lab demo

# The relay's promise, at length: trouble under load, power cuts, system calls that fail; each part at most ten
# minutes.
torture: deps build
	@lab/lab run -- lab/torture.py
	@lab/lab run -- lab/powercut.py
	@lab/lab run -- lab/sweep.py
	@lab/lab run -- lab/shortage.py

torture-asan: build $(ASAN)/build.ninja
	@$(NINJA) -C $(ASAN)
	@DANELAW=$(CURDIR)/$(ASAN)/danelaw UBSAN_OPTIONS=print_stacktrace=1 lab/lab run -- lab/torture.py --short

# The relay against hostile clients, hosts, DNS and operators, with the sanitizers. SECONDS and SEED as wanted:
# `make fuzz-relay SECONDS=600 SEED=7`.
fuzz-relay: build $(ASAN)/build.ninja
	@$(NINJA) -C $(ASAN) danelaw
	@DANELAW=$(CURDIR)/$(ASAN)/danelaw UBSAN_OPTIONS=print_stacktrace=1 \
		lab/lab run -- test/live/fuzz_relay.py $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

# The relay for real destinations, with its store in the current folder; nothing outside of it is touched.
run: build
	@echo "SMTP on 127.0.0.1:2525, submission on 127.0.0.1:2587 (needs relay.certificate and relay.users); Ctrl-C ends"
	@$(BUILD)/danelaw -o relay.smtp=127.0.0.1:2525 -o relay.submission=127.0.0.1:2587 -o relay.user= \
		-o relay.store=danelaw-queue.db -o audit.store=danelaw-audit.db -o relay.control=danelaw-control relay

bench: deps build
	@bench/run

# As root: the relay beside Postfix, about three minutes.
bench-relay: deps build
	@bench/relay

fuzz: deps
	@[ -e $(FUZZ)/build.ninja ] || CC=clang $(MESON) setup -Dfuzz=true $(FUZZ)
	@$(NINJA) -C $(FUZZ)
	@test/fuzz/run.sh 60 $(FUZZ)

install: build
	@$(MESON) configure $(BUILD) --prefix $(PREFIX)
	@DESTDIR='$(DESTDIR)' $(MESON) install -C $(BUILD)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' INSTALL_SENDMAIL='$(INSTALL_SENDMAIL)' packaging/install

deb: build
	@packaging/make-deb $(BUILD)/deb $(BUILD)

test-deb: deb
	@packaging/test-deb $(BUILD)/deb

man: build
	@$(BUILD)/src/conf/options-man <man/danelaw.conf.5.in >man/danelaw.conf.5.new
	@mv man/danelaw.conf.5.new man/danelaw.conf.5

fmt:
	@find src include test bench tools -name '*.[ch]' 2>/dev/null | xargs clang-format -i

check: build
	@tools/check-all $(BUILD)

clean:
	@rm -rf $(BUILD) $(ASAN) $(FUZZ)

.PHONY: run all deps build test test-plain test-asan peers test-live demo torture torture-asan fuzz-relay bench bench-relay fuzz install deb test-deb man fmt check clean
