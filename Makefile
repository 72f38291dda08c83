# The environment is made from nothing but Python >= 3.11 and pip; `make` leaves it in .venv.
PYTHON ?= python3
BIN := .venv/bin

# The tests start the program more than a thousand times; each time it would be compiled anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: quickstart quick quick-tests static lint types test all-tests docs screens tour bench bench-gpu clean

quickstart: .venv/.installed
	$(BIN)/nondet-tui --batch protocols/quickstart.toml

# What takes no more than a minute and a half on two cores; types are checked beside the tests.
quick:
	$(MAKE) --no-print-directory --jobs 2 --output-sync static quick-tests

quick-tests: .venv/.installed
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow" --hypothesis-profile quick

static: lint types

lint: .venv/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: .venv/.installed
	$(BIN)/pyright

# Tests of Slurm run where it is installed (Debian: slurmctld slurmd slurm-client munge) and are skipped elsewhere.
# Three processes on two cores, as tests wait for other processes, or for a screen to come to rest, a third of the time.
# Types, which take one core a minute or more, are checked beside them.
test: lint
	$(MAKE) --no-print-directory --jobs 2 types all-tests

all-tests: .venv/.installed
	$(BIN)/pytest -n 3 --dist worksteal

# The parts of docs/ that are made from declarations; a test says when they are stale.
docs: .venv/.installed
	PYTHONPATH=$(CURDIR) $(BIN)/python docs/generate.py

# The pictures of the screens in docs/, taken without a terminal on the study of the tour.
screens: .venv/.installed
	PYTHONPATH=$(CURDIR) $(BIN)/python docs/screens.py

# The study that `nondet-tui tour` shows: quickstart with fewer replicas, packed. Another processor trains other figures.
tour: .venv/.installed
	rm -rf build/tour
	$(BIN)/nondet-tui --batch protocols/quickstart.toml --replicas 8 --store build/tour
	PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.helpers.tour_study build/tour/quickstart

bench: .venv/.installed
	$(BIN)/python tests/benchmarks

# GPU servers are often without a network: the machine's own torch is taken, and of this project its source tree alone.
bench-gpu:
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) tests/benchmarks/gpu.py

clean:
	rm -rf .venv

.venv/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nondet-tui needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@
