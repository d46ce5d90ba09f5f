# Envoy Gateway's controller on this machine, as Istio in make/istio.mk (docs/envoy-gateway.md).
#   GATEWAY_PORT   the first of its ports on loopback

GATEWAY_FILES := $(PROGRAMS)/envoy-gateway $(PROGRAMS)/gateway-crds.yaml

$(PROGRAMS)/envoy-gateway: make/programs/envoy-gateway/go.sum
	@$(BUILD) envoy-gateway github.com/envoyproxy/gateway/cmd/envoy-gateway $@ 3

# A chart has the definitions, each file in a condition of Helm's.
GATEWAY_CHART := charts/gateway-crds-helm/templates
$(PROGRAMS)/gateway-crds.yaml: make/programs/envoy-gateway/go.sum
	@$(BUILD) envoy-gateway github.com/envoyproxy/gateway '$(GATEWAY_CHART)/standard-*.yaml $(GATEWAY_CHART)/generated/*.yaml' $@
	@sed -i '/^{{/d' $@

.PHONY: test-gateway
test-gateway: build $(PROGRAMS)/etcd $(PROGRAMS)/kube-apiserver $(PROGRAMS)/jaeger $(GATEWAY_FILES) $(ONLY_ENVOY) $(ONLY_KUBECTL) .venv/bin/skopeo .venv/bin/docker-registry ## test Envoy Gateway's policies with its real controller (TESTS=PATTERN: some of them)
	@$(MAKE) --no-print-directory image >/dev/null
	@$(TESTING) $(PYTHON) -B tests/gateway $(TESTS:%=-k %)
