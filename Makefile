# make quickstart   install into .venv, run the first study and its transfer
# make test         format, lint, types, and all tests but those that need a GPU

VENV := .venv
PY   := $(VENV)/bin/python
BIN  := $(VENV)/bin
HOST_PYTHON ?= $(shell command -v python3.13 || command -v python3.12 || command -v python3.11 || echo python3)

.PHONY: install quickstart test check clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(HOST_PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

quickstart: install
	$(BIN)/proxytune study create studies/quickstart.yaml
	$(BIN)/proxytune transfer --target studies/targets/small.yaml

test: check
	$(BIN)/pytest -q

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .proxytune build *.egg-info
