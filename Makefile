# Everything a developer types. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
BIN := .venv/bin
FILE ?=
MONITORING ?=
URL ?=
ROWS ?=
ONLY ?=
PARTS ?=
# Of the soak (30), and of each fuzzed target (10).
MINUTES ?=
# More of what the load takes: --jobs, --files, --uploads, --rate
SIZE ?=
# Another index where pip is to look for torch: the package index has it with CUDA, in gigabytes. docs/images.md
TORCH_INDEX ?=

# Where bytecode is not to be written, each of a test run's thousand processes would compile everything again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo up test model test-n8n test-languages check fmt lock bench bench-media load chaos review sbom fuzz audit clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 13

setup: .venv/.ready .cache/.ready ## the virtual environment, pinned dependencies, model and demo recording

.venv/.ready: requirements-dev.txt workers/fit_torchaudio.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=…")'
	@echo "setting up .venv (pinned, 2.2 GB of disk) …" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt \
	  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) >&2
	@$(BIN)/python -m workers.fit_torchaudio
	@touch $@

.cache/.ready: .venv/.ready local/assets.py local/demo_video.py $(wildcard workers/weights/*.py)
	@echo "fetching the models and the demo's recording (137 MB to download) …" >&2
	@$(BIN)/python -m local.assets >&2
	@touch $@

.cache/prometheus/.ready: .venv/.ready local/prometheus_tools.py
	@echo "fetching Prometheus and Alertmanager (Debian's packages, unpacked into .cache) …" >&2
	@$(BIN)/python -m local.prometheus_tools >&2 && mkdir -p $(@D) && touch $@ \
	  || echo "not to be had here: the tests of the alert rules will be skipped" >&2

demo: setup ## the main job, end to end: bucket, function, queue, worker, transcript and pictures (FILE=path takes any file)
	@$(BIN)/python -m local demo $(if $(FILE),"$(FILE)")

up: setup $(if $(MONITORING),.cache/prometheus/.ready) ## keep a local cloud running (MONITORING=1: with Prometheus and Alertmanager)
	@$(BIN)/python -m local up $(if $(MONITORING),--monitoring)

test: setup .cache/prometheus/.ready ## all tests, against real emulators and real media
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-n8n: setup ## the n8n workflows in a real n8n (installs it into .cache: 1.8 GB, some minutes)
	@$(BIN)/python -m tests.n8n.install
	@$(BIN)/python -m pytest -m n8n tests/n8n

test-languages: setup ## detection and translation with a model of many languages (fetches it into .cache: 145 MB; wants espeak-ng)
	@$(BIN)/python -m tests.languages.install
	@$(BIN)/python -m pytest -m languages tests/languages

model: setup ## every schedule of submitters, workers, sweeps, cancels and redrives keeps every promise (ONLY=text: some)
	@$(BIN)/python -m tests.model $(if $(ONLY),--only "$(ONLY)")

check: setup ## ruff, mypy --strict, the wiring tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict main.py functions workers shared local hubctl bench deploy monitoring
	$(BIN)/python -m pytest -q tests/wiring

fmt: setup ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## measure; results go to build/bench/*.json
	@OMP_WAIT_POLICY=passive $(BIN)/python -m bench

bench-media: setup ## measure the media engine alone (ROWS="silence bytes" some rows only)
	@$(BIN)/python -m bench media $(addprefix --only ,$(ROWS))

load: setup .cache/prometheus/.ready ## much at once, and a soak (PARTS="small gke" some of it, MINUTES=30 of the soak); report and plots
	@OMP_WAIT_POLICY=passive $(BIN)/python -m bench.load $(PARTS) --minutes $(or $(MINUTES),30) $(SIZE)

chaos: setup ## every fault put in on purpose, then 200 random schedules of them: which promises were kept
	@OMP_WAIT_POLICY=passive $(BIN)/python -m tests.chaos

review: setup ## the last week as a page with plots, in build/review/ (URL=… of a Prometheus-compatible API)
	@$(BIN)/python -m monitoring.review --url "$(URL)"

COMPILE := uv pip compile --quiet --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11
# A list must not say which build of torch uv has found: the same pins make an image with CUDA and one without.
ANY_TORCH := sed -E -i 's/^(torch==[^+]+)[+].*/\1/'
lock: ## compile the pinned requirements (needs uv, and torch's CPU build by UV_FIND_LINKS or UV_TORCH_BACKEND=cpu)
	$(COMPILE) requirements.in -o requirements.txt
	for folder in workers/cpu workers/gpu deploy; do \
	  up=$$(echo $$folder | sed 's,[^/]*,..,g'); \
	  { echo "-r $$up/requirements.txt"; $(COMPILE) $$folder/requirements.in; } > $$folder/requirements.tmp; \
	  $(ANY_TORCH) $$folder/requirements.tmp; \
	  mv $$folder/requirements.tmp $$folder/requirements.txt; \
	done
	sed -i '/^torch==/d' requirements-dev.txt # or uv would keep to the build with CUDA, which the pin names, too
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	$(ANY_TORCH) requirements-dev.txt

SBOM_DIR := build/sbom
# Pinned lines alone: the tool reads no constraints and no comments.
PINS := sed -nE 's/^([A-Za-z0-9._-]+(\[[^]]*\])?==[^ ;]+).*/\1/p'
# What comes out is checked by a test: the tool's own check loads for four seconds, each time.
SBOM := $(BIN)/cyclonedx-py requirements --spec-version 1.5 --output-reproducible --no-validate
sbom: setup ## what functions and workers' images are made of, as CycloneDX, in build/sbom/
	@mkdir -p $(SBOM_DIR)
	@$(PINS) requirements.txt | $(SBOM) --output-file $(SBOM_DIR)/functions.cdx.json -
	@for worker in cpu gpu; do \
	  $(PINS) requirements.txt workers/$$worker/requirements.txt | sort --unique | \
	    $(SBOM) --output-file $(SBOM_DIR)/$$worker-worker.cdx.json -; \
	done

fuzz: setup ## fuzz the classifier, then the parsers of what comes in, for MINUTES=10 each (one process, lowest priority)
	@for target in classifier parsers; do nice -n 19 $(BIN)/python -m tests.fuzz $$target --minutes $(or $(MINUTES),10); done

AUDIT := .cache/audit/bin/pip-audit
# deploy/ and the workers name the functions' list themselves, without its pins.
LISTS ?= requirements.txt workers/cpu/requirements.txt workers/gpu/requirements.txt deploy/requirements.txt requirements-dev.txt
audit: ## known vulnerabilities of every pin, as PyPI tells them; fails, too, where it tells of none of a pin
	@test -x $(AUDIT) || { $(PYTHON) -m venv .cache/audit && .cache/audit/bin/pip install --quiet pip-audit==2.10.1; }
	@mkdir -p build && $(PINS) $(LISTS) | sort --unique > build/pins.txt
	@$(AUDIT) --strict --no-deps --disable-pip --requirement build/pins.txt

clean: ## remove what setup, demo and tests have made
	rm -rf .venv .cache build .mypy_cache .ruff_cache .pytest_cache
