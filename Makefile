# Tracewarden. `make` alone prints the targets.

# The filter's package, the module that cargo makes of it, and the list of what it exports and imports.
EDGE := tracewarden-proxy-wasm
LINKED := target/wasm32-wasip1/filter/tracewarden_proxy_wasm.wasm
EXPORTS := edges/proxy-wasm/exports.txt

MODULE := target/tracewarden.wasm
WASM_TARGET := wasm32-wasip1
CARGO ?= cargo
PYTHON ?= python3
XTASK := $(CARGO) run --locked --quiet -p xtask --

.DEFAULT_GOAL := help
include make/borrowed.mk
include make/istio.mk
include make/gateway.mk
include make/backends.mk
include make/measure.mk
include make/release.mk
include tests/mutants.mk
include tests/second-host.mk
.PHONY: FORCE help build wasm-target packer $(LINKED) tool reference test policy alerts manifests page page-screenshot interop test-matrix lint host-files
.PHONY: envoy-up envoy-down envoy-status envoy-traces image clean

help: ## print the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z][a-z-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: $(MODULE) ## build the module that Envoy loads: target/tracewarden.wasm

# The flags that shape the code are in .cargo/config.toml, and cargo adds these to them. Without the machine's paths the
# module is the same wherever it is built. RUSTFLAGS would replace both.
CARGO_HOME ?= $(HOME)/.cargo
REMAP := "--remap-path-prefix=$(CARGO_HOME)/registry/src=", "--remap-path-prefix=$(CURDIR)="

# The module names its revision; outside of git the revision is unknown.
REVISION := $(or $(shell git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null),unknown)

# Only cargo knows what has changed, so it is asked every time. It writes the module only if that is a new one.
$(LINKED): | wasm-target
	@TRACEWARDEN_REVISION='$(REVISION)' env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS $(CARGO) build --locked -p $(EDGE) --lib \
		--profile filter --target $(WASM_TARGET) --config 'target.$(WASM_TARGET).rustflags = [$(REMAP)]'

$(MODULE): $(LINKED) $(EXPORTS) | packer
	@$(XTASK) prune $(LINKED) $(EXPORTS) $@

# What runs it is quiet. Its first build takes a minute and more, so that one is shown.
packer:
	@$(CARGO) build --locked -p xtask

wasm-target: rust-target-$(WASM_TARGET)

# A pattern whose prerequisite does not exist is run each time.
rust-target-%: FORCE
	@rustc --print target-libdir --target $* | xargs -I{} test -d {} || { \
		command -v rustup >/dev/null || { \
			echo "The Rust target $* is missing, and there is no rustup to add it." >&2; exit 1; }; \
		echo "Adding the Rust target $*…"; rustup target add $*; }
FORCE:

tool: ## build the command for people: target/release/tracewarden
	@TRACEWARDEN_REVISION='$(REVISION)' $(CARGO) build --locked --release -p tracewarden-tool

REFERENCE := $(CARGO) run --locked --quiet -p tracewarden-tool --
reference: $(ONLY_KUBECTL) ## write again what is made of other files: references in docs (configuration, metrics, codes), the chart's files, the rules of envoy/monitoring
	@$(CARGO) build --locked -p tracewarden-tool
	@cd docs && $(REFERENCE) schema >new && mv new configuration.schema.json
	@cd docs && $(REFERENCE) reference configuration >new && mv new configuration.md
	@cd docs && $(REFERENCE) reference metrics >new && mv new metrics.md
	@cd docs && $(REFERENCE) reference codes >new && mv new check-codes.md
	@$(XTASK) blame envoy/prometheus/blame.yaml target/blame.json >docs/new && mv docs/new docs/blame.md
	@$(PYTHON) make/chart.py $(KUBECTL) envoy/istio/chart
	@$(PYTHON) make/monitoring.py envoy/monitoring

test: build policy alerts host-files manifests page $(IN_ENVOY) $(IN_INTEROP) $(IN_XTASK) ## run every test, with the real Envoy and the vendors' libraries
	@$(TESTING) $(CARGO) test --locked --workspace

POLICY := target/policy/release/tracewarden-policy
policy: $(POLICY) ## try 100,000 random configurations and requests against the rules of the border
	@$(POLICY)

# A folder of its own: the tests build the core without optimising it.
.PHONY: $(POLICY)
$(POLICY):
	@$(CARGO) build --locked --release -p tracewarden-policy --target-dir target/policy

alerts: packer .venv/bin/promtool .venv/bin/prometheus ## check and test the recording rules and alerts
	@.venv/bin/promtool check config envoy/prometheus/demo.yaml
	@.venv/bin/promtool test rules envoy/prometheus/tests.yaml
	@$(XTASK) blame envoy/prometheus/blame.yaml target/blame.json >target/blame.md
	@.venv/bin/promtool test rules target/blame.json
	@cmp -s docs/blame.md target/blame.md || { echo "docs/blame.md differs from target/blame.md: make reference writes it." >&2; exit 1; }
	@sed -n '/^|/p' target/blame.md

JUDGE := $(HOST_SCHEMAS)/bin/check-jsonschema --builtin-schema
host-files: $(IN_HOST_FILES) ## validate the repository host's workflows and forms
	@$(JUDGE) vendor.github-workflows .github/workflows/*.yml
	@$(JUDGE) custom.github-workflows-require-timeout .github/workflows/*.yml
	@$(JUDGE) vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	@$(JUDGE) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml

EXPORTERS := target/exporters/debug/exporters
manifests: build tool $(IN_MANIFESTS) $(IN_INTEROP) $(EXPORTERS) ## validate Istio's manifests, and try them with real SDKs
	@cd tests/manifests && $(TESTING) EXPORTERS='$(abspath $(EXPORTERS))' node --test --test-reporter=spec

.PHONY: $(EXPORTERS)
$(EXPORTERS):
	@$(CARGO) build --locked --manifest-path tests/manifests/sdk/rust/Cargo.toml --target-dir target/exporters

page: build $(IN_PAGE) ## test the trace health page in a headless Chromium
	@$(TESTING) node --test --test-concurrency=1 --test-reporter=spec tests/page/*.test.js

page-screenshot: build $(IN_PAGE) .venv/unpacked/fonts-inter ## take the pictures of the trace health page in docs
	@$(TESTING) node tests/page/screenshot.js .venv/unpacked/fonts-inter/usr/share/fonts docs

interop: build $(IN_INTEROP) ## let the vendors' libraries judge the module: target/interop.md
	@$(TESTING) $(CARGO) test --locked --workspace --test vendors -- --nocapture

lint: | wasm-target ## check format, clippy on the host and for wasm, and the documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked -p $(EDGE) --lib --target $(WASM_TARGET) -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps

# The demo mesh: ENVOY_PORT is the first of thirteen ports on loopback, ENVOY_ADMIN_PORT Envoy's admin port.
envoy-up: build $(IN_ENVOY) ## start the demo mesh on loopback (again, if it runs)
	@$(PYTHON) envoy/mesh.py up --envoy '$(ENVOY)'

envoy-down: ## stop the demo mesh
	@$(PYTHON) envoy/mesh.py down

envoy-status: ## show what Tracewarden counted in the demo mesh
	@$(PYTHON) envoy/mesh.py status

envoy-traces: ## show the spans of each request to the demo mesh, as trees
	@$(PYTHON) envoy/mesh.py traces

image: build ## pack the module into OCI images, without a container engine: target/image
	@$(XTASK) image $(MODULE) target/image

clean: ## remove what was built; the virtual environments stay
	$(CARGO) clean
