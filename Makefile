# Every chore of the project. `make help` lists them.
#
#   PYTHON  the interpreter that the virtual environment is made of (3.11 or newer)
#   VENV    where that environment is; one for each interpreter: make test PYTHON=python3.13 VENV=.venv-3.13
#   PYTHONS the interpreters that `make wheels` builds for, by version or path
#   SAMPLE  how many mutants of Rust and of Python `make check` tries, and SEED which ones
#   ARGS    arguments for `make run`, `make test-python`, `make coverage`, `make sanitize`, `make bench`, `make bench-rust`,
#           `make reliability` and `make soak`

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
PYTHONS ?= 3.11 3.12 3.13
SAMPLE ?= 20
SEED ?= 0

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules

PY := $(VENV)/bin/python
WHEELS := target/wheels/$(notdir $(VENV))

# Stamp files: each stands for a step that is done, and is older than what would make the step due again.
MADE := $(VENV)/.made
MATURIN := $(VENV)/.maturin
TOOLS := $(VENV)/.tools
INSTALLED := $(VENV)/.installed
SPHINX := $(VENV)/.sphinx
PROGRAMS := $(VENV)/.programs

# The peers of the benchmark have an environment of their own, with the package in it.
PEERS := $(VENV)-peers
PEERS_INSTALLED := $(PEERS)/.installed
LOADGEN := benches/peers/loadgen

SOURCES := Cargo.toml pyproject.toml $(wildcard Cargo.lock README.md build.rs) \
	$(shell find src python -type f \( -name '*.rs' -o -name '*.py' -o -name '*.pyi' -o -name py.typed \) 2>/dev/null)

# Cargo must see the same interpreter each time, or it builds PyO3 anew; the binaries of tests and benches link to
# libpython where that is a shared library, and must find it. (LIBDIR of a static build is harmless.)
define CARGO_ENV
	export PYO3_PYTHON="$(abspath $(PY))"; \
	libdir="$$("$(PY)" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR") or "")')"; \
	export LD_LIBRARY_PATH="$$libdir$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH}"; \
	export DYLD_LIBRARY_PATH="$$libdir$${DYLD_LIBRARY_PATH:+:$$DYLD_LIBRARY_PATH}"
endef

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

# --- set-up -----------------------------------------------------------------------------------------------------------

$(MADE):
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		version="$$("$(PYTHON)" -V 2>/dev/null || echo 'not there')"; \
		echo "asynctcp needs Python 3.11 or newer; '$(PYTHON)' is $$version." >&2; \
		echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	"$(PYTHON)" -m venv --clear "$(VENV)"
	@touch $@

$(MATURIN): requirements-dev.txt $(MADE)
	"$(PY)" -m pip install --quiet --disable-pip-version-check --constraint requirements-dev.txt maturin
	@touch $@

$(TOOLS): requirements-dev.txt $(MADE)
	"$(PY)" -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

# A wheel, installed like any other: the package in the source tree has no native module and is never imported.
$(INSTALLED): $(SOURCES) $(MATURIN)
	@command -v cargo >/dev/null || { echo "cargo is not there: install Rust (rustup, or your system's package) first." >&2; exit 1; }
	rm -rf "$(WHEELS)"
	"$(PY)" -m maturin build --release --out "$(WHEELS)" --interpreter "$(abspath $(PY))"
	"$(PY)" -m pip install --quiet --disable-pip-version-check --compile --no-index --no-deps --force-reinstall "$(WHEELS)"/asynctcp-*.whl
	@touch $@

.PHONY: build
build: $(INSTALLED) ## builds the package (release) and installs it into the virtual environment

.PHONY: run
run: build ## serves an echo server from the installed package (ARGS="--help" lists its options)
	@exec "$(PY)" -m asynctcp echo $(ARGS)

# --- tests ------------------------------------------------------------------------------------------------------------

.PHONY: test
test: test-rust test-loom test-python ## runs all tests: Rust, loom models, Python

.PHONY: test-rust
test-rust: $(MADE) ## runs the Rust tests
	@$(CARGO_ENV); set -x; \
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --all-features; else timeout 1200 cargo test --all-features; fi

# A crate of its own, which takes the shipped source files with loom's types under them.
.PHONY: test-loom
test-loom: ## tries the interleavings of the loom models
	@cd tests/loom && export CARGO_TARGET_DIR="$(CURDIR)/target/loom"; set -x; \
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --release; else cargo test --release; fi

.PHONY: test-python
test-python: $(TOOLS) build ## runs the Python tests against the installed package (ARGS="-k name")
	"$(PY)" -m pytest $(ARGS)

$(PROGRAMS): tests/programs/requirements.txt $(MADE)
	"$(PY)" -m pip install --quiet --disable-pip-version-check --requirement tests/programs/requirements.txt
	@touch $@

