# The words that CI and a laptop both type. Each builds what it needs; `make` alone lists them.
#
#   CMAKE_ARGS   more arguments for configuring, such as -DCMAKE_PREFIX_PATH=... for another libtorch
#   RETORT_PYTHON  the interpreter whose PyTorch the Python package is built for and tested with
#   RETORT_DEPS  a folder made by `make deps-bundle`: nothing is installed, its headers are used
.DEFAULT_GOAL := help
SHELL := /bin/bash
JOBS ?= $(shell nproc)
CMAKE_ARGS ?=
RETORT_DEPS ?=
RELEASE := build/release
CONFIGURE := cmake -DRETORT_DEPS=$(abspath $(RETORT_DEPS)) $(CMAKE_ARGS) --preset
DEPS := $(if $(RETORT_DEPS),@:,@scripts/install_deps.sh)
# One version from PyPI, so that formatting does not depend on the machine.
FORMATTER := .local/format/bin/clang-format
SOURCES = $(shell find include src tests examples benchmarks python/src -name '*.h' -o -name '*.cpp')

.PHONY: help demo combinations test test-python test-slow build bench deps deps-bundle lint format asan tidy fuzz \
  install-test check-all clean

help: ## list these words
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

demo: ## distil the built-in set at 1 and 10 images per class, and judge it (5 minutes on 2 cores)
	$(DEPS) build
	@$(CONFIGURE) release
	@cmake --build --preset release --target retort_cli -j $(JOBS)
	@scripts/demo.sh $(RELEASE)/retort

combinations: ## a table of objectives times parametrisations at equal bytes (hours)
	$(DEPS) build
	@$(CONFIGURE) release
	@cmake --build --preset release --target retort_cli -j $(JOBS)
	@scripts/combinations.py $(RELEASE)/retort runs/combinations

test: ## build everything and run the fast tests
	$(DEPS) build pytorch
	@$(CONFIGURE) release
	@cmake --build --preset release -j $(JOBS)
	@ctest --preset release
	@JOBS=$(JOBS) scripts/test_python.sh -DRETORT_DEPS=$(abspath $(RETORT_DEPS))

test-python: ## build the Python package for the PyTorch of RETORT_PYTHON (python3) and run its tests
	@mkdir -p build
	@JOBS=$(JOBS) scripts/test_python.sh -DRETORT_DEPS=$(abspath $(RETORT_DEPS))

test-slow: build ## run the slow tests (an hour or so)
	@ctest --preset slow

build: ## build the library, the program and the tests
	$(DEPS) build
	@$(CONFIGURE) release
	@cmake --build --preset release -j $(JOBS)

bench: ## build and run the benchmarks, beside plain PyTorch
	$(DEPS) build pytorch bench
	@$(CONFIGURE) release -DRETORT_BUILD_BENCHMARKS=ON
	@cmake --build --preset release -j $(JOBS)
	@scripts/bench.sh $(RELEASE)

deps: ## install the Debian packages that are missing, and nothing else
	$(DEPS) build pytorch

deps-bundle: ## fill .deps/ with headers and GoogleTest for machines without apt
	@scripts/install_deps.sh build
	@scripts/bundle_deps.sh .deps

lint: $(FORMATTER) ## check the formatting
	@$(FORMATTER) --dry-run --Werror $(SOURCES)

format: $(FORMATTER) ## format all sources in place
	@$(FORMATTER) -i $(SOURCES)

$(FORMATTER):
	$(DEPS) lint
	@python3 -m venv .local/format
	@.local/format/bin/pip install -q clang-format==14.0.6

asan: ## run the fast tests under the address and undefined-behaviour sanitizers
	$(DEPS) build
	@$(CONFIGURE) asan
	@cmake --build --preset asan -j $(JOBS)
	@ctest --preset asan

tidy: ## build with clang under clang-tidy
	$(DEPS) build tidy
	@$(CONFIGURE) tidy
	@cmake --build --preset tidy -j $(JOBS)

fuzz: ## run the file parsers under libFuzzer, a minute each
	$(DEPS) build fuzz
	@$(CONFIGURE) fuzz
	@cmake --build --preset fuzz -j $(JOBS)
	@scripts/fuzz.sh build/fuzz

install-test: build ## install, then build and run examples/embed against the installed tree
	@ctest --test-dir $(RELEASE) -R '^install\.' --output-on-failure

check-all: lint test tidy asan ## what a change should pass before it is proposed

clean: ## remove what was built; .deps/ and runs/ stay
	rm -rf build
