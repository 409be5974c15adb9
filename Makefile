# The commands of this project. `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help run test test-live test-verifiers bench check fuzz db-reset

# What `make fuzz` runs, and for how many seconds.
TARGET ?=
SECONDS ?= 60

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: ## build and start the server with a database of its own (ARGS="--flags" for `passmint serve`)
	@scripts/run $(ARGS)

test: ## format, lints and all tests that need no third-party programs (ARGS go to `cargo test`)
	@scripts/test $(ARGS)

test-live: ## the tests with third-party programs: Firebase emulator, browser libraries, nginx, Caddy and Traefik, the bridges' targets
	@scripts/need live
	@if [ -e target/tools/env.sh ]; then . target/tools/env.sh; fi; exec tests/live/run $(ARGS)

test-verifiers: ## by hand: build the token checks of Kubernetes, Vault, MinIO, Kafka and Trino and run them on our tokens (ARGS=go or java)
	@scripts/need verifiers
	@if [ -e target/tools/env.sh ]; then . target/tools/env.sh; fi; exec tests/verifiers/run $(ARGS)

bench: ## measure real sign-ins under load (ARGS go to the load generator)
	@scripts/need run
	@if [ -e target/tools/env.sh ]; then . target/tools/env.sh; fi; exec cargo bench --locked --bench load -- $(ARGS)

check: ## format, lints and documentation, without running anything
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

fuzz: ## feed a parser random input (TARGET=name SECONDS=60; needs cargo-fuzz and a nightly toolchain)
	@test -n "$(TARGET)" || { echo "make fuzz TARGET=…, one of:"; ls fuzz/fuzz_targets; exit 1; }
	cargo +nightly fuzz run $(TARGET) -- -max_total_time=$(SECONDS)

db-reset: ## remove this checkout's private database (asks first; CONFIRM=1 to not be asked)
	@scripts/db-reset
