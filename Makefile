# Tracewarden. `make` alone prints the targets.

WASM_TARGET := wasm32-wasip1
MODULE := target/tracewarden.wasm
LINKED := target/$(WASM_TARGET)/filter/tracewarden.wasm
CARGO ?= cargo

.DEFAULT_GOAL := help
include envoy/envoy.mk
include envoy/prometheus/prometheus.mk
include envoy/istio/istio.mk
include envoy/report/report.mk
include benches/bench.mk
include fuzz/fuzz.mk
include xtask/release.mk
include tests/interop/interop.mk
include tests/tools.mk
.PHONY: help build tool test lint clean $(LINKED)

help: ## print the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z][a-z-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: $(MODULE) ## build the module that Envoy loads: target/tracewarden.wasm

# No path of the machine that built it belongs into the module, which is then the same wherever it is built.
CARGO_HOME ?= $(HOME)/.cargo
REMAP := --remap-path-prefix=$(CARGO_HOME)/registry/src= --remap-path-prefix=$(CURDIR)=

# A quarter of the usual limit to what is inlined unasked, and less than half of that where code asks for it: a tenth of
# the module, most of it read once at start. What every request passes through says `#[inline]`.
INLINE := -Cllvm-args=-inline-threshold=60 -Cllvm-args=-inlinehint-threshold=130

# What the module says of itself; a tree without git is of no known revision.
REVISION := $(or $(shell git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null),unknown)

# cargo knows better than make what has changed; the module is only written again if it is another one.
$(LINKED): | wasm-target
	@TRACEWARDEN_REVISION='$(REVISION)' RUSTFLAGS='$(REMAP) $(INLINE)' $(CARGO) build --locked --lib --profile filter --target $(WASM_TARGET)

$(MODULE): $(LINKED) src/wasm/exports.txt
	@$(CARGO) run --locked --quiet -p xtask -- prune $(LINKED) src/wasm/exports.txt $@

.PHONY: wasm-target
wasm-target:
	@rustc --print target-libdir --target $(WASM_TARGET) | xargs -I{} test -d {} || { \
		command -v rustup >/dev/null || { \
			echo "The Rust target $(WASM_TARGET) is missing, and there is no rustup to add it." >&2; exit 1; }; \
		echo "Adding the Rust target $(WASM_TARGET)…"; rustup target add $(WASM_TARGET); }

tool: ## build the command for people: target/release/tracewarden
	@$(CARGO) build --locked --release -p tracewarden-tool

REFERENCE := $(CARGO) run --locked --quiet -p tracewarden-tool --
.PHONY: reference
reference: ## write the references of configuration and metrics anew, in docs
	@cd docs && $(REFERENCE) schema >new && mv new configuration.schema.json
	@cd docs && $(REFERENCE) reference configuration >new && mv new configuration.md
	@cd docs && $(REFERENCE) reference metrics >new && mv new metrics.md

test: build alerts manifests page $(filter $(ENVOY_PRIVATE),$(ENVOY)) envoy-demo $(COLLECTOR_READY) $(INTEROP_READY) $(RELEASE_TOOLS) ## run every test, the real Envoy's and the vendors' among them
	@ENVOY='$(abspath $(ENVOY))' INTEROP_PYTHON='$(INTEROP_PYTHON)' $(CARGO) test --locked --workspace

lint: | wasm-target ## check format, clippy on the host and for wasm, and the documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --lib --target $(WASM_TARGET) -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps

clean: ## remove what was built; the virtual environments stay
	$(CARGO) clean
