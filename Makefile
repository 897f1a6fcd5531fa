# make study and make test need nothing but Python 3.11 or later; each sets up what it uses.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: help study test check setup slow docs bench picture gallery train clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

study: $(VENV)/base  ## main job: study the embedded real runs, write the report
	$(BIN)/isoloss study --out isoloss-study || [ $$? -eq 3 ]

test: $(VENV)/dev  ## run the tests
	$(BIN)/python -m pytest -n auto --dist loadfile

check: $(VENV)/dev  ## linter, types, import rules, documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m sphinx -W -q -b html docs docs/_build/html

setup: $(VENV)/dev  ## environment for development

slow: $(VENV)/dev  ## the slow tests
	$(BIN)/python -m pytest -m slow

docs: $(VENV)/dev  ## build the documentation
	$(BIN)/python -m sphinx -W -b html docs docs/_build/html

bench: $(VENV)/dev  ## benchmarks beside peers, printed as ratios
	$(BIN)/python benchmarks/fit_speed.py

picture: study  ## the README's picture, from the study
	cp isoloss-study/figures/fan.svg docs/images/fan.svg

gallery: $(VENV)/dev  ## the pictures of theory in the documentation
	$(BIN)/isoloss theory gallery --out docs/images/theory

train: $(VENV)/train  ## train the embedded runs again (about two core-hours)
	$(BIN)/isoloss sweep stdlib --ledger ledger.jsonl --csv runs.csv

clean:  ## remove the environment and what was built
	rm -rf $(VENV) docs/_build isoloss-study build

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit("isoloss needs Python 3.11 or later, this is " + sys.version.split()[0] + "; run make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/base: $(VENV)/made pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/dev: $(VENV)/base
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@

# The CPU build first: a bare "torch" would bring several gigabytes of CUDA packages.
$(VENV)/train: $(VENV)/base
	$(BIN)/python -m pip install -q --disable-pip-version-check torch==2.13.0
	@touch $@
