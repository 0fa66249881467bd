# Everything is installed into .venv/ of this checkout from requirements/dev.txt: exact versions, hashes, wheels only.
# PYTHON=python3.12 chooses the interpreter; without it an existing .venv keeps its own.
ifndef PYTHON
PYTHON := $(shell [ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)
endif
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
LOCKED := .venv/.locked-$(VERSION)
READY := .venv/.ready-$(VERSION)
PIP := .venv/bin/python -m pip --quiet --disable-pip-version-check --no-input
SOURCES := shared services cli benchmarks dbscripts docker tests

.DEFAULT_GOAL := help
.PHONY: help demo dev test check bench fuzz mutants openapi lock dbscripts secrets compose-test clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

demo: $(READY) ## everything once, on real input: upload, three gateways trust it, delete, they no longer do
	@.venv/bin/trustcast demo $(ARGS)

dev: $(READY) ## the services until Ctrl-C (ARGS="--port 8080 --data-dir data --gateways 3")
	@exec .venv/bin/trustcast dev $(ARGS)

test: $(READY) ## all tests, on all cores (ARGS="-k word" for some; ARGS="-n 0" in one process)
	@.venv/bin/python -m pytest -n auto --dist worksteal $(ARGS)

check: $(READY) ## ruff, mypy strict, the borders between rooms
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy --no-error-summary
	@.venv/bin/python -m pytest -q tests/architecture

bench: $(READY) ## what it is held to, measured here, as a table and as JSON
	@.venv/bin/python -m benchmarks $(ARGS)

lock: $(READY) ## resolve requirements/*.txt anew from pyproject.toml
	@requirements/compile $(ARGS)

dbscripts: $(READY) ## write dbscripts/apimgt/*.sql anew from the migrations
	@.venv/bin/python -m dbscripts

secrets: $(READY) ## fresh secrets and sample gateway homes for docker compose, once
	@.venv/bin/python docker/prepare.py

fuzz: $(READY) ## requests made from the OpenAPI document, and 10 million odd files for the readers, or an hour of them
	@.venv/bin/python -m tests.fuzz $(ARGS)

mutants: $(READY) ## small mistakes made in domain/ on purpose: nine in ten are noticed (ARGS="policy pem" for some)
	@.venv/bin/python -m tests.mutants $(ARGS)

openapi: $(READY) ## write docs/openapi.json anew
	@.venv/bin/python -m trustcast_api.document >docs/openapi.json

compose-test: $(READY) ## docker-compose.yml for real: build, up, one upload, both listeners' files, down
	@.venv/bin/python -m tests.compose

clean: ## remove what can be made again (.venv, caches); data/ and compose-data/ stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(LOCKED): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Trustcast needs Python 3.11 or newer; '$(PYTHON)' is not. Name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "This Python cannot make virtual environments; install its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "Installing into .venv: once, about a minute."
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements/dev.txt
	@touch $@

$(READY): $(LOCKED) pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
