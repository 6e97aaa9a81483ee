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
DEMO_READY = $(VENV)/.demo-ready
# With bytecode written, pytest prepares the assertions of a test module once and not each time.
PYTEST = PYTHONDONTWRITEBYTECODE= $(PY) -m pytest
TOGETHER = -n $(WORKERS) --dist worksteal

help: ## list what there is to make (the default)
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{printf "make %-12s %s\n", $$1, $$2}'

demo: $(DEMO_READY) ## start the example app
	@echo "Open http://127.0.0.1:$(PORT)/ and sign in as demo / demo"
	@echo "An MCP client connects to http://127.0.0.1:$(PORT)/mcp"
	@# By the environment, so that the app knows its port before it listens on it.
	@FLASK_RUN_PORT=$(PORT) $(PY) -m flask --app example_app run

demo-react: npm $(DEMO_READY) ## build the React sample and serve it, beside make demo
	cd $(REACT) && npm install --no-audit --no-fund --no-package-lock --loglevel=error
	cd $(REACT) && npm run --silent build
	@echo "Open http://127.0.0.1:5173/ while make demo runs in another terminal, and sign in"
	@echo "there as demo / demo"
	@$(PY) -m flask --app $(REACT)/serve.py run --port 5173

npm:
	@command -v npm >/dev/null \
	|| { echo "npm is not here: install Node.js 20 or newer, which brings it." >&2; exit 1; }

check: lint test ## lint and the quick tests: what to run before a commit

test: $(READY) ## run the quick tests, which need Python alone
	@# A part of them: make test ARGS="tests/features -k replay"
	$(PYTEST) $(TOGETHER) $(ARGS)

test-one: $(READY) ## run one test: T=tests/features/test_pkce.py, or T=a_word_of_its_name
	@[ -n "$(T)" ] || { echo "Say which: make test-one T=tests/features/test_pkce.py" >&2; exit 1; }
	@# A path is one if its file is there; everything else is an expression for -k.
	@t="$(T)"; [ -e "$${t%%::*}" ] || set -- -k; set -x; $(PYTEST) --all "$$@" "$$t" $(ARGS)

test-all: $(READY) ## run every test: browsers, Node, servers and databases too
	@# What is not on the machine is skipped, with a word; with PKCE_TEST_REQUIRE_SERVICES=1 it
	@# is a failure. PKCE_TEST_ROUNDS=30 runs each race 30 times.
	$(PYTEST) $(TOGETHER) --all $(ARGS)

coverage: $(READY) ## run every test, and list the lines that none of them runs
	$(PY) -m coverage erase
	@# pytest-cov would begin too late: pytest loads the plugin of this package before it.
	PYTHONDONTWRITEBYTECODE= $(PY) -m coverage run -m pytest $(TOGETHER) --all $(ARGS)
	$(PY) -m coverage combine -q
	$(PY) -m coverage report

lint: $(READY) ## check style, types and the layers
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
	@touch $@ $(DEMO_READY)

# A demo needs none of the tools.
$(DEMO_READY): pyproject.toml
	@$(MAKE) -s venv
	$(PY) -m pip install -q -e '.[all]'
	@touch $@

.PHONY: help demo demo-react npm check test test-one test-all coverage lint format typecheck build catalogs \
	screenshots clean venv
