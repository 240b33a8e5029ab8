# The two commands of the README, and what a developer types every day. `make` alone lists them.

PYTHON  ?= python3
PROFILE ?= quick
VENV    := $(or $(MODISTE_VENV),.venv)
BIN     := $(VENV)/bin
# Python keeps what it has compiled, also where a shell says not to: a study starts it for each worker,
# and the tests start it hundreds of times.
export PYTHONDONTWRITEBYTECODE =

# The tests against Keras run where Keras is: pip install -c constraints.txt -e '.[peers]'; those of
# the compiled kernels where a C++ compiler is; those of the page where Chromium is; those of a
# cluster where Ray is ('.[ray]'); those of a shared database where PostgreSQL's server and driver
# are ('.[postgresql]'). What takes minutes runs only if it is asked for: pytest -m long.
MARKED   = $(shell $(BIN)/python -c "from glob import glob; \
             from importlib.util import find_spec; from shutil import which; \
             print(' and '.join(['not long'] + ['not peers'] * (not find_spec('keras')) + \
                                ['not ray'] * (not find_spec('ray')) + \
                                ['not postgresql'] * (not (find_spec('psycopg') and \
                                    (which('pg_ctl') or glob('/usr/lib/postgresql/*/bin')))) + \
                                ['not compiler'] * (not (which('c++') or which('g++'))) + \
                                ['not browser'] * (not which('chromium'))))")

# Files of tests side by side, one more than there are cores, for many wait on workers of their own.
# In the order of their folders: the long stories first, and the short units where those end apart.
SIDE     = -n $(shell $(BIN)/python -c "from modiste.cores import num_cores; print(min(4, num_cores() + 1))") \
           --dist loadfile --no-loadscope-reorder

.PHONY: help setup study report test tests check lint fix bench docs

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: ## make or update the virtual environment; silent when there is nothing to do
	@$(PYTHON) scripts/setup.py

study: setup ## the reference study on Fashion-MNIST (PROFILE=quick or full), ends with its report; WITH="--stages mlp-grid" and the like
	@$(BIN)/modiste study studies/fashion-mnist.yaml --profile $(PROFILE) $(WITH)

report: setup ## write the report of the study again, from its run folders
	@$(BIN)/modiste report runs/fashion-mnist-$(PROFILE)

check: lint ## before a commit: style, types, layers, fast tests
	@$(BIN)/python -m pytest -q $(SIDE) -m "not slow and $(MARKED)"

test: setup ## what CI runs: the same with every test, which go on beside style and types
	@$(MAKE) --no-print-directory -j 2 lint tests

# One thread for each process's matrix products, as torch has in tests: those of three processes on
# two cores wait for each other, at worst for minutes.
tests: export OPENBLAS_NUM_THREADS = 1
tests: setup
	@$(BIN)/python -m pytest -q $(SIDE) -m "$(MARKED)"

lint: setup
	@$(BIN)/ruff format --check --output-format concise . || { echo "'make fix' does it"; exit 1; }
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

fix: setup ## format, and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## speed: steps beside PyTorch, what is outside them, a speedrun; under 5 minutes
	@$(BIN)/python -m benchmarks

docs: setup ## the pages in docs/ as a site: build/site/index.html
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs build/site
	@echo build/site/index.html
