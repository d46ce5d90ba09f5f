# Real backends of spans on this machine, which the demo mesh exports to (docs/spans.md).
#   JAVA, MVN   the Java, from 17 on, that runs Zipkin, and the Maven that fetches it
#   GO          the Go that builds Jaeger and the collector, see make/istio.mk

JAVA ?= java
MVN ?= mvn
ZIPKIN_VERSION := 3.6.1
ZIPKIN := $(PROGRAMS)/zipkin-server-$(ZIPKIN_VERSION)-exec.jar

# The collector proper, with the parts that main.go names.
$(PROGRAMS)/collector: make/programs/collector/go.sum make/programs/collector/main.go
	@$(BUILD) collector . $@ 2

$(ZIPKIN):
	@for program in '$(JAVA)' '$(MVN)'; do command -v "$$program" >/dev/null || { \
		echo "Zipkin needs Java 17 or later and Maven, and there is no $$program (Debian: apt-get install openjdk-17-jre-headless" >&2; \
		echo "maven). Name them: make test-backends JAVA=/path/to/java MVN=/path/to/mvn" >&2; exit 1; }; done
	@echo "Fetching Zipkin $(ZIPKIN_VERSION) (135 MB)…"
	@$(MVN) -q -B org.apache.maven.plugins:maven-dependency-plugin:2.8:copy -DoutputDirectory='$(abspath $(@D))' \
		-Dartifact=io.zipkin:zipkin-server:$(ZIPKIN_VERSION):jar:exec >&2 || { \
		echo "Zipkin could not be fetched; try again when Maven reaches its repository." >&2; exit 1; }

.PHONY: test-backends
test-backends: build $(ZIPKIN) $(PROGRAMS)/jaeger $(PROGRAMS)/collector $(IN_ENVOY) ## test spans in real Jaeger, Zipkin, OpenTelemetry Collector and rotel (needs go, java and mvn; TESTS=PATTERN: some of them)
	@$(TESTING) JAVA='$(JAVA)' ZIPKIN='$(abspath $(ZIPKIN))' $(PYTHON) -B tests/backends $(TESTS:%=-k %)
