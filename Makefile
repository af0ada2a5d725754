# `make` says what there is. Everything happens in .venv; nothing is installed outside this folder.
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup dev check format

help: ## Say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.done ## Make the virtual environment with everything for development

$(VENV)/.done: pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/pip install -q -e '.[dev]'
	touch $@

dev: setup ## Run it with demo data in ./data
	FLOWSERVER_DATA=data $(BIN)/flowserver demo --once
	FLOWSERVER_DATA=data FLOWSERVER_LOG_LEVEL=DEBUG $(BIN)/flowserver up

check: setup ## What .ci/run checks: format, lint, types, layers, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy flowserver
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n auto

format: setup ## Format the code
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .
