# Prometheus, which checks the rules. Included by the top Makefile.

.PHONY: alerts

alerts: .venv/bin/promtool .venv/bin/prometheus ## check and test the recording rules and alerts
	@.venv/bin/promtool check config envoy/prometheus/demo.yaml
	@.venv/bin/promtool test rules envoy/prometheus/tests.yaml
