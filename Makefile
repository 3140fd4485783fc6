# Each command makes .venv first where there is none. The tests' networks are so small
# that a second thread gains nothing, and on a busy machine costs a lot of waiting.
# A process for each core does gain.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint docs clean

demo: $(VENV)/.done
	$(BIN)/python -m skmemto

test: $(VENV)/.done
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

lint: $(VENV)/.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs-done
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

$(VENV)/.docs-done: $(VENV)/.done
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[tests]'
	touch $@

clean:
	rm -rf $(VENV) docs/_build docs/auto_examples docs/generated
