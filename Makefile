# `make` alone lists what can be made. Everything runs from a fresh clone: .venv is made from the locked parts when needed.

PY := .venv/bin/python
SEED ?=
SEEDED := $(if $(SEED),--randomly-seed=$(SEED) --hypothesis-seed=$(SEED))

# What `manage.py check --deploy` sees: the shipped settings of an installation behind TLS.
AS_SHIPPED := DJANGO_SETTINGS_MODULE=doublehop.site.settings DOUBLEHOP_DATA_DIR=$(CURDIR)/.pytest_cache \
	DATABASE_URL=sqlite::memory: DOUBLEHOP_BASE_URL=https://panel.example.net DOUBLEHOP_LOG_LEVEL=WARNING \
	DOUBLEHOP_SECRET_KEY=only-for-checks-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEF \
	DOUBLEHOP_VAULT_KEYS=Y2hlY2tzLW9ubHktY2hlY2tzLW9ubHktY2hlY2tzLTA=

.DEFAULT_GOAL := help
.PHONY: help run install test test-long proof check format-check lint types walls migrations deploy openapi locks bench lock fmt dev front whmcs-module

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done

run: ## the whole demo in the foreground at http://127.0.0.1:8000 (PORT=8001 moves it); Ctrl-C ends it
	@exec bin/bootstrap run

install: ## .venv with the product and its front-end files, for real use
	@bin/bootstrap demo
	@$(PY) -m doublehop.panels.build

test: dev ## the quick tests: within ten minutes on two cores
	@$(PY) -m pytest -n 2 $(SEEDED)

# Much of the time goes by waiting for machines, so three parts run side by side: those with a browser or workers of their own,
# those that prove and kill, and all others. The collector's edges of five minutes stand where there is time for them.
LONG := $(PY) -m pytest -m long --timeout 600 --durations 20 $(SEEDED)
COLLECTING := tests/workers/test_collecting.py
AT_A_BROWSER := tests/browser tests/manual tests/whmcs $(filter-out $(COLLECTING),$(wildcard tests/workers/test_*.py)) tests/test_make_run.py
PROOFS := tests/faults tests/proofs $(COLLECTING)

test-long: front ## crashes, faults, a browser, whole installations (SEED=1 repeats a run)
	@mkdir -p .pytest_cache; \
	$(LONG) $(AT_A_BROWSER) >.pytest_cache/at-a-browser.txt 2>&1 & browser=$$!; \
	$(LONG) $(PROOFS) >.pytest_cache/proofs.txt 2>&1 & proofs=$$!; \
	trap "kill $$browser $$proofs" INT TERM; \
	$(LONG) $(addprefix --ignore ,$(AT_A_BROWSER) $(PROOFS)); rest=$$?; \
	wait $$browser; seen=$$?; wait $$proofs; proven=$$?; \
	cat .pytest_cache/at-a-browser.txt .pytest_cache/proofs.txt; \
	exit $$((rest || seen || proven))

proof: front ## everything, round after round in another order; figures into docs/proof.md (ROUNDS=10, ONLY=traffic for a part)
	@$(PY) -m tests.proof $(or $(ROUNDS),10) $(ONLY)

check: format-check lint types walls migrations deploy openapi locks front test ## all that must hold before a change is handed in

format-check: dev
	@$(PY) -m ruff format --check .

lint: dev
	@$(PY) -m ruff check .

types: dev
	@$(PY) -m mypy

walls: dev
	@.venv/bin/lint-imports

migrations: dev
	@$(AS_SHIPPED) $(PY) manage.py makemigrations --check --dry-run

deploy: dev
	@$(AS_SHIPPED) $(PY) manage.py check --deploy --fail-level WARNING

openapi: dev
	@$(AS_SHIPPED) $(PY) -m doublehop.api.schema --check

locks: dev
	@$(PY) bin/lock.py --check

bench: front ## measurements and their ratios: pages at 1,000 and 100,000 services, slow machines, an idle installation, the old APIs, the doorbell, octets, rounds, statements
	@$(PY) -m tests.bench

whmcs-module: dev ## the modules for WHMCS as one file, var/doublehop-whmcs.zip
	@$(PY) bin/whmcs_module.py var/doublehop-whmcs.zip

lock: dev ## resolve pyproject.toml anew into requirements/*.txt
	@$(PY) bin/lock.py

fmt: dev ## format, and mend what can be mended by itself
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

dev:
	@bin/bootstrap dev

front: dev
	@$(PY) -m doublehop.panels.build
