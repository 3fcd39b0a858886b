# Every target does all its own set-up; a second call goes straight to work.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup install demo test test-long fuzz test-next lint format zip bench \
	styles models pictures docs translations screenshots resources clean

BIN := .venv/bin
# Tests run in as many processes as there are cores, up to four; those of a file stay together, as they share what it makes.
# Threads of OpenMP (XGBoost) that wait would otherwise keep their cores from the tests beside.
PYTEST := OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile
export QT_QPA_PLATFORM ?= offscreen
export QGIS_PLUGINPATH := $(CURDIR)/build/plugins
export QGIS_CUSTOM_CONFIG_PATH := $(CURDIR)/build/profile
export PYTHONDONTWRITEBYTECODE := 1

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## install QGIS (if 3.40 or newer is absent) and the virtual environment
	@sh scripts/setup.sh

install: setup # the built wheel, in the virtual environment and as a plugin of an own QGIS profile
	@$(BIN)/python scripts/install.py

demo: install ## make the sample region, run the complete chain and the trend model, draw maps, score them
	@$(BIN)/python scripts/demo.py

test: install ## run the tests
	@$(PYTEST) -m "not long"

test-long: install ## run the slow tests too
	@$(PYTEST)

test-next: ## run the tests on the QGIS of Debian sid, in a Debian of its own (root; fetches 1 GB)
	@sh scripts/test_next.sh

lint: setup ## check style, names, docstrings, and what the plugin repository's gate checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/bandit -q -r gwsa_qgis processing_provider
	@! grep -rnE "^ *(import|from) PyQt[56]" --include=*.py gwsa_qgis processing_provider scripts tests
	@$(BIN)/python scripts/check_enums.py

format: setup ## format the code
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .

fuzz: install ## feed 200,000 damaged files to the readers and the loader of models (a quarter of an hour)
	@$(BIN)/python scripts/fuzz.py

zip: install ## build the plugin zip, build/dist/gwsa_qgis.zip
	@$(BIN)/python scripts/install.py --zip

bench: install ## measure against peers and bare minima; prints tables, writes build/bench
	@$(BIN)/python -m benchmarks

styles: setup ## rebuild the layer styles
	@QT_HASH_SEED=0 $(BIN)/python scripts/build_styles.py

models: install ## rebuild the bundled models
	@QT_HASH_SEED=0 $(BIN)/python models/build_models.py

pictures: setup ## redraw the schemes in the algorithms' help
	@$(BIN)/python scripts/build_pictures.py

docs: install ## rebuild the pages of the algorithms
	@$(BIN)/python scripts/build_docs.py

translations: install ## collect all texts for translators in build/gwsa.ts
	@$(BIN)/python scripts/build_translations.py

screenshots: install ## drive a real QGIS window through the tutorial, take its pictures
	@sh scripts/setup.sh window
	@$(BIN)/python scripts/real_window.py

resources: ## build/resources.rcc from resources.qrc (needs Qt's rcc)
	@mkdir -p build && rcc --binary resources.qrc -o build/resources.rcc

clean: ## remove what was built, the virtual environment stays
	@rm -rf build
