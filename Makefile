# Karat's commands. CI calls the same ones (.ci/run).
#
# KARAT_CACHE       where set-up puts its tools, and the build its output (default ~/.cache/karat)
# CARGO_TARGET_DIR  shared by every clone, so that a fresh one compiles only Karat itself, not its dependencies
# ROUNDS, FUZZ, EXAMPLES   how long `make soak` goes on: rounds of kills, seconds a fuzz target, requests an operation
# ARGS              passed on by `make demo` and `make test`, e.g. make test ARGS="-p karat-features"

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export KARAT_CACHE ?= $(HOME)/.cache/karat
export CARGO_TARGET_DIR ?= $(KARAT_CACHE)/target
KARAT := $(abspath $(CARGO_TARGET_DIR))/debug/karat
# Set-up writes there what cargo has to be told: which cmake, which Python.
ENV := . "$(KARAT_CACHE)/env";

.PHONY: help
help: ## Print this list
	@printf 'Karat: tabular machine learning, from raw files to governed decisions.\n\n'
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

.PHONY: setup
setup: ## Install what a build needs and this machine lacks
	@scripts/setup

.PHONY: setup-tests
setup-tests: ## The same, and what tests need
	@scripts/setup tests

.PHONY: build
build: setup ## Build the karat binary (development profile: hot crates optimised)
	@$(ENV) cargo build -p karat
	@echo "built $(KARAT)"

.PHONY: demo
demo: build ## Credit risk, end to end on real data, in examples/credit-risk (ARGS="--once --yes" to run it unattended)
	@cd examples/credit-risk && $(KARAT) demo credit-risk $(ARGS)

.PHONY: test
test: setup-tests ## Run every test, the commands in the docs included
	@$(ENV) if command -v cargo-nextest >/dev/null; then \
	  cargo nextest run --workspace $(ARGS); \
	else \
	  cargo test --workspace $(ARGS); \
	fi

ROUNDS ?= 100
FUZZ ?= 300
EXAMPLES ?= 2000

.PHONY: soak
soak: setup-tests ## Fail on purpose for an hour or more: kills, full disks, torn logs, fuzzing, any request (ROUNDS=100)
	@$(ENV) export KARAT_SOAK_ROUNDS=$(ROUNDS) KARAT_FUZZ_SECONDS=$(FUZZ) KARAT_SCHEMATHESIS_EXAMPLES=$(EXAMPLES); \
	if command -v cargo-nextest >/dev/null; then \
	  cargo nextest run --workspace --profile soak -E 'test(/^(soak|fuzz)::/)' $(ARGS); \
	else \
	  cargo test --workspace --test it $(ARGS) -- --nocapture soak:: fuzz::; \
	fi

.PHONY: test-build
test-build: setup-tests ## Compile the tests without running them
	@$(ENV) if command -v cargo-nextest >/dev/null; then \
	  cargo nextest run --workspace --no-run; \
	else \
	  cargo test --workspace --no-run; \
	fi

.PHONY: lint
lint: setup-tests ## Check formatting, lints, the layering of crates, scripts; licences where cargo-deny is installed
	@$(ENV) cargo fmt --all --check
	@shellcheck --exclude=SC1091 scripts/setup scripts/release .ci/run bench/*/run # 1091: what they source is made on each machine
	@$(ENV) cargo fetch --quiet --locked # the next one asks about crates that nothing has compiled yet
	@$(ENV) cargo test --quiet -p karat-tidy
	@$(ENV) cargo clippy --workspace --all-targets -- -D warnings
	@$(ENV) if command -v cargo-deny >/dev/null; then cargo deny --workspace check bans licenses sources; \
	else echo "lint: cargo-deny is not installed, so licences were not checked"; fi

.PHONY: fmt
fmt: ## Format the code
	@$(ENV) cargo fmt --all

.PHONY: release
release: ## Build the binary to publish: counted on the example, then laid out by that (twenty minutes, twice)
	@scripts/release

.PHONY: doc
doc: setup ## Build the API documentation of our crates
	@$(ENV) RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

.PHONY: bench
bench: setup ## Run the benchmarks (release profile: compiles the dependencies once more)
	@$(ENV) cargo bench --workspace --bench '*'

.PHONY: clean
clean: ## Remove what was built (set-up's tools stay)
	@cargo clean
