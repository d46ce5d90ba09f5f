# The scenarios in a proxy-wasm host that is not ours. Included by the top Makefile.
#   SECOND_HOST_SECONDS   how long its build may take, most of which is wasmtime

SECOND_HOST_SECONDS ?= 1800
SECOND_HOST := $(CARGO) test --ignore-rust-version --manifest-path tests/second-host/Cargo.toml --target-dir target/second-host

# Not `--locked`: the core's own dependencies are in this lock too, and may have changed.
.PHONY: second-host
second-host: build ## run the scenarios in a proxy-wasm host of another project
	@timeout $(SECOND_HOST_SECONDS) $(SECOND_HOST) --no-run
	@timeout 600 $(PYTHON) -B tests/second-host/run.py $(SECOND_HOST)
