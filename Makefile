# Everything a user types. `make help` lists it; SCALE, SEEDS, WORKERS and ARGS pass through to mta-lab.
PYTHON ?= python3
SCALE ?= nano
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
READY := $(VENV)/.ready
DEVELOPER := $(VENV)/.developer
REAL := $(VENV)/.real
TOOLS := .venv-tools
NEWEST := .venv-newest
PIP := -m pip install --quiet --disable-pip-version-check
OPTIONS = --scale $(SCALE) $(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

# No file of this folder runs in the place of pip or of Python's own.
export PYTHONSAFEPATH = 1

.DEFAULT_GOAL := help
.PHONY: help setup test test-slow test-real test-asan lint docs lock newest audit dashboard bench clean

help: ## list the targets
	@grep -hE '^[a-z%][a-zA-Z_%-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([^:]+):.*## /\1|/' | \
	awk -F'|' '{printf "  make %-16s %s\n", $$1, $$2}'
	@echo "  sweeps:" $(subst _,-,$(filter-out paper,$(basename $(notdir $(wildcard sweeps/*.yaml)))))

setup: $(READY) ## create .venv with the locked dependencies and the fused kernel (every target does this when needed)

$(READY): $(INSTALLED) $(wildcard components/kernels/cpu/csrc/*)
	@$(BIN)/mta-lab build-kernel || echo "going on without the fused kernel: slower, with the same results up to rounding" >&2
	@touch $@

# Everything by hash but torch, which indexes serve in several builds of one version (for CPUs, for CUDA): it comes last, so
# that what it needs besides CUDA's libraries is there, checked. `--no-deps`: nothing that the lock does not list comes in.
$(INSTALLED): pyproject.toml lock/user.txt lock/torch.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) --require-hashes --no-deps --only-binary :all: --requirement lock/user.txt
	$(BIN)/python $(PIP) --requirement lock/torch.txt
	$(BIN)/python $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEVELOPER): $(READY) lock/developer.txt
	$(BIN)/python $(PIP) --require-hashes --no-deps --only-binary :all: --requirement lock/developer.txt
	@touch $@

# Three packages that lm_eval needs have no wheel: they are built here, by the locked setuptools.
SOURCES = --no-build-isolation --no-binary rouge-score,sqlitedict,word2number
$(REAL): $(DEVELOPER) lock/ray.txt lock/hf.txt lock/lm-eval.txt lock/trackers.txt
	$(BIN)/python $(PIP) --require-hashes --no-deps --only-binary :all: --requirement lock/ray.txt
	$(BIN)/python $(PIP) --require-hashes --no-deps --only-binary :all: --requirement lock/hf.txt
	$(BIN)/python $(PIP) --require-hashes --no-deps --only-binary :all: $(SOURCES) --requirement lock/lm-eval.txt
	$(BIN)/python $(PIP) --require-hashes --no-deps --only-binary :all: --requirement lock/trackers.txt
	@touch $@

sweep-%: $(READY) ## train what is missing of sweeps/%.yaml and print its table
	@$(BIN)/mta-lab sweep $(subst -,_,$*) $(OPTIONS) $(if $(WORKERS),--workers $(WORKERS))

report-%: $(READY) ## print the table of sweeps/%.yaml from what is finished
	@$(BIN)/mta-lab report $(subst -,_,$*) $(OPTIONS)

dashboard: $(READY) ## open MLflow's pages over the runs on 127.0.0.1
	@$(BIN)/mta-lab dashboard $(ARGS)

test: $(DEVELOPER) ## the fast tests
	@$(BIN)/python -m pytest $(ARGS)

test-slow: $(DEVELOPER) ## the tests that take long, at most an hour
	@$(BIN)/python -m pytest -m 'slow and not alone' $(ARGS)
	@$(BIN)/python -m pytest -n 0 -m 'slow and alone' $(ARGS)

test-real: $(REAL) ## the tests that need a server, a browser, the network, Ray, Slurm, transformers, lm_eval or trackers
	@$(BIN)/python -m pytest -n 0 -m 'network or real' $(ARGS)

ASAN = MTA_LAB_KERNEL_FLAGS="-fsanitize=address -g1 -DMTA_POISON" ASAN_OPTIONS=detect_leaks=0 \
	LD_PRELOAD="$$(c++ -print-file-name=libasan.so) $$(c++ -print-file-name=libstdc++.so)"
test-asan: $(DEVELOPER) ## the tests of the fused kernels: AddressSanitizer, its own memory NaN until written
	@$(ASAN) $(BIN)/mta-lab build-kernel
	@$(ASAN) MTA_LAB_REQUIRE_FUSED=1 $(BIN)/python -m pytest tests/components/kernels -k "fused or pointwise" $(ARGS)

lint: $(DEVELOPER) ## ruff (lint and format) and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: $(DEVELOPER) ## the pages of docs/ and an API reference, in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "site/index.html is written"

$(TOOLS):
	$(PYTHON) -m venv $@
	$@/bin/python $(PIP) uv pip-audit

# uv keeps the releases that a lock names already; `make lock ARGS=--upgrade` takes the newest ones.
COMPILE = $(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock' --constraint lock/torch.txt --group build pyproject.toml
lock: $(TOOLS) ## resolve pyproject.toml into lock/ (torch is the version in lock/torch.txt)
	$(COMPILE) $(ARGS) --extra dev --extra docs --output-file lock/developer.txt
	$(COMPILE) $(ARGS) --constraint lock/developer.txt --output-file lock/user.txt
	$(COMPILE) $(ARGS) --constraint lock/developer.txt --extra ray --output-file lock/ray.txt
	$(COMPILE) $(ARGS) --constraint lock/developer.txt --extra hf --output-file lock/hf.txt
	$(COMPILE) $(ARGS) --constraint lock/developer.txt --constraint lock/hf.txt --extra lm-eval --output-file lock/lm-eval.txt
	$(COMPILE) $(ARGS) --constraint lock/developer.txt --constraint lock/ray.txt --constraint lock/hf.txt --constraint lock/lm-eval.txt \
	  --extra tensorboard --extra wandb --output-file lock/trackers.txt
	for lock in developer user ray hf lm-eval trackers; do awk '/^[a-z]/ {skip = /^(torch==|triton==|nvidia-|cuda-)/} !skip' lock/$$lock.txt > lock/new \
	  && mv lock/new lock/$$lock.txt || exit 1; done

newest: ## the fast tests with the newest releases of everything, in a .venv of their own
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python $(PIP) --upgrade --upgrade-strategy eager --editable '.[dev]'
	$(NEWEST)/bin/mta-lab build-kernel
	$(NEWEST)/bin/python -m pytest $(ARGS)

audit: $(TOOLS) ## look up known weaknesses of the locked releases (needs the network)
	$(TOOLS)/bin/pip-audit --disable-pip --require-hashes $(foreach lock,developer ray hf lm-eval trackers,--requirement lock/$(lock).txt)

bench: WIDE = model.width=256 model.heads=8 model.layers=4 model.context=256 model.vocabulary=4096 training.batch_size=8
bench: $(READY) ## time and memory of attention alone and of training steps, side by side (ARGS: of the steps)
	@$(BIN)/mta-lab bench op
	@$(BIN)/mta-lab bench step --scale $(SCALE) $(ARGS)
	@$(BIN)/mta-lab bench step $(WIDE) $(ARGS)
	@$(BIN)/mta-lab bench generate

clean: ## remove caches and .venv; data/, results/ and MLflow's files stay
	rm -rf $(VENV) $(TOOLS) $(NEWEST) site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