.PHONY: programs
programs: $(PROGRAMS) ## installs what tests/programs runs on our asyncio loop: uvicorn, aiohttp, asyncpg, … (else they skip)

.PHONY: coverage
coverage: $(TOOLS) build ## runs the Python tests and reports lines and branches of python/asynctcp not covered
	"$(PY)" -m pytest --cov --cov-report=term-missing $(ARGS)

.PHONY: coverage-rust
coverage-rust: $(TOOLS) build ## shows how much of src/ the Rust and the Python tests run
	@$(CARGO_ENV); tools/coverage_rust.sh "$(PY)"

.PHONY: sanitize
sanitize: $(TOOLS) ## runs the Python tests with a module that AddressSanitizer watches (ARGS="tests/test_close.py -x")
	tools/sanitize.sh "$(PY)" $(ARGS)

.PHONY: mutants
mutants: $(TOOLS) build ## changes the Rust sources a bit at a time; tests must notice (ARGS="--sample 300 --seed 1")
	@cargo mutants --version >/dev/null 2>&1 || { echo "cargo-mutants is not there: cargo install --locked cargo-mutants" >&2; exit 1; }
	@cargo nextest --version >/dev/null 2>&1 || { echo "cargo-nextest is not there: cargo install --locked cargo-nextest" >&2; exit 1; }
	"$(PY)" tools/mutants.py $(ARGS)

.PHONY: mutants-python
mutants-python: $(TOOLS) build ## does the same to the Python package (ARGS="--sample 20 --seed 1", ARGS="--only _stream.py")
	"$(PY)" tools/python_mutants.py $(ARGS)

.PHONY: mutants-loom
mutants-loom: ## takes each re-check that the loom models are about out of the sources; they must notice (ARGS=queue.rs)
	tools/loom_mutations.sh "$(ARGS)"

.PHONY: acceptance
acceptance: $(TOOLS) build ## runs the examples at full size against real peers, some minutes (ARGS="wrk redis")
	"$(PY)" tools/acceptance.py $(ARGS)

# All of them, whatever the one before came to.
.PHONY: check
check: $(TOOLS) build ## checks the quality: samples of mutants, loom's, acceptance, reliability; an hour (SAMPLE=60 SEED=1)
	@failed=(); \
	try() { echo "--- make $$*"; $(MAKE) --no-print-directory "$$@" || failed+=("$$1"); }; \
	try mutants ARGS="--sample $(SAMPLE) --seed $(SEED)"; \
	try mutants-python ARGS="--sample $(SAMPLE) --seed $(SEED)"; \
	try mutants-loom ARGS=; \
	try acceptance ARGS=; \
	try reliability ARGS="--scale quick"; \
	if [ "$${#failed[@]}" -gt 0 ]; then echo "not as it should be: $${failed[*]}"; exit 1; fi

$(PEERS_INSTALLED): benches/peers/requirements.txt $(INSTALLED)
	test -x "$(PEERS)/bin/python" || "$(PYTHON)" -m venv "$(PEERS)"
	"$(PEERS)/bin/python" -m pip install --quiet --disable-pip-version-check --requirement benches/peers/requirements.txt
	"$(PEERS)/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall \
		"$(WHEELS)"/asynctcp-*.whl
	@touch $@

.PHONY: bench
bench: $(PEERS_INSTALLED) ## compares with asyncio, uvloop, … and writes docs/figures, an hour (ARGS=--quick: two minutes)
	cd "$(LOADGEN)" && CARGO_TARGET_DIR="$(CURDIR)/target/loadgen" cargo build --release --quiet --locked
	"$(PEERS)/bin/python" benches/peers/run.py $(ARGS)

.PHONY: bench-http
bench-http: $(PEERS_INSTALLED) ## lets wrk ask a small HTTP server on asynctcp and its peers (ARGS="--rounds 3")
	"$(PEERS)/bin/python" benches/http/run.py $(ARGS)

.PHONY: bench-rust
bench-rust: $(MADE) ## runs the Rust benchmarks (ARGS="name" for one of them)
	@$(CARGO_ENV); set -x; cargo bench -- $(ARGS)

.PHONY: reliability
reliability: $(TOOLS) build ## runs the figures of benches/faults, some minutes (ARGS="--scale quick", ARGS="emfile fork")
	"$(PY)" tools/reliability.py $(ARGS)

.PHONY: soak
soak: $(TOOLS) build ## a random mix of everything for a minute (ARGS="--seconds 600")
	"$(PY)" benches/faults/soak.py $(ARGS)

# --- what is published ------------------------------------------------------------------------------------------------

