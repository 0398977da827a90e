# `make` alone lists the targets. Everything runs in .venv, which `make setup` builds from the lock file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.millicent-installed
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## build .venv from requirements.lock (hashes checked)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Millicent needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP) ## a month of network records becomes bills: the main job, on one machine
	$(BIN)/millicent demo

test: $(STAMP) ## the test suite (real PostgreSQL from the wheel, no network)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(STAMP) ## ruff, mypy strict, import contracts
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(STAMP) ## measure rating, mediation and billing; writes docs/benchmarks.md
	$(BIN)/millicent bench all --page docs/benchmarks.md

soak: $(STAMP) ## the long loops: kill, fuzz, property tests with many more examples
	$(BIN)/python -m pytest -m slow -n 2

docs: $(STAMP) ## regenerate the reference pages from the code
	$(BIN)/millicent docs --out docs/reference

lock: ## refresh requirements.lock (needs uv)
	uv pip compile pyproject.toml --group dev --generate-hashes --universal --python-version 3.11 --no-header --emit-build-options -o requirements.lock

.PHONY: help setup demo test check bench soak docs lock
