# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Busy cores suffer from threads that wait by spinning.
export OMP_WAIT_POLICY = PASSIVE
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-all check format bench docs clean

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(BIN)/.installed  ## build, certify and pack a classifier of real BBC news
	$(BIN)/python examples/fetch.py news
	$(BIN)/rung build examples/news/product.yaml
	@echo
	$(BIN)/rung predict $$(ls -td examples/news/runs/news-[0-9]*/bundle | head -1) --text "The striker scored twice in the cup final"

test: $(BIN)/.installed  ## the tests, without the slow ones
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: $(BIN)/.installed  ## all tests
	$(BIN)/python -m pytest

check: $(BIN)/.installed  ## format, lint, types, import rules, docs
	$(BIN)/ruff format --check src tests benchmarks examples docs
	$(BIN)/ruff check src tests benchmarks examples docs
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/python docs/site.py

format: $(BIN)/.installed
	$(BIN)/ruff format src tests benchmarks examples docs
	$(BIN)/ruff check --fix src tests benchmarks examples docs

docs: $(BIN)/.installed  ## write the generated reference pages again, and the site: open site/index.html
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/site.py

bench: $(BIN)/.installed  ## measure against peers; writes benchmarks/results
	$(BIN)/python benchmarks/text.py

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache
