# Two commands matter to a newcomer: `make run` and `make test`. Both build what they need in $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
PEER := .venv-peer
FASTMCP := .venv-fastmcp
TESTS := 7,000
PACKAGES = $(shell grep -c == $(1))

.PHONY: run dev test test-slow test-busy conformance check format docs pictures icons bench bench-crowd bench-events bench-messages bench-tools bench-history bench-pages bench-killing bench-processes bench-importing bench-amounts bench-peer bench-links bench-chronicle bench-chronicle-load lock clean bench-catalogue

run: $(VENV)/.runtime ## start the HTTP application; without PLEX_URL and PLEX_TOKEN it runs the demo household
	@echo "Starting the HTTP application; Ctrl+C ends it."
	@$(BIN)/plex-companion serve --transport http --demo-if-unset $(ARGS)

dev: $(VENV)/.develop ## the same, restarted when a source file changes
	$(BIN)/watchfiles --filter python "$(BIN)/plex-companion serve --transport http --demo-if-unset $(ARGS)" plex_companion

test: $(VENV)/.develop ## every test but the slow ones
	@echo "Running some $(TESTS) tests, three at a time. This takes three to six minutes; the per cent tell how far it is."
	@$(BIN)/python -m pytest -n 3 --dist worksteal -m "not slow" $(ARGS)

test-slow: $(VENV)/.develop ## the slow ones: bursts, big libraries, killed processes, secrets in every kind of trouble
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow $(ARGS)

test-busy: $(VENV)/.develop ## every test but the slow ones, beside four loops that take all the processor they get
	@loops=""; for loop in 1 2 3 4; do $(BIN)/python -c 'while True: pass' & loops="$$loops $$!"; done; \
	trap "kill $$loops" EXIT; $(BIN)/python -m pytest -n 3 --dist worksteal -m "not slow" $(ARGS)

conformance: $(VENV)/.develop .node/.installed $(FASTMCP)/.installed ## the protocol's conformance suite, the TypeScript clients and FastMCP's; needs npm
	$(BIN)/python -m pytest -q tests/node tests/fastmcp $(ARGS)

check: $(VENV)/.develop ## style, types, import order
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_house.py

bench: $(VENV)/.develop ## figures of the live core against their floors, see docs/benchmarks.md; ARGS="E1 E3" narrows
	$(BIN)/python -m benchmarks $(ARGS)

bench-crowd: $(VENV)/.develop ## a thousand streams of which some are never read, and a thousand who only drip
	$(BIN)/python -m benchmarks.slow_clients

bench-events: $(VENV)/.develop ## a thousand streams of MCP Events, and what one occurrence costs them
	$(BIN)/python -m benchmarks.event_streams

bench-messages: $(VENV)/.develop ## messages to people: from the cause to the receiver, and 200 at once
	$(BIN)/python -m benchmarks.messages

bench-tools: $(VENV)/.develop ## what each reading tool costs on a big library, and fifty calls at once
	$(BIN)/python -m benchmarks.tools

bench-history: $(VENV)/.develop ## questions about a million plays, against the bare SQL and a call that does nothing
	$(BIN)/python -m benchmarks.history $(ARGS)

bench-pages: $(VENV)/.develop ## every page on a million plays and 100,000 items, beside a static file; in Chromium too, where there is one
	$(BIN)/python -m benchmarks.pages $(ARGS)

bench-killing: $(VENV)/.develop ## kill -9 at 200 random points while writing, and see that what is left agrees
	$(BIN)/python -m benchmarks.crash_recovery $(ARGS)

bench-processes: $(VENV)/.develop ## five processes on one database, whose writer is killed ten times; ARGS="3 2" for less
	$(BIN)/python -m benchmarks.processes $(ARGS)

bench-chronicle: $(VENV)/.develop ## three machines with one chronicle, whose leader is killed 200 times; ARGS=10 for less
	PYTHONPATH=tests $(BIN)/python -m benchmarks.chronicle $(ARGS)

bench-chronicle-load: $(VENV)/.develop ## what a chronicle costs with a hundred servers, per machine; ARGS=10 for less
	PYTHONPATH=tests $(BIN)/python -m benchmarks.chronicle_load $(ARGS)

