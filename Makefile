# Every target works on a fresh machine: it creates .venv first.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
MODULES := web/node_modules/.installed

# Tests start many processes and are run in several steps: compile each module once.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-all page test-page test-packages docs lint types format map bench packages paper clean

demo: $(INSTALLED)      ## train on RAVDESS (or synthetic voices), write the report, print its path
	$(BIN)/emocatcher demo

test: $(INSTALLED)      ## the tests; those that need RAVDESS run if EMOCATCHER_CORPORA is set
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m "not slow and not page and not index"

test-all: $(INSTALLED)  ## the tests, including the slow ones
	$(BIN)/python -m pytest -m "not page and not index"

page: $(INSTALLED) $(MODULES)  ## build the page into dist/page, for any web host; needs Node.js
	$(BIN)/python web/facts.py web/src/generated/facts.json
	$(BIN)/python web/example.py web/src/generated/example.json
	cd web && npm run --silent build
	$(BIN)/python web/model_files.py dist/page

test-page: page docs    ## the tests of the page and of the docs site, in Chromium
	cd web && npm test --silent
	$(BIN)/python -m pytest -n auto --maxprocesses 2 --dist loadfile -m page tests/page

docs: $(INSTALLED)      ## build the docs site into dist/docs, without the network; any web host serves it, or open index.html
	$(BIN)/python tools/docs_site.py dist/docs-pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

test-packages: $(INSTALLED)  ## the tests of packages and container, which install from a package index
	$(BIN)/python -m pytest -m index tests/deploy

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy --num-workers auto

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

map:                    ## write the map of the source into CONTRIBUTING.md
	$(PYTHON) tools/source_map.py

bench: page             ## measure speed, memory and parity, rewrite benchmarks/RESULTS.md
	$(BIN)/python benchmarks/reference.py
	$(BIN)/python benchmarks/inference.py --footprint --ten-hours
	$(BIN)/python benchmarks/inference.py --model cabg
	$(BIN)/python benchmarks/parity.py
	$(BIN)/python benchmarks/server.py
	$(BIN)/python benchmarks/page.py

paper: $(INSTALLED)     ## train every row of the README's result table, and write table and figure; resumes
	$(BIN)/python benchmarks/paper.py

packages: $(INSTALLED) page  ## the wheel and the source archive in dist/packages, checked and installed once
	$(BIN)/python tools/packages.py dist/packages

clean:
	rm -rf .venv build dist web/node_modules web/src/generated .pytest_cache .mypy_cache .ruff_cache

# uv takes a fifth of pip's time, but does not read pip's settings. Modules are compiled when they are first imported: most
# never are.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(addprefix --default-index ,$(PIP_INDEX_URL)) $(addprefix --find-links ,$(PIP_FIND_LINKS)) -c constraints.txt -e ".[dev]"
	touch $@

$(MODULES): web/package.json web/package-lock.json
	cd web && npm ci --silent
	touch $@
