# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Busy cores suffer from threads that wait by spinning.
export OMP_WAIT_POLICY = PASSIVE
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo demo-learn test test-all coverage check format bench docs clean

# The order of the tests; a failure is repeated with `make test SEED=<the number that was printed>`.
SEED := $(or $(SEED),$(shell date +%s))
PYTEST = $(BIN)/python -m pytest --randomly-seed=$(SEED) --durations=25

# What builds need, and what tests and checks need on top: two stamps in one environment.
$(BIN)/.build: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[build]'
	@touch $@

$(BIN)/.dev: $(BIN)/.build
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(BIN)/.build  ## build, certify and pack a classifier of real BBC news
	$(BIN)/python examples/fetch.py news
	$(BIN)/rung build examples/news/product.yaml
	@echo
	$(BIN)/rung predict $$(ls -td examples/news/runs/news-[0-9]*/bundle | head -1) --text "The striker scored twice in the cup final"

demo-learn: $(BIN)/.build  ## one product whose ladder stops at word counts, one that climbs to a fine-tuned network (about an hour)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[train]'
	$(BIN)/python examples/fetch.py news
	$(BIN)/python examples/fetch.py learn
	$(BIN)/rung weights fetch minilm
	$(BIN)/rung build examples/learn/stops.yaml
	$(BIN)/rung build examples/learn/climbs.yaml

test: $(BIN)/.dev  ## the tests, without the slow ones
	$(PYTEST) -n 2 --dist worksteal -m "not slow"

test-all: $(BIN)/.dev  ## all tests
	$(PYTEST)

coverage: $(BIN)/.dev  ## the tests with the lines and branches they run, processes they start included
	$(BIN)/coverage erase
	$(PYTEST) -n 2 --dist worksteal -m "not slow" --cov --cov-report=
	$(BIN)/coverage report

check: $(BIN)/.dev  ## format, lint, types, import rules, docs
	$(BIN)/ruff format --check src tests benchmarks examples docs
	$(BIN)/ruff check src tests benchmarks examples docs
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/python docs/site.py

format: $(BIN)/.dev
	$(BIN)/ruff format src tests benchmarks examples docs
	$(BIN)/ruff check --fix src tests benchmarks examples docs

docs: $(BIN)/.dev  ## write the generated reference pages again, and the site: open site/index.html
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/site.py

bench: $(BIN)/.dev  ## measure against peers; writes benchmarks/results
	$(BIN)/python benchmarks/text.py

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .cache .coverage*
