# One word for each thing one does here. Every target works on a fresh machine: it makes .venv first.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test test-all lint types format bench clean

demo: $(INSTALLED)      ## train on RAVDESS (or made voices), write the report, print where it is
	$(BIN)/emocatcher demo

test: $(INSTALLED)      ## the tests; those that need RAVDESS run where EMOCATCHER_CORPORA is set
	$(BIN)/python -m pytest -m "not slow"

test-all: $(INSTALLED)  ## the slow ones too
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)     ## measure speed, memory and parity, rewrite benchmarks/RESULTS.md
	$(BIN)/python benchmarks/reference.py
	$(BIN)/python benchmarks/inference.py --footprint --ten-hours
	$(BIN)/python benchmarks/parity.py
	$(BIN)/python benchmarks/server.py

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@
