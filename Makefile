# make quickstart   install into .venv, run the first study and its transfer
# make quick        format, lint, types, and the tests that take seconds
# make test         format, lint, types, and all tests but long ones and those that need a GPU
# make long         kills, clusters and other tests of up to minutes each
# make lowest       these tests with the lowest versions that pyproject.toml allows

VENV ?= .venv
BIN  := $(VENV)/bin
CONSTRAINTS ?= constraints.txt
# The newest Python of the supported ones that really runs: a shim on the PATH may not.
HOST_PYTHON ?= $(firstword $(foreach version,3.13 3.12 3.11,\
    $(shell python$(version) -c 'import sys; print(sys.executable)' 2>/dev/null)) python3)

# A file's tests share a worker; the order of files is that of tests/conftest.py.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: install quickstart quick test tests long lowest check clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	$(HOST_PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c $(CONSTRAINTS) -e '.[dev]'
	touch $@

quickstart: install
	$(BIN)/proxytune study create studies/quickstart.yaml
	$(BIN)/proxytune transfer --target studies/targets/small.yaml

quick: check
	$(PYTEST) -m "not slow and not long and not gpu"

test: check tests

tests: install
	$(PYTEST)

long: install
	$(PYTEST) -m "long and not gpu"

lowest:
	$(MAKE) tests VENV=.venv-lowest CONSTRAINTS=constraints-lowest.txt

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .proxytune build *.egg-info
