# Everything a user types. `make help` lists it; SCALE, SEEDS, WORKERS and ARGS pass through to mta-lab.
PYTHON ?= python3
SCALE ?= nano
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
READY := $(VENV)/.ready
OPTIONS = --scale $(SCALE) $(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup test test-slow test-real test-asan lint dashboard bench clean

help: ## list the targets
	@grep -hE '^[a-z%][a-zA-Z_%-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([^:]+):.*## /\1|/' | \
	awk -F'|' '{printf "  make %-16s %s\n", $$1, $$2}'
	@echo "  sweeps:" $(subst _,-,$(filter-out paper,$(basename $(notdir $(wildcard sweeps/*.yaml)))))

setup: $(READY) ## create .venv with the pinned dependencies and the fused kernel (every target does this when needed)

$(READY): $(INSTALLED) $(wildcard components/kernels/fused/*)
	@$(BIN)/mta-lab build-kernel || echo "going on without the fused kernel: slower, with the same results up to rounding" >&2
	@touch $@

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

sweep-%: $(READY) ## train what is missing of sweeps/%.yaml and print its table
	@$(BIN)/mta-lab sweep $(subst -,_,$*) $(OPTIONS) $(if $(WORKERS),--workers $(WORKERS))

report-%: $(READY) ## print the table of sweeps/%.yaml from what is finished
	@$(BIN)/mta-lab report $(subst -,_,$*) $(OPTIONS)

dashboard: $(READY) ## open MLflow's pages over the runs on 127.0.0.1
	@$(BIN)/mta-lab dashboard $(ARGS)

test: $(READY) ## the fast tests
	@$(BIN)/python -m pytest $(ARGS)

test-slow: $(READY) ## the tests that take long, at most an hour
	@$(BIN)/python -m pytest -m slow $(ARGS)

test-real: $(READY) ## the tests that need a server, a browser or the network
	@$(BIN)/python -m pytest -n 0 -m 'network or real' $(ARGS)

ASAN = MTA_LAB_KERNEL_FLAGS="-fsanitize=address -g1 -DMTA_POISON" ASAN_OPTIONS=detect_leaks=0 \
	LD_PRELOAD="$$(c++ -print-file-name=libasan.so) $$(c++ -print-file-name=libstdc++.so)"
test-asan: $(READY) ## the tests of the fused kernels: AddressSanitizer, its own memory NaN until written
	@$(ASAN) $(BIN)/mta-lab build-kernel
	@$(ASAN) MTA_LAB_REQUIRE_FUSED=1 $(BIN)/python -m pytest tests/components/kernels -k "fused or rows" $(ARGS)

lint: $(READY) ## ruff (lint and format) and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: WIDE = model.width=256 model.heads=8 model.layers=4 model.context=256 model.vocabulary=4096 training.batch_size=8
bench: $(READY) ## time and memory of attention alone and of training steps, side by side (ARGS: of the steps)
	@$(BIN)/mta-lab bench op
	@$(BIN)/mta-lab bench step --scale $(SCALE) $(ARGS)
	@$(BIN)/mta-lab bench step $(WIDE) $(ARGS)

clean: ## remove caches and .venv; data/, results/ and MLflow's files stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
