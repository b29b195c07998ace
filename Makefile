# What one does in this repository. `make` lists it; every target makes the environment it needs.
#
# The environment, .venv, is made once and again only when pyproject.toml or constraints.txt change.

PYTHON ?= python3
# What the backend folders say: the releases under test, the backends of `make report`, and those of `make test`.
FOLDERS_SAY = $(shell $(PYTHON) -m bnspec.backends.harness.folders $(1))

# The backends that `make report` takes, and one of each framework, which `make test` takes; `make conformance` takes all, and
# so do the commands. `make report TESTED=numpy,torch.nn` takes these.
comma := ,
empty :=
commas = $(subst $(empty) $(empty),$(comma),$(1))
TESTED ?= $(call commas,$(call FOLDERS_SAY,report))
GATED ?= $(call commas,$(call FOLDERS_SAY,gate))
CHOSEN = $(patsubst %,--backend %,$(subst $(comma), ,$(TESTED)))

# Processes of `make test`. A file's tests stay in one, so what they share is made once.
JOBS ?= 2
SPREAD = -n $(JOBS) --dist loadfile

SHELL := bash
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FOLDERS := bnspec backends conformance benchmarks reports

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help $(VENV) report repros test slow conformance conformance-rest gpu gpu-wheels mutants causes faults fuzz fuzz-frames calibrate cheats overhead oracle lint types specification schema deviations translations bounds false-alarms constraints clean atlas breadth

help:  ## this list
	@echo "usage: make TARGET      (PYTHON=... chooses the interpreter that makes $(VENV), 3.11 or newer)"
	@sed -nE 's/^([a-z.$$()A-Z-]+):.*  ## (.*)/\1\t\2/p' Makefile | sed 's/^$$(VENV)/$(VENV)/' | expand -t 20 | sed 's/^/  /'

$(VENV): $(READY)  ## the environment: bnspec in editable form, every framework for CPU, the tools

