# Measurements and searches that are not part of `make test`.
#   BENCH=all        adds every mode and option to the benchmark; BENCH=spans is about exported spans alone, BENCH=routes about
#                    routes, BENCH=sidecar about Istio's sidecar-observe
#   BEFORE           another module, whose memory is measured too
#   FUZZ_SECONDS     how long each fuzz target runs
#   FUZZ_JOBS        how many of them run at a time
#   ENVOY_VERSIONS   the Envoys of `make test-matrix`

BENCH ?=
BENCH_DIR := target/bench
# The demo mesh and the benchmarks share envoy/proxy.py.
BENCHING = PYTHONPATH=envoy $(PYTHON) -B
BENCH_MICRO := $(BENCH_DIR)/micro/release/tracewarden-micro
#   ALARM_MINUTES    how long the meshes of `make alarms` run
.PHONY: alarms test-sdks bench bench-correlation bench-memory bench-sidecar test-matrix fuzz fuzz-build $(BENCH_MICRO)

bench: build $(BENCH_DIR)/floor.wasm $(if $(filter spans routes sidecar,$(BENCH)),,$(BENCH_MICRO)) $(ONLY_ENVOY) ## count the instructions of a request (BENCH=all: of every option)
	@$(BENCHING) benches/bench.py $(BENCH) --envoy '$(ENVOY)' --module $(MODULE) --floor $(BENCH_DIR)/floor.wasm \
		--floor-unpruned $(BENCH_DIR)/floor-unpruned.wasm --micro $(BENCH_MICRO) --results $(BENCH_DIR)/results.json

# Maven's plugin copies what the application needs; Java runs it from its source.
MAVEN_COPY := org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies
test-sdks: build tool $(IN_MANIFESTS) $(IN_INTEROP) target/exporters/debug/exporters ## the uploads and losses of `make manifests`, with SDKs for Go, Java and Rust too (needs go, java and mvn)
	@cd tests/manifests/sdk/go && go build -o '$(abspath target/exporters/go)' .
	@cd tests/manifests/losses/go && go build -o '$(abspath target/losses/go)' .
	@for folder in sdk losses; do \
		mvn -q -B -f tests/manifests/$$folder/java/pom.xml $(MAVEN_COPY) -DoutputDirectory='$(abspath target)'/java/$$folder || exit; done
	@$(CARGO) build --locked --quiet --manifest-path tests/manifests/losses/rust/Cargo.toml --target-dir target/losses/rust
	@cd tests/manifests && $(TESTING) EXPORTERS='$(abspath $(EXPORTERS))' \
		GO_EXPORTERS='$(abspath target/exporters/go)' JAVA_EXPORTERS='$(abspath target/java/sdk)' GO_LOSSES='$(abspath target/losses/go)' \
		JAVA_LOSSES='$(abspath target/java/losses)' RUST_LOSSES='$(abspath target/losses/rust/debug/losses)' \
		node --test --test-reporter=spec uploads.test.js losses.test.js

ALARM_MINUTES ?= 17
alarms: build $(IN_ENVOY) .venv/bin/prometheus ## let healthy and faulty demo meshes run for 17 minutes, and tell which alerts fire
	@$(PYTHON) -u tests/alarms.py --envoy '$(abspath $(ENVOY))' --prometheus .venv/bin/prometheus --minutes $(ALARM_MINUTES)

bench-correlation: build $(ONLY_ENVOY) ## measure correlation's memory and its lock under two workers (needs wrk)
	@$(BENCHING) benches/correlation.py --envoy '$(ENVOY)' --module $(MODULE)

bench-memory: build $(ONLY_ENVOY) ## measure Envoy's memory with the module (BEFORE=other.wasm: and with another)
	@$(BENCHING) benches/memory.py --envoy '$(ENVOY)' $(BEFORE) $(MODULE)

bench-sidecar: build tool $(IN_MANIFESTS) ## measure what a sidecar pays for sidecar-observe: memory, microseconds, series
	@cd tests/manifests && $(TESTING) node cost.js

# The floor exports the same callbacks as the filter, so that the host calls the same ones.
$(BENCH_DIR)/floor.wasm: $(BENCH_DIR)/floor-unpruned.wasm $(EXPORTS)
	@$(XTASK) prune $< $(EXPORTS) $@

$(BENCH_DIR)/floor-unpruned.wasm: benches/floor.wat
	@mkdir -p $(@D)
	@$(XTASK) wat $< $@

