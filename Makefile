# `make run` needs nothing but Python 3.11 or newer. Everything else is installed, by hash, into .venv. The system's own
# comes first: distributions build it optimised, which saves a seventh of what a message costs.
CAN_BE_USED := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for one in /usr/bin/python3.11 python3.11 /usr/bin/python3 python3; do \
	$$one -c '$(CAN_BE_USED)' 2>/dev/null && echo $$one && exit; done; echo python3)
BIN := .venv/bin
# Commands that only look at the code get a data folder of their own.
SCRATCH := HALO_DATA_DIR=$(CURDIR)/.venv/scratch
SYNC := $(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url
# Everything that the tests need; the small model only where it was asked for, as sync removes what is not listed.
SYNC_DEV := $(SYNC) requirements/dev.txt $$(test ! -e .venv/.smallmodel || echo requirements/smallmodel.txt)
# The widget's source is checked where there is Node; what is built of it is committed, and needs none.
NPM := $(shell command -v npm)
MODULES := $(if $(NPM),widget/node_modules/.package-lock.json)
# Says nothing unless the command fails.
quietly = @out=$$($(1) 2>&1) || { printf '%s\n' "$$out"; echo 'Failed: $(1)'; exit 1; }

.PHONY: run test faults smallmodel check lint fix schema widget lock clean

run: .venv/.base  ## start Halo: databases, migrations, web, workers, and a first organisation to try it with
	@$(BIN)/python -m compileall -q halo orgs sessions agents conversations
	@exec $(BIN)/python manage.py up

test: .venv/.dev $(MODULES) $(wildcard .venv/.smallmodel)  ## the whole suite; `make test ARGS="-k session"` for a part of it
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

faults: .venv/.dev  ## the long form of what is random: 10,000 interleavings, 204 faults; the figures go to .venv/faults.json
	HALO_INTERLEAVINGS=10000 HALO_TAKEOVERS=50 $(BIN)/python -m pytest -n 2 --dist loadfile \
		tests/conversations/test_interleavings.py tests/conversations/test_takeover.py
	HALO_FAULTS=24 HALO_FAULTS_REPORT=.venv/faults.json $(BIN)/python -m pytest -m faults -s -p no:randomly tests/faults

smallmodel: .venv/.smallmodel  ## a real model for the tests that would otherwise be skipped: 130 MB

check: lint  ## everything about the code that needs no running server
	$(call quietly,$(SCRATCH) $(BIN)/python manage.py check)
	$(call quietly,$(SCRATCH) $(BIN)/python manage.py makemigrations --check --dry-run)
	$(call quietly,$(SCRATCH) HALO_PUBLIC_URL=https://halo.example $(BIN)/python manage.py check --deploy --fail-level WARNING)
	$(call quietly,$(SCRATCH) $(BIN)/python manage.py spectacular --validate --fail-on-warn --file .venv/schema.yml)
	$(call quietly,diff -u schema.yml .venv/schema.yml)

lint: .venv/.dev $(MODULES)  ## style, types, and which module may import which
	$(call quietly,$(BIN)/ruff check .)
	$(call quietly,$(BIN)/ruff format --check .)
	$(call quietly,$(SCRATCH) $(BIN)/mypy)
	$(call quietly,$(BIN)/lint-imports)
	$(if $(NPM),$(call quietly,npm --prefix widget run --silent check),@echo 'No npm here: the source of the widget was not checked.')

fix: .venv/.dev  ## what ruff can repair by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: .venv/.dev  ## write schema.yml anew
	$(SCRATCH) $(BIN)/python manage.py spectacular --validate --file schema.yml

widget: widget/node_modules/.package-lock.json  ## build widget/dist anew from its source; needs Node 18 or newer
	@npm --prefix widget run --silent build

lock: $(BIN)/uv  ## pin what pyproject.toml asks for; UPGRADE=--upgrade takes the newest versions
	$(COMPILE) $(UPGRADE) pyproject.toml -o requirements/base.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra dev -c requirements/base.txt -o requirements/dev.txt
	$(COMPILE) $(UPGRADE) --no-deps --only-binary :all: requirements/smallmodel.in -o requirements/smallmodel.txt

clean:  ## remove what was installed and cached; never the data folder
	rm -rf .venv widget/node_modules .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.halo/*' -prune -exec rm -rf {} +

$(BIN)/uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit("Halo needs Python 3.11 or newer: make PYTHON=...") if sys.version_info < (3, 11) else 0'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

# Both are marked by the time of their lock file, so that nothing is installed twice.
.venv/.dev: requirements/dev.txt $(BIN)/uv
	@$(SYNC_DEV)
	@touch .venv/.base $@

widget/node_modules/.package-lock.json: widget/package-lock.json
	@npm --prefix widget ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# Sync installs what is listed and nothing that it depends on.
.venv/.smallmodel: requirements/smallmodel.txt .venv/.dev
	@$(SYNC) requirements/dev.txt requirements/smallmodel.txt
	@touch $@

# What the tests need includes what Halo needs: where it is installed it stays.
.venv/.base: requirements/base.txt $(BIN)/uv
	@if test -e .venv/.dev; then $(SYNC_DEV) && touch .venv/.dev; else $(SYNC) requirements/base.txt; fi
	@touch $@
