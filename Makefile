# Each target sets up what it needs in .venv; none asks for more than a Python of 3.11 or newer.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready

SECONDS ?= 600
JOBS ?= 2
DIALOGUES ?= 10000
SEED ?= 1
PYSPY := "$(shell sed -n 's/^ *"\(py-spy[^"]*\)".*/\1/p' pyproject.toml)"
ATHERIS := "$(shell sed -n 's/^ *"\(atheris[^"]*\)".*/\1/p' pyproject.toml)"

.PHONY: run test check static fix prove-explain fuzz atheris differential audit sbom bench bench-peers profile py-spy score lock clean
.DEFAULT_GOAL := help

help:  ## says what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(READY): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Angarium needs Python 3.11 or newer; none found (set PYTHON=...)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(READY)  ## serves a worked example on loopback, and says what to type next
	@$(BIN)/python examples/run.py

test: $(READY)  ## runs the tests
	$(BIN)/python -m pytest

static: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: static test  ## format, lint, types, import contracts, tests; never writes

fix: $(READY)  ## writes what the formatter and the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

prove-explain: $(READY)  ## compares explain with live sessions, SESSIONS (100000) of them
	EXPLAIN_SESSIONS=$${SESSIONS:-100000} $(BIN)/python -m pytest -q --timeout 0 tests/testing/test_explain_property.py

fuzz: $(READY) atheris  ## looks for octets that break an invariant: SECONDS (600) a target, JOBS (2) at a time
	@$(BIN)/python -m fuzz.all --seconds $(SECONDS) --jobs $(JOBS)

atheris: $(READY)
	-@$(BIN)/python -m pip install -q --disable-pip-version-check $(ATHERIS)

differential: $(READY)  ## holds DIALOGUES (10000) dialogues with Postfix and with us, and tells what differs
	$(BIN)/python -m tests.differential $(DIALOGUES) $(SEED)

audit:  ## asks for known faults of the dependencies (needs the network)
	@$(PYTHON) -m venv build/audit
	@build/audit/bin/python -m pip install -q --disable-pip-version-check pip-audit
	@build/audit/bin/python packaging/audit.py requirements.lock

sbom: $(READY)  ## writes what a release is made of: build/angarium.cdx.json (CycloneDX)
	$(BIN)/python packaging/sbom.py build/angarium.cdx.json

bench: $(READY)  ## measures (25 minutes): all, or BENCH=compare, latency, spikes, growth, sizing, queue_size, soak; QUICK=1
	@SOAK=$(SOAK) $(BIN)/python -m bench $(BENCH) $(if $(QUICK),--quick)

bench-peers: $(READY)  ## fetches the servers to compare with into build/peers, and installs none
	$(BIN)/python -m bench.peers.unpacked

profile: $(READY) py-spy  ## microseconds for each step of a message's walk, and instructions of the pure parts
	-@$(BIN)/python -m bench.profile $(PROFILE)
	@echo
	@$(BIN)/python -m bench.instructions

py-spy: $(READY)
	-@$(BIN)/python -m pip install -q --disable-pip-version-check $(PYSPY)

score: $(READY)  ## how well reports are read, beside other readers (needs the shared mail collections)
	$(BIN)/python -m bench.score

lock:  ## renews requirements.lock from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --no-emit-index-url --generate-hashes --no-header -q \
		pyproject.toml --group dev -o requirements.lock

clean:
	rm -rf .venv run build dist
