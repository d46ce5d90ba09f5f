# The vendors' own libraries as judges. Included by the top Makefile, which defines `build` and `CARGO`.
#   PYTHON   the Python (3.10 or later) that they are installed for

INTEROP := .venv/interop
INTEROP_READY := $(INTEROP)/ready
INTEROP_PYTHON = $(abspath $(INTEROP)/bin/python)

.PHONY: interop

interop: build $(INTEROP_READY) ## let the vendors' libraries judge the module: target/interop.md
	@INTEROP_PYTHON='$(INTEROP_PYTHON)' $(CARGO) test --locked --workspace --test vendors -- --nocapture

$(INTEROP_READY): tests/interop/requirements.txt
	@echo "Installing the vendors' libraries (about 40 MB) into $(INTEROP)…"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "The vendors' libraries need Python 3.10 or later; name one: make interop PYTHON=python3.11" >&2; exit 1; }
	@rm -rf $(INTEROP)
	@$(PYTHON) -m venv $(INTEROP) || { rm -rf $(INTEROP); \
		echo "$(PYTHON) cannot make a virtual environment (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@$(INTEROP)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $< || { \
		rm -rf $(INTEROP); \
		echo "The packages of $< could not be installed; try again when pip reaches its index." >&2; exit 1; }
	@touch $@
