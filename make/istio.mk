# A real Istio on this machine, without Docker and without a cluster (docs/local-istio.md).
#   ISTIO_PORT   the first of its ports on loopback
#   GO           the Go, from 1.26 on, that builds its programs

# Its programs, each with the module that it is built from: the module files are in make/programs, and hold versions alone.
PROGRAMS := target/programs
ISTIO_PROGRAMS := $(addprefix $(PROGRAMS)/,etcd kube-apiserver pilot-discovery pilot-agent istioctl jaeger prometheus)
ISTIO_FILES := $(PROGRAMS)/istio-crds.yaml $(PROGRAMS)/envoy_bootstrap_tmpl.json
GO ?= go
ISTIO = KUBECTL='$(abspath $(KUBECTL))' $(PYTHON) -B envoy/local/istio.py

.PHONY: istio-programs istio-up istio-down istio-status test-istio
istio-up: build istio-programs $(ONLY_ENVOY) $(ONLY_KUBECTL) .venv/bin/skopeo .venv/bin/docker-registry ## start a real Istio on this machine (needs Linux, Go and root)
	@$(MAKE) --no-print-directory image >/dev/null
	@$(ISTIO) up --envoy '$(ENVOY)'

istio-down: ## stop the real Istio
	@$(ISTIO) down

istio-status: ## show what the real Istio's proxies run, and what Tracewarden counted there
	@$(ISTIO) status

istio-programs: $(ISTIO_PROGRAMS) $(ISTIO_FILES)

# A program is named by its module, its package and how long two cores build it.
BUILD = GO='$(GO)' make/build-program.sh

$(PROGRAMS)/etcd: make/programs/etcd/go.sum
	@$(BUILD) etcd go.etcd.io/etcd/server/v3 $@ 1

$(PROGRAMS)/kube-apiserver: make/programs/kube-apiserver/go.sum
	@$(BUILD) kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver $@ 4

# Istio asks its programs for their version, and proxies say it.
ISTIO_VERSION := 1.31.0
$(PROGRAMS)/pilot-discovery $(PROGRAMS)/pilot-agent $(PROGRAMS)/istioctl: export GO_STAMP := -X istio.io/istio/pkg/version.buildVersion=$(ISTIO_VERSION)
$(PROGRAMS)/pilot-agent: export GO_TAGS := agent,disable_pgv

$(PROGRAMS)/pilot-discovery: make/programs/istio/go.sum
	@$(BUILD) istio istio.io/istio/pilot/cmd/pilot-discovery $@ 3

$(PROGRAMS)/pilot-agent: make/programs/istio/go.sum
	@$(BUILD) istio istio.io/istio/pilot/cmd/pilot-agent $@ 2

$(PROGRAMS)/istioctl: make/programs/istio/go.sum
	@$(BUILD) istio istio.io/istio/istioctl/cmd/istioctl $@ 2

$(PROGRAMS)/jaeger: make/programs/jaeger/go.sum
	@$(BUILD) jaeger github.com/jaegertracing/jaeger/cmd/jaeger $@ 3

# Debian's Prometheus is built without Kubernetes' discovery.
$(PROGRAMS)/prometheus: make/programs/prometheus/go.sum
	@$(BUILD) prometheus github.com/prometheus/prometheus/cmd/prometheus $@ 4

# What Istio's images hold besides the programs.
$(PROGRAMS)/istio-crds.yaml: make/programs/istio/go.sum
	@$(BUILD) istio istio.io/istio manifests/charts/base/files/crd-all.gen.yaml $@

$(PROGRAMS)/envoy_bootstrap_tmpl.json: make/programs/istio/go.sum
	@$(BUILD) istio istio.io/istio tools/packaging/common/envoy_bootstrap.json $@

test-istio: build istio-programs $(ONLY_ENVOY) $(ONLY_KUBECTL) $(filter $(HELM_PRIVATE),$(HELM)) .venv/bin/skopeo .venv/bin/docker-registry ## test Istio's manifests in a real Istio (TESTS=PATTERN: some of them)
	@$(MAKE) --no-print-directory image >/dev/null
	@$(TESTING) $(PYTHON) -B tests/istio $(TESTS:%=-k %)
