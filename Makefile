# Everything below sets itself up: Python with pip (3.10 or newer; for the tests, whose oracle is
# transformers 5.23, 3.11 or newer; see PYTHON), and make, are enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH_READY := $(VENV)/.installed-torch
READY := $(VENV)/.installed
TEST_READY := $(VENV)/.installed-test
OPTIMUM_READY := .venv-optimum/.installed
OPENVINO_READY := .venv-openvino/.installed
BUILD_VENV := .venv-build
BUILD_READY := $(BUILD_VENV)/.installed
KERNELS_READY := .venv-kernels/.installed
KERNELS_ARM := build/aarch64/wheels
BUILD_KERNELS := .venv-kernels/bin/python plugins/kernels/build_wheels.py
DESKTOP_BIN := .venv-desktop/bin
DESKTOP_READY := .venv-desktop/.installed
DESKTOP_BUNDLE := build/desktop/bundle/manifest.json
DESKTOP = PYTHONPATH=examples:benchmarks $(DESKTOP_BIN)/python
DIST := dist
SERVE_BUNDLE := build/serve/pegasus-mini/manifest.json
DOCS_READY := .venv-docs/.installed
CHECKPOINTS := examples/checkpoints
CLIENTS := build/clients
NODE_READY := $(CLIENTS)/node.installed
WEB_READY := $(CLIENTS)/web.installed
CPP_READY := $(CLIENTS)/cpp.installed
# Of one precision at a time: all at once do not fit 24 GB.
INT8_ENGINES := pegasus-edge-int8,pegasus-edge-int8-stock-operators,ctranslate2-int8,openvino-int8
FP32_ENGINES := pegasus-edge-fp32,ctranslate2-fp32,openvino-fp32,optimum-fp32,transformers-fp32
CASES ?= 60
TEXTS ?= 40
BUNDLES ?= 5000
ATTACK ?=
GATE ?=
REPORTS ?= 50
ROUNDS ?= 100

# pip would compile every module it installs, most of which are never imported: the first import
# compiles instead, which must then be allowed to keep what it compiled.
INSTALL := -m pip install --quiet --no-compile --disable-pip-version-check
PIP_INSTALL := $(BIN)/python $(INSTALL)
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv test test-fast demo lint format parity pipelines sharp attack bench gpu-prepare gpu-gate gpu-gate-mutations gpu-figures docs house figures wheel kernels kernel-wheels kernels-check aarch64 desktop desktop-test desktop-app desktop-screenshots clients web-test serve-test serve-screenshots clean

help:  ## list the targets
	@awk -F ":.*## " "/^[a-z0-9-]+:.*## / { printf \"%-18s %s\\n\", \$$1, \$$2 }" Makefile

venv: $(TEST_READY)  ## the environment, in .venv; PYTHON=python3.12 picks the interpreter

# Files go to the two processes in the order of tests/slow_tests.py, the longest first.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test:  ## check style and types, then run all tests (10 min on 2 cores)
	$(MAKE) --no-print-directory --jobs 2 lint docs $(OPTIMUM_READY) $(BUILD_READY) \
		$(NODE_READY) $(CPP_READY)
	PEGASUS_EDGE_PEERS=required $(PYTEST)

test-fast: $(TEST_READY)  ## after an edit: ruff, and the tests that take no seconds (90 s)
	$(BIN)/ruff check --quiet
	$(PYTEST) -m "not slow" --quiet

