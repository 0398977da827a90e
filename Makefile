# `make` alone lists the targets. Everything runs in .venv, which `make setup` builds from the lock file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.millicent-installed
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install --root-user-action=ignore
WORKERS ?= 2
INPUTS ?= 10000000
SEED ?= 1
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## build .venv from requirements.lock (hashes checked)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] < (3, 14) else "Millicent needs Python 3.11, 3.12 or 3.13; set PYTHON=/path/to/python3.11")'
	@echo "building $(VENV) from requirements.lock (once; a minute or two) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP) ## a month of network records becomes bills: the main job, on one machine
	@$(BIN)/millicent demo

test: $(STAMP) ## the test suite (real PostgreSQL from the wheel, no network)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow and not distant" --ignore tests/peers

test-external: $(STAMP) ## the same suite on your PostgreSQL: MILLICENT_TEST_DATABASE_URL=postgresql://admin@...
	@test -n "$$MILLICENT_TEST_DATABASE_URL" || { echo "set MILLICENT_TEST_DATABASE_URL to an administrator's URL"; exit 2; }
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow and not distant" --ignore tests/peers

test-distant: $(STAMP) ## sources and the lake on real S3 and SFTP servers, started here (needs Debian's openssh-server)
	@$(BIN)/python -c 'import moto.server, s3fs, paramiko' 2>/dev/null || { echo "first: $(PIP) -e '.[s3,sftp]' 'moto[server]>=5.1'"; exit 2; }
	$(BIN)/python -m pytest -m distant tests/distant

peers: $(STAMP) ## programs of others against our doors (CONTRIBUTING.md says which packages)
	$(BIN)/python -m pytest -ra tests/peers

check: $(STAMP) ## ruff, mypy strict, import contracts, tidiness and documentation tests
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/architecture

bench: $(STAMP) ## measure rating, mediation, billing and charging; writes docs/benchmarks.md
	$(BIN)/millicent bench all --page docs/benchmarks.md

soak: $(STAMP) ## the long loops: kill, fuzz, property tests with many more examples
	$(BIN)/python -m pytest -m slow -n $(WORKERS)

fuzz: $(STAMP) ## spoilt messages to every decoder: INPUTS=10000000 SEED=1
	$(BIN)/python -m tests.fuzz --inputs $(INPUTS) --seed $(SEED)

simulate: $(STAMP) ## a year of a thousand subscribers with faults: SEED=1
	$(BIN)/python -m tests.charging.simulator --seed $(SEED)

docs: $(STAMP) ## regenerate the reference pages from the code
	$(BIN)/millicent docs --out docs/reference

lock: ## refresh requirements.lock (needs uv)
	uv pip compile pyproject.toml --group dev --generate-hashes --universal --python-version 3.11 --no-header --emit-build-options -o requirements.lock

.PHONY: help setup demo test test-external test-distant check bench soak fuzz simulate peers docs lock