bench-links: $(VENV)/.develop ## a hundred servers in one companion beside one
	$(BIN)/python -m benchmarks.links

bench-catalogue: $(VENV)/.develop ## fill the catalogue of 20,000 items, and search it; ARGS=100000 for more
	$(BIN)/python -m benchmarks.catalogue $(ARGS)

bench-amounts: $(VENV)/.develop ## how long the loop is held when Plex answers with far too much; ARGS="sessions frame" for less
	$(BIN)/python -m benchmarks.huge_answers $(ARGS)

bench-importing: $(VENV)/.develop ## Plex's whole history imported while somebody presses pause; ARGS=20000 for fewer rows
	$(BIN)/python -m benchmarks.history_import $(ARGS)

bench-peer: $(VENV)/.develop $(PEER)/.installed ## beside the server it replaces, in an environment of its own; ARGS="S1 R5" for less
	$(BIN)/python -m benchmarks.peer $(PEER)/bin/plex-mcp-server $(ARGS)

format: $(VENV)/.develop
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.develop ## write what derives from declarations: the tool table, the schema snapshot, .env.example
	$(BIN)/python docs/render.py
	$(BIN)/python docs/contract.py

pictures: $(VENV)/.develop ## take the pictures of the dashboard anew; needs Chromium
	$(BIN)/python docs/pictures.py

icons: $(VENV)/.develop ## draw the icons of the installed page anew; needs Chromium
	$(BIN)/python docs/icons.py

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate
lock: $(VENV)/.develop ## renew the pins; needs the network, changes requirements*.lock
	$(PIP) uv
	$(COMPILE) --all-extras -o requirements.lock pyproject.toml
	$(COMPILE) -c requirements.lock --all-extras --group dev -o requirements-dev.lock pyproject.toml
	$(COMPILE) -c requirements-dev.lock --group build -o requirements-build.lock

clean:
	rm -rf .venv .venv-* .node .mypy_cache .pytest_cache .ruff_cache dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "plex-companion needs Python 3.11 or newer; '$(PYTHON)' is older. Try: make PYTHON=python3.12 run"; exit 1; }
	@echo "First time: making a virtual environment in $(VENV) (a few seconds)."
	@$(PYTHON) -m venv $(VENV)

# The build backend is pinned too, and installed first, so that nothing unlocked is fetched in between.
$(VENV)/.runtime: requirements.lock pyproject.toml $(VENV)/bin/python
	@echo "Installing $(call PACKAGES,requirements.lock) pinned packages: half a minute to two minutes, without further words."
	@$(PIP) --require-hashes -r requirements-build.lock
	@$(PIP) --require-hashes -r requirements.lock
	@echo "Installing plex-companion itself (a few seconds)."
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.develop: requirements-dev.lock pyproject.toml $(VENV)/bin/python
	@echo "Installing $(call PACKAGES,requirements-dev.lock) pinned packages for development: one to three minutes, without further words."
	@$(PIP) --require-hashes -r requirements-dev.lock
	@echo "Installing plex-companion itself (a few seconds)."
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime

# What plex-companion is measured beside. Nothing else uses it.
$(PEER)/.installed:
	@echo "Installing plex-mcp-server 1.5.0 in $(PEER) (a minute)."
	@$(PYTHON) -m venv $(PEER)
	@$(PEER)/bin/python -m pip --disable-pip-version-check install --quiet plex-mcp-server==1.5.0
	@touch $@

# A client that nobody here wrote, in an environment of its own: it pins the SDK.
$(FASTMCP)/.installed:
	@echo "Installing FastMCP in $(FASTMCP) (half a minute)."
	@$(PYTHON) -m venv $(FASTMCP)
	@$(FASTMCP)/bin/python -m pip --disable-pip-version-check install --quiet fastmcp==4.2.3
	@touch $@

# Packages of other people that the tests talk to. The scripts of packages are not run.
.node/.installed: tests/node/package.json tests/node/package-lock.json
	@mkdir -p .node
	cp tests/node/package.json tests/node/package-lock.json .node
	cd .node && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@
