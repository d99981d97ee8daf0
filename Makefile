# `make demo` and `make test` are all a newcomer needs; both create .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet -c constraints.txt

.PHONY: demo test test-slow lint types unit claims bench docs leaderboard pages clean

$(VENV)/user: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/dev: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[dev]'
	touch $(VENV)/user $@

demo: $(VENV)/user
	$(BIN)/mtl-seq compare --scenario cvr_blind --out report/

test: lint types unit

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev
	$(BIN)/mypy

# A file stays with one worker, so that its fixtures are built once; two workers of one thread each
# are faster than two that share the cores.
unit: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist loadfile -m 'not slow'

test-slow: $(VENV)/dev
	$(BIN)/pytest -q -m slow

claims: $(VENV)/user
	$(BIN)/python -m benchmarks.leaderboard.claims

leaderboard: $(VENV)/dev
	$(BIN)/python -m benchmarks.leaderboard.run --workers 2

# Fill README.md and docs/ from the kept results of benchmarks/.
pages: $(VENV)/dev
	$(BIN)/python -m benchmarks.lib.pages

bench: $(VENV)/user
	$(PIP) -e '.[bench]'
	$(BIN)/python -m benchmarks.performance.training

docs: $(VENV)/dev
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist site
