# GPUScout. Everything runs in .venv, made from the hashed lock files. Python 3.11 or newer is all that is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup services demo run test test-deep bench lint format lock pictures clean

help: ## Show the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock requirements-dev.lock pyproject.toml
	@scripts/make_venv "$(PYTHON)" "$(VENV)" requirements-dev.lock
	@touch $(STAMP)

$(VENV)/.runtime: requirements.lock pyproject.toml
	@test -e $(STAMP) || scripts/make_venv "$(PYTHON)" "$(VENV)" requirements.lock
	@touch $(VENV)/.runtime

setup: $(STAMP) services ## Make .venv with the program and its test tools; find or install what the tests need.

services: # PostgreSQL, Redis and Chromium for the tests; each missing one only skips its tests.
	@scripts/find_services

demo: $(VENV)/.runtime ## The whole product on a simulated market: no account, key or internet needed.
	@$(BIN)/gpuscout demo

run: $(VENV)/.runtime ## The product, with the settings of .env.
	@$(BIN)/gpuscout run

test: setup ## All tests but the long ones.
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not deep"

test-deep: setup ## The long ones: kill loops, large random runs, every browser width.
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m deep

bench: $(STAMP) ## The benchmarks, one JSON object a measurement.
	@$(BIN)/python -m benchmarks

lint: $(STAMP) ## ruff, types, import rules.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(STAMP) ## Format the code.
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

lock: $(STAMP) ## Resolve the lock files anew (hashes, no index addresses).
	@scripts/lock

pictures: setup ## Draw the pictures of the README and docs with the product itself.
	@$(BIN)/python docs/make_pictures.py
	@$(BIN)/python docs/make_mail_pictures.py
	@$(BIN)/python docs/make_demo_pictures.py
	@$(BIN)/python docs/make_history_pictures.py

clean: ## Remove what was made.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
