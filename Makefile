# Everything a fresh machine needs is set up by the words themselves: Python >= 3.10 and make are enough.

PYTHON ?= python3
VENV   := .venv
DEMO   := .venv-demo
BIN    := $(VENV)/bin
SETUP  := tools/setup_env.py
SECONDS_ ?= 600
SOURCES := $(shell find src -name '*.py')

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check quick quick-pythons long old-torch tf-keras docs bench fuzz damage clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(DEMO)/.ready  ## the main job: open a legacy PyTorch file, show its gates, convert it, prove it
	$(DEMO)/bin/python tools/demo.py

test: check quick-pythons $(VENV)/.frameworks  ## everything: check, the quick tests on other Pythons, then the whole suite
	$(BIN)/python -m pytest -n 2 -m "not long"

# The architecture is a test, which comes with quick and test.
check: $(VENV)/.ready  ## formatting, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(if $(filter quick test,$(MAKECMDGOALS)),,$(BIN)/python -m pytest -q tests/test_architecture.py)

quick: $(VENV)/.ready  ## the tests that need no framework; under a minute
	$(BIN)/python -m pytest -q -n 2 -m "not framework and not slow and not corpus and not long"

quick-pythons:  ## the quick tests on Python 3.10 and 3.13, where they are installed
	@$(PYTHON) tools/quick_pythons.py 3.10 3.13

long: $(VENV)/.frameworks  ## the tests that take minutes: every instant of every deed, 100,000 tensors, gigabytes
	$(BIN)/python -m pytest -n 2 -m long

old-torch: $(VENV)/.frameworks  ## proves gw.legacy_torch() and gw.of() on torch 1.4, 1.7, 1.8, 1.13, 2.0 and today's (downloads gigabytes)
	$(BIN)/python tools/old_torch.py

tf-keras:  ## tests Keras's layers in memory on TensorFlow: tf.keras 2.15, tf_keras, Keras 3 (downloads a gigabyte)
	$(PYTHON) tools/tf_keras.py

docs: $(VENV)/.frameworks  ## runs the documentation's examples and renews their outputs and the generated tables
	$(BIN)/python tools/docs.py

bench: $(VENV)/.peers  ## measures what is claimed of speed and memory beside its peers, in one run (10 minutes, 6 GB of disk)
	$(BIN)/python benchmarks/run.py

fuzz: $(VENV)/.ready  ## runs gatewise over damaged files, coverage-guided; SECONDS_=600, findings in fuzz-findings/
	$(BIN)/python tools/fuzz.py --seconds $(SECONDS_)

damage: $(VENV)/.ready  ## hypothesis over every small fixture, thousands of times each (half an hour)
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -q -n 2 tests/attacks/test_damaged.py

clean:  ## removes what these words made
	rm -rf $(VENV) .venv-* demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

# Stamps: an environment is made again when what it was made from changed.

$(VENV)/.ready: pyproject.toml tests/constraints.txt $(SETUP)
	$(PYTHON) $(SETUP) tools $(VENV)
	@touch $@

$(VENV)/.frameworks: $(VENV)/.ready
	$(PYTHON) $(SETUP) frameworks $(VENV)

$(VENV)/.peers: $(VENV)/.frameworks
	$(PYTHON) $(SETUP) peers $(VENV)
	@touch $@

$(DEMO)/.ready: pyproject.toml $(SETUP) $(SOURCES)
	$(PYTHON) $(SETUP) demo $(DEMO)
	@touch $@