# Not `--locked`: the filter's own dependencies are in this lock too, and may have changed.
$(BENCH_MICRO):
	@$(CARGO) build --release --manifest-path benches/micro/Cargo.toml --target-dir $(BENCH_DIR)/micro

# Every version is tried, whatever becomes of the others. Each has a log.
ENVOY_VERSIONS ?= 1.36.4 1.37.0 1.38.2 1.39.3 1.40.0
test-matrix: build ## run the real Envoy's tests against each of ENVOY_VERSIONS
	@mkdir -p target/matrix; failed=0; \
	for version in $(ENVOY_VERSIONS); do \
		log=target/matrix/$$version.log; envoy=.venv/envoy-$$version/envoy; \
		if { $(MAKE) --no-print-directory $$envoy && \
			ENVOY="$(CURDIR)/$$envoy" $(CARGO) test --locked -p tracewarden --test envoy --no-fail-fast; \
		} >$$log 2>&1; then result=passed; else result=FAILED; failed=1; fi; \
		summary=$$(sed -n 's/^test result: [^.]*\. \(.*\); 0 measured.* finished in \(.*\)/\1, \2/p' $$log); \
		echo "Envoy $$version: $$result ($${summary:-no test ran}; $$log)"; \
	done; exit $$failed

FUZZ_SECONDS ?= 60
FUZZ_JOBS ?= 2
FUZZ_VERSION := 0.13.2
FUZZ_HOME := target/fuzz
FUZZ_TOOL := $(FUZZ_HOME)/cargo-fuzz-$(FUZZ_VERSION)/bin/cargo-fuzz
FUZZ_TARGETS := traceparent tracestate ot config header_map server_timing formats request spans
FUZZ_RUNS := $(FUZZ_TARGETS:%=fuzz-run-%)
# The length of the longest input in bytes: a few times what the format allows.
FUZZ_MAX_LEN := 2048
fuzz-run-traceparent: FUZZ_MAX_LEN := 256
fuzz-run-tracestate: FUZZ_MAX_LEN := 8192
fuzz-run-request fuzz-run-spans: FUZZ_MAX_LEN := 32768

# The toolchain is named each time, because the repository's own is a stable one. The core has no unsafe code for a
# sanitizer to check, and without one there are several times as many runs.
CARGO_FUZZ = PATH="$(abspath $(dir $(FUZZ_TOOL))):$$PATH" cargo +nightly fuzz
FUZZ_OPTIONS = --sanitizer none --target-dir $(FUZZ_HOME)/build

fuzz: fuzz-build $(POLICY) ## run every fuzz target for FUZZ_SECONDS (60)
	@$(POLICY) --seconds $(FUZZ_SECONDS) --seed $$(date +%s) --jobs $(FUZZ_JOBS)
	@$(MAKE) --no-print-directory -j $(FUZZ_JOBS) --keep-going $(FUZZ_RUNS)

fuzz-build: $(FUZZ_TOOL)
	@$(CARGO_FUZZ) build $(FUZZ_OPTIONS)

# New inputs are written to the running corpus, the first folder. The committed one is only read.
.PHONY: $(FUZZ_RUNS)
$(FUZZ_RUNS): fuzz-run-%:
	@mkdir -p $(FUZZ_HOME)/corpus/$* $(FUZZ_HOME)/log
	@echo "$*: $(FUZZ_SECONDS) s…"
	@$(CARGO_FUZZ) run $(FUZZ_OPTIONS) $* $(FUZZ_HOME)/corpus/$* fuzz/corpus/$* -- -max_total_time=$(FUZZ_SECONDS) \
		-max_len=$(FUZZ_MAX_LEN) -timeout=5 -rss_limit_mb=512 -print_final_stats=1 \
		>$(FUZZ_HOME)/log/$* 2>&1; failed=$$?; \
	awk -v target=$* -v failed=$$failed -f fuzz/summary.awk $(FUZZ_HOME)/log/$*; exit $$failed

$(FUZZ_TOOL):
	@command -v rustup >/dev/null && rustup run nightly cargo --version >/dev/null 2>&1 || { \
		echo "Fuzzing needs Rust's nightly toolchain: rustup toolchain install nightly --profile minimal" >&2; exit 1; }
	@echo "Installing cargo-fuzz $(FUZZ_VERSION) into $(FUZZ_HOME)…"
	@cargo +nightly install --locked cargo-fuzz@$(FUZZ_VERSION) --root $(dir $(@D)) || { \
		echo "cargo-fuzz could not be installed; it needs a C++ compiler and the package registry." >&2; exit 1; }
