# Every step of CI and of a release is a target here, so that a person can run it.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

.PHONY: demo test check bench crds lock clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

$(VENV)/.bootstrap: requirements/bootstrap.txt
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(VENV)/.sandbox: requirements/sandbox.txt pyproject.toml $(VENV)/.bootstrap
	@echo "Installing what the demo needs into $(VENV) …"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/sandbox.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml $(VENV)/.bootstrap
	@echo "Installing what the tests and checks need into $(VENV) …"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@ $(VENV)/.sandbox

demo: $(VENV)/.sandbox ## the whole product on this machine: no cluster, no Twilio account
	@$(BIN)/switchboard demo

test: $(VENV)/.dev ## every test; ARGS="--kubeconfig FILE" runs the cluster tests on another cluster
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: $(VENV)/.dev ## lint, types, import rules, generated files fresh
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/switchboard generate --check

format: $(VENV)/.dev ## mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

crds: $(VENV)/.sandbox ## write crds/*.yaml and all else that is generated from the models
	@$(BIN)/switchboard generate

$(VENV)/.bench: requirements/bench.txt pyproject.toml $(VENV)/.dev
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/bench.txt
	@touch $@

bench: $(VENV)/.bench ## the figures, as ratios of runs side by side
	@$(BIN)/python -m tests.bench

lock: $(VENV)/.bootstrap ## pin what pyproject.toml asks for, with hashes
	@$(LOCK) requirements/bootstrap.in -o requirements/bootstrap.txt
	@$(LOCK) pyproject.toml -o requirements/runtime.txt
	@$(LOCK) pyproject.toml --extra models --extra google --extra groq --extra mistral --constraint requirements/runtime.txt -o requirements/image.txt
	@$(LOCK) pyproject.toml --extra sandbox --constraint requirements/runtime.txt -o requirements/sandbox.txt
	@$(LOCK) pyproject.toml --extra dev --constraint requirements/sandbox.txt -o requirements/dev.txt
	@$(LOCK) pyproject.toml --extra bench --constraint requirements/dev.txt -o requirements/bench.txt

clean: ## remove all that was installed and built here
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
