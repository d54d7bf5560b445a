# `make demo` and `make test` are all that a newcomer needs. Everything lives in .venv.

PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
BIN := .venv/bin

.PHONY: test lint serve format lock clean

test: .venv/dev
	$(BIN)/pytest -n 2 --dist worksteal

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# Without a key and without another model, the service talks to the simulated Gemini.
serve: .venv/runtime
	@if [ -n "$$GOOGLE_API_KEY" ] || [ -n "$$SELFHEAL_MODEL" ]; then \
	  exec $(BIN)/selfheal serve; \
	else \
	  exec $(BIN)/python -m simulator -- $(BIN)/selfheal serve; \
	fi

.venv/runtime: requirements.lock pyproject.toml
	@$(MAKE) --no-print-directory .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/dev: requirements-dev.lock pyproject.toml
	@$(MAKE) --no-print-directory .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@ .venv/runtime

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "selfheal needs Python 3.11 or newer: install it, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "selfheal needs Python's venv module: on Debian and Ubuntu, apt install python3-venv"; exit 1; }

lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade --quiet -o requirements.lock
	uv pip compile pyproject.toml --group dev -c requirements.lock --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade --quiet -o requirements-dev.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .langgraph_api
