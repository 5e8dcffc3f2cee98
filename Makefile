# Every step of CI and of a release is a target here, so that a person can run it.
PYTHON ?= python3.11
SEED ?= 1
# Half of the tests' time is waiting: two a core.
WORKERS ?= 4
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
IMAGE ?= ghcr.io/switchboard-dev/switchboard
CHARTS ?= oci://ghcr.io/switchboard-dev/charts
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# The tests and the demo start hundreds of Python processes: each would compile what it imports anew.
export PYTHONDONTWRITEBYTECODE :=
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

.PHONY: demo test test-hostile check format bench crds lock e2e image chart wheel publish-image publish-chart clean
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
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --reruns 2 -rR $(ARGS)

test-hostile: $(VENV)/.dev ## the tests on clusters, on clusters at their worst; SEED=N makes the same choices again
	@$(BIN)/python -m pytest -n 2 --dist worksteal --hostile $(SEED) --timeout 300 --ignore tests/integration/demo \
		--ignore tests/integration/engines tests/integration $(ARGS)

check: $(VENV)/.dev ## lint, types, import rules, generated files fresh
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/switchboard generate --check
	@$(BIN)/hadolint Dockerfile tests/e2e/Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	@$(BIN)/zizmor --offline --no-progress --quiet .github

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

e2e: $(VENV)/.sandbox ## the chart on a real cluster (kind); ARGS="--kubernetes v1.37.0" or "--kubeconfig FILE …"
	@$(BIN)/python tests/e2e/run.py $(ARGS)

image: ## build the image of both processes
	@docker build --tag $(IMAGE):$(VERSION) .

chart: $(VENV)/.dev ## package the chart into dist/
	@mkdir -p dist
	@$(BIN)/python -c 'import helm_python; print(helm_python.package("charts/switchboard", destination="dist"))'

wheel: $(VENV)/.bootstrap ## build the Python package into dist/
	@$(UV) build --quiet --wheel --sdist --out-dir dist

publish-image: ## build for all platforms with SBOM and provenance, push, and sign by digest
	@mkdir -p dist
	@docker buildx build --platform linux/amd64,linux/arm64 --sbom=true --provenance=mode=max --push \
		--metadata-file dist/image.json --tag $(IMAGE):$(VERSION) .
	@cosign sign --yes $(IMAGE)@$$(sed -n 's/.*"containerimage.digest": "\([^"]*\)".*/\1/p' dist/image.json)

publish-chart: chart ## push the packaged chart, and sign it by digest
	@helm push dist/switchboard-$(VERSION).tgz $(CHARTS) 2>&1 | tee dist/chart.txt
	@cosign sign --yes $(CHARTS:oci://%=%)/switchboard@$$(sed -n 's/^Digest: //p' dist/chart.txt)

lock: $(VENV)/.bootstrap ## pin what pyproject.toml asks for, with hashes
	@$(LOCK) requirements/bootstrap.in -o requirements/bootstrap.txt
	@$(LOCK) pyproject.toml -o requirements/runtime.txt
	@$(LOCK) pyproject.toml --extra models --extra google --extra groq --extra mistral --extra otel --constraint requirements/runtime.txt -o requirements/image.txt
	@$(LOCK) pyproject.toml --extra sandbox --constraint requirements/runtime.txt -o requirements/sandbox.txt
	@$(LOCK) pyproject.toml --extra dev --constraint requirements/sandbox.txt -o requirements/dev.txt
	@$(LOCK) pyproject.toml --extra bench --constraint requirements/dev.txt -o requirements/bench.txt

clean: ## remove all that was installed and built here
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
