# Instructions per request in the real Envoy. Included by the top Makefile, which defines `build`.
#   BENCH=all   adds every mode and option
#   ENVOY, PYTHON: see envoy/envoy.mk

BENCH ?=
BENCH_DIR := target/bench
BENCH_MICRO := $(BENCH_DIR)/micro/release/tracewarden-micro

.PHONY: bench bench-correlation $(BENCH_MICRO)

bench: build $(BENCH_DIR)/floor.wasm $(BENCH_MICRO) $(filter $(ENVOY_PRIVATE),$(ENVOY)) ## count the instructions of a request (BENCH=all: of every option)
	@$(PYTHON) -B benches/bench.py $(BENCH) --envoy '$(ENVOY)' --module $(MODULE) --floor $(BENCH_DIR)/floor.wasm \
		--floor-unpruned $(BENCH_DIR)/floor-unpruned.wasm --micro $(BENCH_MICRO) --results $(BENCH_DIR)/results.json

bench-correlation: build $(filter $(ENVOY_PRIVATE),$(ENVOY)) ## measure correlation's memory and its lock under two workers (needs wrk)
	@$(PYTHON) -B benches/correlation.py --envoy '$(ENVOY)' --module $(MODULE)

# The floor exports the same callbacks as the filter, so that the host calls the same ones.
$(BENCH_DIR)/floor.wasm: $(BENCH_DIR)/floor-unpruned.wasm src/wasm/exports.txt
	@$(CARGO) run --locked --quiet -p xtask -- prune $< src/wasm/exports.txt $@

$(BENCH_DIR)/floor-unpruned.wasm: benches/floor.wat
	@mkdir -p $(@D)
	@$(CARGO) run --locked --quiet -p xtask -- wat $< $@

# Not `--locked`: the filter's own dependencies are in this lock too, and may have changed.
$(BENCH_MICRO):
	@$(CARGO) build --quiet --release --manifest-path benches/micro/Cargo.toml --target-dir $(BENCH_DIR)/micro
