# Packages of the module. Included by the top Makefile, which defines `build`, `MODULE` and `CARGO`.
# Rust and make are enough for both; what the tests use besides is in RELEASE_TOOLS.

RELEASE := $(CARGO) run --locked --quiet -p xtask --
CYCLONEDX := .venv/cyclonedx
RELEASE_TOOLS := .venv/bin/skopeo .venv/bin/docker-registry $(CYCLONEDX)/ready

.PHONY: image release

image: build ## pack the module into OCI images, with no container engine: target/image
	@$(RELEASE) image $(MODULE) target/image

release: build ## put a release together: target/dist
	@$(RELEASE) release $(MODULE) target/dist

# The judge of the bill of materials.
$(CYCLONEDX)/ready: xtask/tests/requirements.txt
	@echo "Installing CycloneDX's schemas and a validator (about 10 MB) into $(CYCLONEDX)…"
	@rm -rf $(CYCLONEDX)
	@$(PYTHON) -m venv $(CYCLONEDX) || { rm -rf $(CYCLONEDX); \
		echo "$(PYTHON) cannot make a virtual environment (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@$(CYCLONEDX)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $< || { \
		rm -rf $(CYCLONEDX); \
		echo "The packages of $< could not be installed; try again when pip reaches its index." >&2; exit 1; }
	@touch $@
