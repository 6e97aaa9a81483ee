# Requires only python3 with pip, and make. Everything else is installed into $(VENV).
# To change the defaults: PYTHON=python3.12 VENV=/elsewhere PORT=8000 WORKERS=4 make ...

PYTHON ?= python3
VENV ?= .venv
PORT ?= 5000
WORKERS ?= 2
ARGS ?=

PY = $(VENV)/bin/python
REACT = example_app/react
READY = $(VENV)/.ready
DEMO_READY = $(VENV)/.demo-ready
BENCH_VENV = benchmarks/.venv
BENCH_READY = $(BENCH_VENV)/.bench-ready
# With bytecode enabled, pytest rewrites the assertions of a test module only once.
PYTEST = PYTHONDONTWRITEBYTECODE= $(PY) -m pytest
TOGETHER = -n $(WORKERS) --dist worksteal

help: ## list the targets (the default)
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{printf "make %-12s %s\n", $$1, $$2}'

demo: $(DEMO_READY) ## start the example app
	@echo "Open http://127.0.0.1:$(PORT)/ and sign in as demo / demo"
	@echo "An MCP client connects to http://127.0.0.1:$(PORT)/mcp"
	@# The port is in the environment so that the app knows it before it listens.
	@FLASK_RUN_PORT=$(PORT) $(PY) -m flask --app example_app run

demo-react: npm $(DEMO_READY) ## build and serve the React sample; make demo must run too
	cd $(REACT) && npm install --no-audit --no-fund --no-package-lock --loglevel=error
	cd $(REACT) && npm run --silent build
	@echo "Open http://127.0.0.1:5173/ while make demo runs in another terminal, and sign in"
	@echo "there as demo / demo"
	@$(PY) -m flask --app $(REACT)/serve.py run --port 5173

npm:
	@command -v npm >/dev/null \
	|| { echo "npm was not found: install Node.js 20 or newer, which brings it." >&2; exit 1; }

check: lint test ## run lint and the quick tests, as before each commit

test: $(READY) ## run the quick tests, which need only Python
	@# To run some of them: make test ARGS="tests/features -k replay"
	$(PYTEST) $(TOGETHER) $(ARGS)

test-one: $(READY) ## run one test: T=tests/features/test_pkce.py, or T=a_word_of_its_name
	@[ -n "$(T)" ] || { echo "Name a test: make test-one T=tests/features/test_pkce.py" >&2; exit 1; }
	@# If T is not an existing file, it is an expression for -k.
	@t="$(T)"; [ -e "$${t%%::*}" ] || set -- -k; set -x; $(PYTEST) --all "$$@" "$$t" $(ARGS)

test-all: $(READY) ## run every test: browsers, Node, servers and databases too
	@# Tests whose services are missing are skipped with a message; with
	@# PKCE_TEST_REQUIRE_SERVICES=1 they fail. PKCE_TEST_ROUNDS=30 runs each race 30 times.
	$(PYTEST) $(TOGETHER) --all $(ARGS)

coverage: $(READY) ## run every test, and list the lines without coverage
	$(PY) -m coverage erase
	@# pytest-cov would start too late: pytest loads this package's plugin before it.
	PYTHONDONTWRITEBYTECODE= $(PY) -m coverage run -m pytest $(TOGETHER) --all $(ARGS)
	$(PY) -m coverage combine -q
	$(PY) -m coverage report

bench: $(BENCH_READY) ## compare what requests cost on several servers; needs PostgreSQL
	@# To compare less: make bench ARGS="--targets floor,ours --jobs guarded,code"
	@PYTHONPATH=. $(BENCH_VENV)/bin/python -m benchmarks.side_by_side $(ARGS)

lint: $(READY) ## check style, types and the layers
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo

format: $(READY) ## format the code and fix its style
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

typecheck: $(READY) ## check only types
	$(PY) -m mypy

build: $(READY) ## build the wheel and the source distribution into dist/
	rm -rf build dist
	$(PY) -m build

catalogs: $(READY) ## extract the page texts, then update and compile the catalogs
	for command in extract_messages update_catalog; do \
		$(PY) -c "import setuptools; setuptools.setup()" -q $$command || exit 1; \
	done
	@# Remove placeholders that nobody fills in, and a date that would change every time.
	sed -i '/EMAIL@ADDRESS/d; /LL@li.org/d; /YEAR-MO-DA/d; /^"POT-Creation-Date/d' \
		flask_pkce_server/i18n/translations/*/LC_MESSAGES/*.po
	$(PY) -c "import setuptools; setuptools.setup()" -q compile_catalog

screenshots: $(READY) ## take the screenshots for the documentation with Chromium
	PYTHONPATH=. $(PY) docs/make_screenshots.py

clean: ## remove the output of tests and builds, but keep the environment
	rm -rf build dist $(REACT)/dist *.egg-info htmlcov .coverage .coverage.* .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.*' -prune -exec rm -rf {} +

# Debian and Ubuntu ship without ensurepip, and their pip refuses to install into the system.
# It does install into a directory, and virtualenv brings its own pip.
venv:
	@$(PY) -m pip --version >/dev/null 2>&1 \
	|| $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 \
	|| { echo "$(PYTHON) -m venv does not work here; using virtualenv." \
	&& $(PYTHON) -m pip install -q --upgrade --target .tools virtualenv \
	&& PYTHONPATH=.tools $(PYTHON) -m virtualenv -q $(VENV); }

$(READY): pyproject.toml
	@$(MAKE) -s venv
	$(PY) -m pip install -q -e '.[dev]'
	@touch $@ $(DEMO_READY)

# The demo needs no development tools.
$(DEMO_READY): pyproject.toml
	@$(MAKE) -s venv
	$(PY) -m pip install -q -e '.[all]'
	@touch $@

# With npm, node-oidc-provider takes part too.
$(BENCH_READY): pyproject.toml benchmarks/requirements.txt benchmarks/node/package.json
	@$(MAKE) -s venv VENV=$(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install -q -e '.[all]' -r benchmarks/requirements.txt
	@! command -v npm >/dev/null \
	|| (cd benchmarks/node && npm install --no-audit --no-fund --no-package-lock --loglevel=error)
	@touch $@

.PHONY: help demo demo-react npm check test test-one test-all coverage bench lint format typecheck \
	build catalogs screenshots clean venv
