# make quickstart   install into .venv, run the first study and its transfer
# make test         format, lint, types, and all tests but those that need a GPU

VENV := .venv
PY   := $(VENV)/bin/python
BIN  := $(VENV)/bin
# The newest Python of the supported ones that really runs: a shim on the PATH may not.
HOST_PYTHON ?= $(firstword $(foreach version,3.13 3.12 3.11,\
    $(shell python$(version) -c 'import sys; print(sys.executable)' 2>/dev/null)) python3)

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
	$(BIN)/pytest -n 2 --dist loadfile

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .proxytune build *.egg-info
