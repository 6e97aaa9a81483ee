# python3 with pip, and make: that is all a machine needs. The rest goes into $(VENV).
# To choose: PYTHON=python3.12 VENV=/elsewhere PORT=8000 WORKERS=4 make ...

PYTHON ?= python3
VENV ?= .venv
PORT ?= 5000
WORKERS ?= 2
ARGS ?=

PY = $(VENV)/bin/python
REACT = example_app/react
READY = $(VENV)/.ready

demo: $(READY) ## start the example app (the default)
	@echo "Open http://127.0.0.1:$(PORT)/ and sign in as demo / demo"
	@echo "An MCP client connects to http://127.0.0.1:$(PORT)/mcp"
	@# By the environment, so that the app knows its port before it listens on it.
	@FLASK_RUN_PORT=$(PORT) $(PY) -m flask --app example_app run

demo-react: npm $(READY) ## build the React sample and serve it, beside make demo
	cd $(REACT) && npm install --no-audit --no-fund --no-package-lock --loglevel=error
	cd $(REACT) && npm run --silent build
	@echo "Open http://127.0.0.1:5173/ while make demo runs in another terminal, and sign in"
	@echo "there as demo / demo"
	@$(PY) -m flask --app $(REACT)/serve.py run --port 5173

npm:
	@command -v npm >/dev/null \
	|| { echo "npm is not here: install Node.js 20 or newer, which brings it." >&2; exit 1; }

test: $(READY) ## run every test that this machine has the services for
	@# A part of it: make test ARGS="tests/features -k replay"; the whole, counted: ARGS=--cov
	$(PY) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-services: ## the same, and a service that is missing is a failure
	PKCE_TEST_REQUIRE_SERVICES=1 $(MAKE) test

lint: $(READY) ## check style, types and floors
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo

format: $(READY) ## put the code into the style
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

typecheck: $(READY) ## check types alone
	$(PY) -m mypy

build: $(READY) ## build wheel and source distribution into dist/
	rm -rf build dist
	$(PY) -m build

catalogs: $(READY) ## find the texts of the pages, bring the catalogs up to date, compile them
	for command in extract_messages update_catalog; do \
		$(PY) -c "import setuptools; setuptools.setup()" -q $$command || exit 1; \
	done
	@# Lines that nobody fills in, and a date that would change each time.
	sed -i '/EMAIL@ADDRESS/d; /LL@li.org/d; /YEAR-MO-DA/d; /^"POT-Creation-Date/d' \
		flask_pkce_server/i18n/translations/*/LC_MESSAGES/*.po
	$(PY) -c "import setuptools; setuptools.setup()" -q compile_catalog

screenshots: $(READY) ## take the pictures of the documentation, with Chromium
	PYTHONPATH=. $(PY) docs/make_screenshots.py

clean: ## remove what tests and builds leave behind, but not the environment
	rm -rf build dist $(REACT)/dist *.egg-info htmlcov .coverage .coverage.* .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.*' -prune -exec rm -rf {} +

help: ## say this
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{printf "make %-14s %s\n", $$1, $$2}'

# Debian and Ubuntu come without ensurepip, and their pip installs nothing into the system;
# into a directory it does, and virtualenv brings its own pip.
venv:
	@$(PY) -m pip --version >/dev/null 2>&1 \
	|| $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 \
	|| { echo "$(PYTHON) -m venv is not to be had here; taking virtualenv." \
	&& $(PYTHON) -m pip install -q --upgrade --target .tools virtualenv \
	&& PYTHONPATH=.tools $(PYTHON) -m virtualenv -q $(VENV); }

$(READY): pyproject.toml
	@$(MAKE) -s venv
	$(PY) -m pip install -q -e '.[dev]'
	@touch $@

.PHONY: demo demo-react npm test test-services lint format typecheck build catalogs screenshots clean help venv
