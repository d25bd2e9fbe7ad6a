# Everything a newcomer or CI needs. `make help` lists it.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
# uv takes a sixth of pip's time, but knows nothing of pip's settings: where a machine needs those, pip does it.
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt $(1) 2>/dev/null || $(PIP) $(1)

.PHONY: help parity test check bench clean

help: ## List the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "making the virtual environment (about 10 seconds)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "parity needs Python 3.11 or later; set PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "no venv module: sudo apt-get install python3-venv" >&2; exit 2; }
	@$(PIP) uv 2>/dev/null || true
	@$(call INSTALL,-e '.[aws]')
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@echo "adding what tests and benchmarks need (about 10 seconds)"
	@# Hundreds of processes import it, and where Python may write no bytecode each would compile it anew.
	@UV_COMPILE_BYTECODE=1 $(call INSTALL,-e '.[dev]')
	@touch $@

parity: $(VENV)/installed ## Break the reference stack and account for every job (about 5 minutes; 3 with the images there; without Docker on the simulator)
	@$(BIN)/parity run $(ARGS)

# First the engine's tests, two files side by side and nothing beside them: what they see must not come too late. Then
# those that look at the whole engine, by one process, and all others, on every processor.
test: $(VENV)/installed-dev ## Every test; those that need Docker are skipped without it, and fail in CI
	@$(BIN)/pytest -m "docker and not alone" -n 2 --dist loadfile; engine=$$?; \
	$(BIN)/pytest -m "alone or not docker" -n auto --dist loadfile --no-loadscope-reorder; others=$$?; \
	[ "$$engine $$others" = "0 0" ]

check: $(VENV)/installed-dev ## Lint, types, layers
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/pytest -q tests/unit/test_layers.py

bench: $(VENV)/installed-dev ## Measure; writes bench/figures.json with commit and machine
	@$(BIN)/python -m bench

clean: ## Remove whatever an earlier run left in Docker
	@$(BIN)/parity clean
