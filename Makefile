# Both commands make .venv first where there is none.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint clean

demo: $(VENV)/.done
	$(BIN)/python -m skmemto

test: $(VENV)/.done
	$(BIN)/python -m pytest

lint: $(VENV)/.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[tests]'
	touch $@

clean:
	rm -rf $(VENV)