$(READY): pyproject.toml setup.py constraints.txt $(wildcard backends/*/environment.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) cannot make the environment $(VENV)." >&2; \
	  echo "  Why:  it is missing or older than Python 3.11, which bnspec needs: $$($(PYTHON) --version 2>&1 | tail -1)." >&2; \
	  echo "  Fix:  name a newer one, for example: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "installing bnspec, the frameworks and the tools into $(VENV); the first time takes minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[cpu,dev]'
	@# compiled here, on every core: pip does it on one; a package's templates that are no Python are no concern of ours
	@$(BIN)/python -m compileall -q -j 0 -x '/tests?/' $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') >/dev/null 2>&1 || true
	@touch $@

report: $(READY)  ## judge and time a backend of each framework, and write the page runs/report/index.html
	@rm -rf runs/report
	@$(BIN)/bnspec verify $(CHOSEN) --effort quick --out runs/report/verify >/dev/null; status=$$?; \
	  if [ $$status -gt 1 ]; then echo "make: bnspec verify ended with status $$status; its message is above." >&2; exit $$status; fi
	@$(BIN)/bnspec bench $(CHOSEN) --quick --rounds 3 --seconds 0.1 --out runs/report/bench >/dev/null; status=$$?; \
	  if [ $$status -gt 1 ]; then echo "make: bnspec bench ended with status $$status; its message is above." >&2; exit $$status; fi
	@$(BIN)/bnspec report runs/report/verify runs/report/bench --out runs/report

repros: $(READY)  ## the deviations of runs/report/verify (verified now if it is missing) as standalone scripts, each one run
	@if [ ! -f runs/report/verify/manifest.json ]; then \
	  $(BIN)/bnspec verify $(CHOSEN) --effort quick --out runs/report/verify >/dev/null; status=$$?; \
	  if [ $$status -gt 1 ]; then echo "make: bnspec verify ended with status $$status; its message is above." >&2; exit $$status; fi; fi
	@$(BIN)/bnspec repro runs/report/verify --run

test: $(READY)  ## the suite's own tests, then the conformance checks of a backend of each framework as pytest sees them
	@start=$$SECONDS; $(BIN)/python -m pytest tests $(SPREAD) && $(BIN)/python -m pytest conformance --bnspec-effort device --bnspec-backends $(GATED); status=$$?; \
	  echo "make test: $$((SECONDS - start)) s, status $$status"; exit $$status

slow: $(READY)  ## the tests marked slow: the oracle at length and its cost, the loop's overhead, frameworks slow to open
	@OMP_PROC_BIND=true OMP_PLACES=threads $(BIN)/python -m pytest -q -s -m slow tests

conformance: $(READY)  ## the conformance checks of all backends at effort quick, as pytest sees them; known deviations must still happen
	@$(BIN)/python -m pytest conformance

conformance-rest: $(READY)  ## the same of the backends that `make test` leaves out
	@$(BIN)/python -m pytest conformance --bnspec-except $(GATED)

breadth: $(READY)  ## all backends at effort quick, in environments that are built where they are not there: runs/breadth, long; MINUTES=8: what there is time for
	@$(BIN)/bnspec verify --backend '*' --effort quick $(if $(MINUTES),--minutes $(MINUTES)) --out runs/breadth

oracle: $(READY)  ## the oracle against the second oracle at length, and what it costs: prints both
	@$(BIN)/python -m pytest -q -s -m slow tests/core

mutants: $(READY)  ## the whole kill matrix, then the correct variants over 20 seeds: prints both, an hour on two cores
	@$(BIN)/bnspec mutants --kind mutant --effort standard; mutants=$$?; \
	  $(BIN)/bnspec mutants --kind variant --effort quick --seeds 20; variants=$$?; \
	  exit $$((mutants > variants ? mutants : variants))

# A GPU's machine has no network: what it lacks of ours comes as a folder of wheels, for its Python.
GPU_WHEELS ?= build/gpu-wheels
GPU_PYTHON ?= 3.12
gpu:  ## the most evidence of one GPU in eight minutes, in runs/gpu; REHEARSE=1: the same on the CPU, marked as a rehearsal
	@if [ -z "$(REHEARSE)" ] && [ -d $(GPU_WHEELS) ]; then rm -rf build/gpu-site; \
	  $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile --target build/gpu-site $(GPU_WHEELS)/*.whl || exit 3; fi
	@PYTHONPATH="$(CURDIR):$(CURDIR)/build/gpu-site" $(if $(REHEARSE),$(BIN)/python,$(PYTHON)) -m tests.gpu.run $(if $(REHEARSE),--rehearse)

gpu-wheels: $(READY)  ## the folder of wheels that `make gpu` takes to a machine without a network: build/gpu-wheels, about 18 MB
	@rm -rf $(GPU_WHEELS)
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --python-version $(GPU_PYTHON) --implementation cp \
	  --abi cp$(subst .,,$(GPU_PYTHON)) --abi abi3 --abi none --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform any \
	  -c constraints.txt -d $(GPU_WHEELS) -r tests/gpu/requirements.txt
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w $(GPU_WHEELS) . && rm -rf build/lib build/bdist.*
	@du -sh $(GPU_WHEELS)

causes: $(READY)  ## one cause for each mutant? prints the causes of all mutants and the share of the right family, an hour
	@$(BIN)/python -m bnspec.conformance.selftest.grouping

atlas: $(READY)  ## what is missing of docs/atlas: measure releases, compare adjacent ones, write the pages; minutes a release
	@$(BIN)/python -m bnspec.conformance.atlas $(PACKAGES)

faults: $(READY)  ## inject faults into workers, runs and files, and compare what is left with uninterrupted runs: a table, minutes
	@$(BIN)/python -m bnspec.conformance.selftest.faults

fuzz: $(READY)  ## 100,000 case, record, manifest and vector files as strangers write them: prints the counts, half an hour
	@$(BIN)/python tests/support/fuzz.py $(or $(INPUTS),100000)

fuzz-frames: $(READY)  ## a million frames of the wire, changed at random: prints how many were read or refused, minutes
	@$(BIN)/python -m bnspec.conformance.selftest.faults.frames 1000000

calibrate: $(READY)  ## false alarms and the least effect found, of 400 comparisons of two backends with themselves: an hour or less
	@$(BIN)/bnspec calibrate --backend numpy --backend torch.nn --comparisons 400

cheats: $(READY)  ## run the probes on the cheating backends and on the honest ones of TESTED
	@$(BIN)/bnspec cheats $(CHOSEN)

overhead: $(READY)  ## what the timed loop adds to a call, against torch.utils.benchmark: prints it; wants a quiet machine
	@OMP_PROC_BIND=true OMP_PLACES=threads $(BIN)/python -m pytest -q -s -m slow tests/backends/test_timing_overhead.py

lint: $(READY)  ## ruff: rules and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(READY)  ## mypy, strict, and that it has read every file
	@said=$$($(BIN)/mypy); status=$$?; echo "$$said"; \
	  read=$$(echo "$$said" | sed -nE 's/.* ([0-9]+) source files.*/\1/p'); \
	  there=$$(find $(FOLDERS) -type f -name '*.py' | wc -l); \
	  if [ "$${read:-0}" -ne "$$there" ]; then \
	    echo "make: mypy has read $${read:-no} files of $$there." >&2; \
	    echo "  Why:  it reaches the folders through the links bnspec/backends, ... and those are broken or excluded." >&2; \
	    echo "  Fix:  git checkout bnspec; tests/house/test_architecture.py says which link." >&2; exit 1; fi; \
	  exit $$status

specification: $(READY)  ## docs/specification.md, from the clauses
	@$(BIN)/bnspec explain --markdown > docs/specification.new && mv docs/specification.new docs/specification.md

schema: $(READY)  ## reports/run/schema.json, the JSON Schema of the run directory, from the records
	@$(BIN)/python -m bnspec.reports.run.schema > reports/run/schema.new && mv reports/run/schema.new reports/run/schema.json

deviations: $(READY)  ## docs/deviations.md, from the known deviations of the backend folders
	@$(BIN)/bnspec explain --deviations > docs/deviations.new && mv docs/deviations.new docs/deviations.md

translations: $(READY)  ## docs/translations.md: conventions of all backends, and every ordered pair translated and proved; long
	@$(BIN)/python -m bnspec.conformance.conventions $(BACKENDS)

false-alarms: $(READY)  ## how often do error statistics accuse a correct variant? all of them over 20 seeds, minutes
	@$(BIN)/python -m bnspec.conformance.selftest.false_alarms 20

bounds: $(READY)  ## are the error bounds sound and tight? 40 algorithms against them: a table, minutes
	@$(BIN)/python -m bnspec.conformance.selftest.soundness

constraints: pyproject.toml  ## remake constraints.txt in a fresh environment
	@rm -rf build/constraints && $(PYTHON) -m venv build/constraints
	@printf '%s\n' $(call FOLDERS_SAY,tested) > build/constraints/frameworks.txt
	@build/constraints/bin/pip install --quiet --disable-pip-version-check -c build/constraints/frameworks.txt -e '.[cpu,dev]'
	@sed -n '/^#/p' constraints.txt > build/constraints/new.txt
	@build/constraints/bin/pip freeze --all --exclude pip --exclude bnspec --exclude-editable | sed -E 's/\+[A-Za-z0-9.]+$$//' >> build/constraints/new.txt
	@mv build/constraints/new.txt constraints.txt && rm -rf build/constraints
	@git --no-pager diff --stat -- constraints.txt

clean:  ## remove what was built, runs/ and the environment
	@rm -rf $(VENV) build dist runs *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
	@find $(FOLDERS) tests -type d -name __pycache__ -prune -exec rm -rf {} +
