# Begin with `make demo` and `make test`. Everything is installed into .venv.

RECENT := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,\
  $(shell $(p) -c '$(RECENT)' 2>/dev/null && echo $(p))))
BIN := .venv/bin
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --upgrade --quiet --extra server --group build
# A lock is complete, so nothing is resolved: older pips resolve extras again, and then refuse releases
# that are newer than the lock.
LOCKED := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r
EDITABLE := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
  --no-build-isolation --editable .
CHECK := found=$$($(BIN)/python -m pip --disable-pip-version-check check) || { echo "$$found" >&2; exit 1; }
# A .venv that is incomplete, or whose interpreter is gone, is created again.
BROKEN := $(shell $(BIN)/python -c 'import pip; $(RECENT)' 2>/dev/null || echo .venv/pyvenv.cfg)

# What `make check` runs besides lint: unit tests of the product, and a core of those on a real Postgres.
# The slowest of the former, and the simulator's own, are left to `make test`.
SLOW := $(wildcard tests/unit/test_simulator_*.py) $(patsubst %,tests/unit/test_%.py,\
  advance channel distributions folding parsers settings statistics)
CORE := $(filter-out $(SLOW),$(wildcard tests/unit/test_*.py)) \
  $(patsubst %,tests/integration/test_%.py,migrate pool prompts runs queue)

.PHONY: demo check test test-latest coverage lint words bench chaos serve studio format lock clean $(BROKEN)

# Without a key this uses a SIMULATED Gemini; with GOOGLE_API_KEY set, Gemini itself.
demo: .venv/runtime
	@$(BIN)/selfheal demo

# Four workers on two cores: much of the time is spent waiting for processes to start and leases to expire.
test: .venv/dev
	$(BIN)/pytest -n 4 --dist worksteal

# The fast tier: a minute once installed.
check: lint
	$(BIN)/pytest -q -n 2 --dist worksteal $(CORE)

# The newest release of every dependency, in a separate environment: shows what the locks hide.
test-latest:
	$(PYTHON) -m venv --clear .venv-latest
	.venv-latest/bin/python -m pip install --quiet --upgrade pip
	.venv-latest/bin/python -m pip install --quiet --upgrade --group build --group dev --editable '.[server]'
	.venv-latest/bin/pytest -n 4 --dist worksteal tests/unit tests/integration tests/e2e

# Branch coverage of the product over a whole run of the tests, or of a part: TESTS=tests/unit
coverage: .venv/dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n 4 --dist worksteal $(TESTS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python .ci/words.py

# Words that the project's texts do not use. Standard library only, so it needs no environment.
words:
	@$(or $(PYTHON),python3) .ci/words.py

# The source of the documentation's figures; minutes, not seconds. The healing experiment takes hours
# and resumes where it stopped: python -m bench.healing.
bench: .venv/dev
	$(BIN)/python -m bench.attacks
	$(BIN)/python -m bench.humaneval
	$(BIN)/python -m bench.poison
	$(BIN)/python -m bench.sandbox
	$(BIN)/python -m bench.serving overhead throughput

# Kills at more moments, and a thousand hostile programs in a row on every sandbox that works.
chaos: .venv/dev
	$(BIN)/pytest -n 2 --dist worksteal -m chaos
	$(BIN)/python -m bench.hostile

format: .venv/dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# Without a key and without another model, model calls go to the simulated Gemini.
WITH_MODEL = if [ -n "$$GOOGLE_API_KEY$$SELFHEAL_MODEL" ]; then exec $(1); \
  else exec $(BIN)/python -m simulator -- $(1); fi
# Not from the environment, where PORT and HOST may belong to another program.
GIVEN = $(if $(filter command,$(origin $(1))),$(2) $($(1)))

# make serve PORT=8010 HOST=0.0.0.0
serve: .venv/runtime
	@$(call WITH_MODEL,$(BIN)/selfheal serve $(call GIVEN,PORT,--port) $(call GIVEN,HOST,--host))

studio: .venv/dev
	@$(call WITH_MODEL,$(BIN)/langgraph dev)

.venv/runtime: requirements.lock pyproject.toml .venv/pyvenv.cfg
	@echo "selfheal: installing its dependencies into .venv: a minute or two, the first time"
	@$(LOCKED) requirements.lock
	@$(EDITABLE)
	@$(CHECK)
	@touch $@

.venv/dev: requirements-dev.lock pyproject.toml .venv/pyvenv.cfg
	@echo "selfheal: installing the dependencies of its tests into .venv: a minute or two, the first time"
	@$(LOCKED) requirements-dev.lock
	@$(EDITABLE)
	@$(CHECK)
	@touch $@ .venv/runtime

.venv/pyvenv.cfg:
	@$(or $(PYTHON),false) -c '$(RECENT)' 2>/dev/null || { \
	  echo "selfheal needs Python 3.11 or later$(PYTHON:%=, and % is not): install it," \
	    "or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "selfheal needs Python's venv module, and $(PYTHON) has none:" \
	    "on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv

lock:
	$(COMPILE) -o requirements.lock
	$(COMPILE) --group dev -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf .coverage* .venv .venv-latest .mypy_cache .ruff_cache .pytest_cache .hypothesis .langgraph_api
