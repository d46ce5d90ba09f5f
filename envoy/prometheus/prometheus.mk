# Prometheus, which checks the rules. Included by the top Makefile.
#   PROMETHEUS   where its binaries are; Debian's package is unpacked there, not installed

PROMETHEUS ?= .venv/prometheus/usr/bin

.PHONY: alerts

alerts: $(filter .venv/%,$(PROMETHEUS)/promtool) ## check and test the recording rules and alerts
	@$(PROMETHEUS)/promtool check rules envoy/prometheus/tracewarden.rules.yaml
	@$(PROMETHEUS)/promtool test rules envoy/prometheus/tests.yaml

.venv/prometheus/usr/bin/promtool:
	@echo "Unpacking Debian's Prometheus (about 20 MB) into .venv/prometheus…"
	@rm -rf .venv/prometheus && mkdir -p .venv/prometheus && cd .venv/prometheus && \
		{ apt-get -qq download prometheus || { apt-get -qq update && apt-get -qq download prometheus; } && \
		dpkg -x prometheus_*.deb . && rm prometheus_*.deb; } || { \
		echo "Debian's package prometheus could not be had (as root: apt-get update)." >&2; \
		echo "Or name the directory of a promtool and a prometheus: make alerts PROMETHEUS=/usr/bin" >&2; exit 1; }
	@touch $@
