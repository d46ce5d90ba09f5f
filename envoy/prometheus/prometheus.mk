# Prometheus, which checks the rules. Included by the top Makefile.
#   PROMETHEUS   the directory of a promtool and a prometheus; Debian's are unpacked, not installed

PROMETHEUS_PRIVATE := .venv/debian/prometheus
PROMETHEUS ?= $(PROMETHEUS_PRIVATE)/usr/bin
PROMETHEUS_READY := $(if $(filter $(PROMETHEUS_PRIVATE)/%,$(PROMETHEUS)),$(PROMETHEUS_PRIVATE)/ready)

.PHONY: alerts

alerts: $(PROMETHEUS_READY) ## check and test the recording rules and alerts
	@$(PROMETHEUS)/promtool check config envoy/prometheus/demo.yaml
	@$(PROMETHEUS)/promtool test rules envoy/prometheus/tests.yaml
