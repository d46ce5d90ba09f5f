# Fuzzing. Included by the top Makefile.
#   FUZZ_SECONDS   how long each target runs
#   FUZZ_JOBS      how many targets run at a time

FUZZ_SECONDS ?= 60
FUZZ_JOBS ?= 2
FUZZ_VERSION := 0.13.2
FUZZ_HOME := target/fuzz
FUZZ_TOOL := $(FUZZ_HOME)/cargo-fuzz-$(FUZZ_VERSION)/bin/cargo-fuzz
FUZZ_TARGETS := traceparent tracestate ot config header_map server_timing formats request spans
# Octets of the longest input: a few times what the format allows.
FUZZ_MAX_LEN := 2048
fuzz-run-traceparent: FUZZ_MAX_LEN := 256
fuzz-run-tracestate: FUZZ_MAX_LEN := 8192

# The toolchain is stated each time: the repository's own is a stable one. The core has no unsafe code for a sanitizer
# to look at, and without one there are several times as many runs.
CARGO_FUZZ = PATH="$(abspath $(dir $(FUZZ_TOOL))):$$PATH" cargo +nightly fuzz
FUZZ_OPTIONS = --sanitizer none --target-dir $(FUZZ_HOME)/build

.PHONY: fuzz fuzz-build $(FUZZ_TARGETS:%=fuzz-run-%)

fuzz: fuzz-build ## run every fuzz target for FUZZ_SECONDS (60)
	@$(MAKE) --no-print-directory -j $(FUZZ_JOBS) --keep-going $(FUZZ_TARGETS:%=fuzz-run-%)

fuzz-build: $(FUZZ_TOOL)
	@$(CARGO_FUZZ) build $(FUZZ_OPTIONS)

# What is found is written to the running corpus, the first folder; the kept one is only read.
$(FUZZ_TARGETS:%=fuzz-run-%): fuzz-run-%:
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
	@cargo +nightly install --quiet --locked cargo-fuzz@$(FUZZ_VERSION) --root $(dir $(@D)) || { \
		echo "cargo-fuzz could not be installed; a C++ compiler and the package registry must be at hand." >&2; exit 1; }
