# Two commands do everything: `make run` (ARGS="--serve" for headless) and `make test`.
PYTHON ?= python3
UV_VERSION := 0.13.8
UV := $(shell command -v uv 2>/dev/null || echo build/uv/bin/uv)
PY := .venv/bin/python

.PHONY: run install dev test test-slow check screenshots clean

run: install
	@.venv/bin/footplate $(ARGS)

install: .venv/.installed
dev: .venv/.dev

build/uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Footplate needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet uv==$(UV_VERSION)

.venv/bin/python: | $(filter build/uv/bin/uv,$(UV))
	$(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv

# The flags that llama.cpp needs are asked of the compiler and the processor at hand, and are part of uv's cache key.
.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing (compiling llama.cpp takes some minutes the first time) ..."
	$(UV) pip install --quiet --python $(PY) -c constraints.txt $$($(PYTHON) scripts/llama-build-flags) -e .
	@touch $@

.venv/.dev: .venv/.installed
	$(UV) pip install --quiet --python $(PY) -c constraints.txt --group dev
	@touch $@

test: dev
	$(PY) -m pytest -n 2 -m "not slow" $(ARGS)

test-slow: dev
	$(PY) -m pytest -m slow $(ARGS)

check: dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

screenshots: dev
	$(PY) scripts/screenshots

clean:
	rm -rf .venv build dist