demo: $(READY)  ## export the demo checkpoints, and summarize the example articles with them
	$(BIN)/pegasus-export --model $(CHECKPOINTS)/pegasus-mini --output build/pegasus-mini --force
	@for article in examples/articles/*.txt; do \
		printf "\n%s\n" "$$article"; \
		$(BIN)/pegasus-summarize build/pegasus-mini "$$article" --newlines original || exit 1; \
	done
	$(BIN)/pegasus-export --model $(CHECKPOINTS)/bigbird-mini --output build/bigbird-mini --force
	@for article in examples/long_articles/*.txt; do \
		printf "\n%s (%s words)\n" "$$article" $$(wc -w < "$$article"); \
		$(BIN)/pegasus-summarize build/bigbird-mini "$$article" --newlines original || exit 1; \
	done

lint: $(TEST_READY)  ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(TEST_READY)  ## rewrite the sources in the house style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

parity: $(TEST_READY)  ## random options and checkpoints against transformers, CASES=60 for each of six runs
	$(BIN)/python -m pytest tests/e2e/test_parity.py --parity-cases $(CASES)

pipelines: $(TEST_READY) $(OPTIMUM_READY)  ## our pipelines against transformers 4.57's, TEXTS=40 with 10 sets of options each (10 min)
	$(BIN)/python -m pytest tests/e2e/test_pipelines.py --pipeline-texts $(TEXTS)

sharp: $(TEST_READY)  ## CASES=60 random checkpoints that amplify rounding: sound exports pass, damaged ones do not
	$(BIN)/python -m pytest tests/sharp --sharp-cases $(CASES) --numprocesses 2 --dist load

attack: $(TEST_READY)  ## try to break it (2 h): BUNDLES=5000 mutated ones; ATTACK="kills --kills 20" for a part
	PYTHONPATH=tests:benchmarks $(BIN)/python -m attack --bundles $(BUNDLES) \
		--json build/attack/outcomes.json $(ATTACK)

bench: $(TEST_READY) $(OPTIMUM_READY) $(OPENVINO_READY)  ## every benchmark of a CPU, in build/benchmarks (4 hours, 16 GB memory, 33 GB disk)
	for question in export_cost throughput scaling memory long_documents local_documents \
			precision_quality streaming long_chunks ray_dataset serving; do \
		$(BIN)/python benchmarks/$$question.py --json build/benchmarks/$$question.json || exit 1; \
	done
	$(BIN)/python benchmarks/latency.py --engines $(INT8_ENGINES) \
		--json build/benchmarks/latency.json
	$(BIN)/python benchmarks/latency.py --engines $(FP32_ENGINES) --batch 1 \
		--json build/benchmarks/latency_fp32.json
	-$(BIN)/python benchmarks/cpu_kernels.py --json build/benchmarks/cpu_kernels.json
	$(BIN)/python benchmarks/export_cost.py --what plans --json build/benchmarks/plan_cost.json
	$(BIN)/python benchmarks/precision_quality.py --target trt-rtx --provider cpu \
		--json build/benchmarks/precision_plans.json

# What needs no GPU is made beforehand, on any machine, and carried: build/gpu. On the GPU's machine
# GPU_PYTHON may be any Python that has the packages.
GPU_PYTHON ?= $(BIN)/python
GATE_COMMAND = PYTHONPATH=tests:benchmarks $(GPU_PYTHON) -m gpu --prepared build/gpu/prepared

gpu-prepare: $(TEST_READY)  ## what gpu-gate and gpu-figures take along, made without a GPU, and its sizes (30 min)
	$(GATE_COMMAND) prepare
	$(BIN)/python benchmarks/gpu_figures.py --work-dir build/gpu/figures --prepare

gpu-gate:  ## does the GPU path work on this GPU? one table, and build/gpu/gate.json (5 min); GATE=--stand-ins
	$(GATE_COMMAND) --json build/gpu/gate.json $(GATE)

gpu-gate-mutations:  ## damaged copies of the runtime, each of which has to fail gpu-gate (2 min, no GPU)
	$(GATE_COMMAND) mutations --cases 6 --documents 40

gpu-figures:  ## how fast it is on this GPU, beside its peers, and build/gpu/figures.json (8 min)
	$(GPU_PYTHON) benchmarks/gpu_figures.py --work-dir build/gpu/figures --json build/gpu/figures.json

# Pages are gathered anew and built from nothing: a warning that is cached is not told again.
docs: $(DOCS_READY)  ## build the site, in build/site; a dead link or a missing docstring fails
	$(PYTHON) docs/site/gather_pages.py build/pages
	PYTHONPATH=docs/site .venv-docs/bin/zensical build --clean --strict
	@! grep -rlE '(src=|<link[^>]* href=)"(https?:)?//' build/site --include '*.html' || \
		{ echo "these pages load something from another host"; exit 1; }

house:  ## write docs/house.svg and the table of rooms from the sources
	$(PYTHON) docs/site/draw_house.py

figures:  ## write the figures of docs/figures into the pages that show them
	$(PYTHON) docs/render_figures.py

wheel: $(BUILD_READY)  ## build the source archive, and the wheel from it, in dist
	$(BUILD_VENV)/bin/python -m build --no-isolation --outdir $(DIST)

kernels: $(KERNELS_READY)  ## the wheel of pegasus-edge-kernels for this machine, in dist; pip install it (2 min)
	$(BUILD_KERNELS) --output $(DIST)

kernel-wheels: $(KERNELS_READY)  ## the same for Linux on x86-64 and aarch64, Windows and macOS (5 min)
	$(BUILD_KERNELS) --output $(DIST) --all

# What a sanitizer finds ends the program.
KERNELS_DRIVER = $(addprefix plugins/csrc/cpu/harness/,drive_kernels.cpp plain_kernels.cpp)

kernels-check:  ## the kernels with random shapes, under g++'s sanitizers of memory, of what is undefined, of threads (4 min)
	for sanitizer in address,undefined thread; do \
		$(PYTHON) plugins/kernels/build_library.py --output build/kernels-check/$$sanitizer \
			--compiler "g++ -g -fsanitize=$$sanitizer -fno-sanitize-recover=all" \
			--program $(KERNELS_DRIVER) && build/kernels-check/$$sanitizer $(ROUNDS) || exit 1; \
	done

aarch64: $(KERNELS_READY) $(TEST_READY)  ## tokens of an emulated aarch64, with and without kernels, are those of here (5 min)
	rm -rf $(KERNELS_ARM)
	$(BUILD_KERNELS) --platform linux-aarch64 --output $(KERNELS_ARM)
	PYTHONPATH=tests $(BIN)/python -m aarch64 --kernels $(KERNELS_ARM)/*.whl

desktop: $(DESKTOP_BUNDLE)  ## the desktop application of examples/desktop
	$(DESKTOP) -m desktop

desktop-test: $(DESKTOP_READY)  ## its types, and the tests of its window, on no screen (15 s)
	MYPYPATH= $(DESKTOP_BIN)/mypy --follow-imports silent -p desktop
	QT_QPA_PLATFORM=offscreen $(DESKTOP_BIN)/python -m pytest tests/examples/desktop/test_window.py \
		--noconftest -o qt_log_level_fail=WARNING -o qt_log_ignore=propagateSizeHints

desktop-app: $(DESKTOP_BUNDLE)  ## package it as a folder and as a file in build/desktop, and try both (3 min)
	$(DESKTOP) -m desktop.package --json build/desktop/desktop.json

desktop-screenshots: $(DESKTOP_BUNDLE)  ## docs/desktop-light.png and its like, of what it looks like now
	QT_QPA_PLATFORM=offscreen $(DESKTOP) -m desktop.screenshots docs

# In the tests of `make test` three sentences are enough, and the page's are left to web-test.
CLIENT_TESTS = $(BIN)/python -m pytest tests/examples/test_javascript.py

clients: $(TEST_READY) $(WEB_READY) $(CPP_READY)  ## Node, C++ and Chromium against Python, REPORTS=50 in fp32 and int8 (10 min)
	$(CLIENT_TESTS) tests/examples/test_clients.py tests/examples/test_web.py --client-reports $(REPORTS)

web-test: $(TEST_READY) $(WEB_READY)  ## the page of examples/web in headless Chromium, and build/clients/web-900.png (1 min)
	$(CLIENT_TESTS) tests/examples/test_web.py

serve-test: $(TEST_READY)  ## all tests of pegasus-serve: its page in headless Chromium, the curl lines of the docs (1 min)
	$(BIN)/python -m pytest tests/serve tests/examples/test_serve_files.py --all-of-serve

serve-screenshots: $(SERVE_BUNDLE) $(TEST_READY)  ## docs/serve-light.png and its like, of what the page looks like now
	PYTHONPATH=tests $(BIN)/python -m serve.screenshots $(<D) docs

clean:  ## remove everything that make made
	rm -rf $(VENV) $(VENV)-* build dist examples/node_modules .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first and alone, so that a CPU build found here is not traded for a larger one.
$(TORCH_READY): constraints.txt
	@$(PYTHON) -c "import sys; sys.version_info >= (3, 10) or sys.exit( \
		\"Python %d.%d found, 3.10 or newer needed: make PYTHON=python3.12 …\" % sys.version_info[:2])"
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) "$$(grep "^torch==" constraints.txt)"
	@touch $@

$(READY): pyproject.toml $(TORCH_READY)
	$(PIP_INSTALL) --editable ".[cpu,export]" --constraint constraints.txt
	@touch $@

# All at once: it holds what $(READY) does.
$(TEST_READY): pyproject.toml $(TORCH_READY)
	@$(BIN)/python -c "import sys; sys.version_info >= (3, 11) or sys.exit( \
		\"Python %d.%d found, the tests need 3.11 or newer: make clean test PYTHON=python3.12\" \
		% sys.version_info[:2])"
	$(PIP_INSTALL) --editable ".[cpu,export,test,bench]" --constraint constraints.txt
	@touch $(READY) $@

# A wheel needs none of what the tests need: two small libraries, and those that they need.
$(BUILD_READY): constraints.txt
	$(PYTHON) -m venv --clear $(BUILD_VENV)
	$(BUILD_VENV)/bin/python $(INSTALL) build hatchling --constraint constraints.txt
	@touch $@

$(KERNELS_READY): constraints.txt plugins/kernels/pyproject.toml
	$(PYTHON) -m venv --clear .venv-kernels
	.venv-kernels/bin/python $(INSTALL) hatchling ziglang auditwheel --constraint constraints.txt
	@touch $@

# Of its own, as what it packages is what is in it: no torch, nothing of the exporter.
$(DESKTOP_READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv-desktop
	$(DESKTOP_BIN)/python $(INSTALL) --editable ".[cpu,desktop]" mypy psutil \
		--constraint constraints.txt
	@touch $@

$(DESKTOP_BUNDLE): | $(READY) $(DESKTOP_READY)
	$(BIN)/pegasus-export --model $(CHECKPOINTS)/pegasus-mini --precision int8 \
		--output $(@D) --force

$(SERVE_BUNDLE): | $(READY)
	$(BIN)/pegasus-export --model $(CHECKPOINTS)/pegasus-mini --precision int8 \
		--output $(@D) --force

$(OPTIMUM_READY): benchmarks/constraints-optimum.txt
	$(PYTHON) benchmarks/peers.py optimum

$(OPENVINO_READY): benchmarks/constraints-openvino.txt
	$(PYTHON) benchmarks/peers.py openvino

$(DOCS_READY): docs/requirements.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --no-compile --disable-pip-version-check \
		--requirement docs/requirements.txt
	@touch $@

# Other languages' packages are not everywhere: what cannot be had is told here, and the tests that
# need it are skipped and say so. No package's install script is run.
NPM_CI = npm ci --prefix examples --ignore-scripts --no-audit --no-fund --loglevel error

NODE_WORKSPACES = $(patsubst examples/%/package.json,--workspace %, \
	$(wildcard examples/node/package.json examples/transformers-js/package.json))

$(NODE_READY): examples/package-lock.json
	@mkdir -p $(CLIENTS)
	-@$(NPM_CI) $(NODE_WORKSPACES) && touch $@

$(WEB_READY): examples/package-lock.json
	@mkdir -p $(CLIENTS)
	-@$(NPM_CI) && touch $@ $(NODE_READY)

$(CPP_READY): examples/cpp/summarize.cpp examples/cpp/CMakeLists.txt examples/cpp/build_here.sh $(TEST_READY)
	@mkdir -p $(CLIENTS)
	-@MAKEFLAGS= sh examples/cpp/build_here.sh $(BIN)/python $(CLIENTS)/cpp >$(CLIENTS)/cpp.log && touch $@