.PHONY: wheels
wheels: $(MATURIN) ## builds sdist and wheels into dist/ and tests each in a fresh environment (PYTHONS="3.12 3.13")
	"$(PY)" -m pip install --quiet --disable-pip-version-check ziglang~=0.16
	"$(PY)" tools/check_wheels.py --zig $(ARGS) $(PYTHONS)

.PHONY: check-release
check-release: $(MATURIN) docs ## says what stands against publishing dist/: version, tag, changelog, licences, metadata, docs
	"$(PY)" -m pip install --quiet --disable-pip-version-check twine~=6.2
	"$(PY)" tools/release.py check

# --- style ------------------------------------------------------------------------------------------------------------

.PHONY: lint
lint: lint-io lint-layers lint-errors lint-rust lint-python lint-types lint-stub lint-complete lint-workflows ## checks formatting, lints, types and stubs

.PHONY: lint-io
lint-io: ## checks that the I/O side knows no Python
	tools/check_io_side.sh

.PHONY: lint-layers
lint-layers: $(MADE) ## checks that there is no circle of imports, src/ has layers, and nothing in it is too long
	"$(PY)" tools/check_layers.py

.PHONY: lint-errors
lint-errors: $(MADE) ## checks that no error of the system becomes an exception without its errno
	@$(CARGO_ENV); set -x; tools/check_errors.sh

.PHONY: lint-rust
lint-rust: $(MADE) ## checks format and lints of the Rust code
	cargo fmt --check
	@$(CARGO_ENV); set -x; cargo clippy --all-targets --all-features -- -D warnings && cargo clippy -- -D warnings
	cd "$(LOADGEN)" && cargo fmt --check && CARGO_TARGET_DIR="$(CURDIR)/target/loadgen" cargo clippy --locked -- -D warnings

.PHONY: lint-python
lint-python: $(TOOLS) ## checks format and lints of the Python code
	"$(PY)" -m ruff format --check
	"$(PY)" -m ruff check

.PHONY: lint-types
lint-types: $(TOOLS) ## checks the types of the Python code
	"$(PY)" -m mypy --strict --exclude '^examples/aio/' python/asynctcp tests/typing examples

.PHONY: lint-stub
lint-stub: $(TOOLS) build ## compares the native module with its stub
	"$(PY)" -m mypy.stubtest --mypy-config-file pyproject.toml asynctcp._core

# It looks at the installed package, which it finds by the first python on the path.
.PHONY: lint-complete
lint-complete: $(TOOLS) build ## checks that every public name has a known type
	@report="$$(PATH="$(abspath $(VENV))/bin:$$PATH" basedpyright --verifytypes asynctcp)" || { echo "$$report" >&2; exit 1; }; \
	grep score <<<"$$report"

.PHONY: lint-workflows
lint-workflows: $(TOOLS) ## checks the workflow files for GitHub
	"$(VENV)/bin/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml
	"$(VENV)/bin/check-jsonschema" --builtin-schema vendor.dependabot .github/dependabot.yml

.PHONY: platforms
platforms: ## checks that the crate compiles for Windows, macOS and musl, by Debian's compiler (nothing is run)
	tools/check_platforms.sh

.PHONY: audit
audit: ## checks licenses, sources and advisories of the crates (cargo install cargo-deny; fetches the advisories)
	cargo deny check

.PHONY: licenses
licenses: ## writes THIRD_PARTY_LICENSES, the texts of all crates' licences (cargo install cargo-bundle-licenses)
	cargo bundle-licenses --format yaml --prefer MIT --output THIRD_PARTY_LICENSES

# --- documentation ----------------------------------------------------------------------------------------------------

$(SPHINX): docs/requirements.txt $(MADE)
	"$(PY)" -m pip install --quiet --disable-pip-version-check --requirement docs/requirements.txt
	@touch $@

# Everything anew each time, or a warning would be told once only. -P: no module of the source tree is found.
.PHONY: docs
docs: $(SPHINX) build ## builds the documentation site, target/docs/index.html; warnings are errors
	rm -rf target/docs
	"$(PY)" -P -m sphinx --fail-on-warning --keep-going --nitpicky --fresh-env --quiet --doctree-dir target/doctrees \
		$(ARGS) docs target/docs

.PHONY: fmt
fmt: $(TOOLS) ## formats all code, and mends what the linter can mend
	cargo fmt
	cargo fmt --manifest-path "$(LOADGEN)/Cargo.toml"
	"$(PY)" -m ruff check --fix
	"$(PY)" -m ruff format

.PHONY: clean
clean: ## removes all that was built, the virtual environment too
	rm -rf target tests/loom/target "$(VENV)" "$(PEERS)" dist htmlcov .coverage .coverage.* \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis
	find python tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
