# Two commands do everything on a fresh machine with Python 3.11 or later: `make lab` and `make test`.
# On Windows, or in an environment of your own, use the pip lines of the README.

PYTHON ?= python3
VENV   ?= .venv
# More options for JupyterLab (but its root_dir, which is given), for example LAB="--no-browser --allow-root" in a container.
LAB    ?=
# So many test processes at once, each of one thread: two threads in one process are worth little (benchmarks/results.md).
JOBS   ?= 2
BIN    := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 $(VENV)/bin/pytest -q -n $(JOBS) --dist loadscope
SHELL  := /bin/sh

# An environment of a Python that was too old is made anew; any other is kept, with what has been installed into it.
TOO_OLD := import sys; sys.exit(sys.version_info < (3, 11) and "ilsegkit needs Python 3.11 or later, not " + sys.version.split()[0]
define MAKE_VENV
@$(PYTHON) -c '$(TOO_OLD) + "; name one, for example: make $(MAKECMDGOALS) PYTHON=python3.12")'
@if [ -x $(BIN)/python ] && ! $(BIN)/python -c '$(TOO_OLD))' 2>/dev/null; then $(PYTHON) -m venv --clear $(VENV); \
else $(PYTHON) -m venv $(VENV); fi
endef

.PHONY: lab test check unit notebooks-test browser docs notebooks format clean

lab: $(VENV)/lab.done
	$(BIN)/jupyter lab --ServerApp.root_dir=. $(LAB) notebooks/00_click_to_segment.ipynb

test: check unit notebooks-test browser docs

# `make check unit` is the fast loop: style and types; unit tests and the examples in the docstrings.
check: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/dev.done
	$(PYTEST) -m "not browser" --doctest-modules --durations=5

# Here and in `notebooks`, not with results that are on record: they may be of other code.
notebooks-test: $(VENV)/dev.done
	rm -rf build/results
	ILSEGKIT_PROFILE=offline ILSEGKIT_RESULTS="$(CURDIR)/build/results" $(PYTEST) --nbval-lax --nbval-current-env \
		--nbval-cell-timeout=600 --durations=5 --ignore notebooks/solutions notebooks

browser: $(VENV)/dev.done
	$(BIN)/pytest -q -m browser tests/browser

# A site of documents, notebooks and docstrings; a link inside it that leads nowhere is an error.
docs: $(VENV)/dev.done
	$(BIN)/sphinx-build -q -W -c docs . build/docs

# Make the chapters and their solutions from notebooks/source, run all from top to bottom, store the outputs.
notebooks: $(VENV)/dev.done
	rm -rf build/results
	ILSEGKIT_RESULTS="$(CURDIR)/build/results" $(BIN)/python notebooks/build.py --execute

format: $(VENV)/dev.done
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/lab.done: pyproject.toml
	$(MAKE_VENV)
	$(BIN)/python -m pip install -e ".[lab]"
	touch $@

$(VENV)/dev.done: pyproject.toml
	$(MAKE_VENV)
	$(BIN)/python -m pip install -e ".[dev]"
	touch $@ $(VENV)/lab.done

clean:
	rm -rf $(VENV) build dist test-artefacts *.egg-info .pytest_cache .ruff_cache .mypy_cache
