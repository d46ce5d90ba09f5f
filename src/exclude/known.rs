use crate::matching::Target;

/// A kind of request that needs no trace, whoever runs the mesh.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// How it is known.
    pub sign: Sign,
    /// What sends it.
    pub sender: &'static str,
    /// The document that says so.
    pub source: &'static str,
}

/// How a request is known.
#[derive(Clone, Copy, Debug)]
pub enum Sign {
    /// Its `user-agent` begins so.
    UserAgent(&'static str),
    /// It is a `POST` or a `PUT` to this path, without regard to its query.
    Upload(&'static str),
    /// It is an `OPTIONS` with the header `access-control-request-method`.
    Preflight,
}

const KUBERNETES: &str =
    "https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/";
const OTLP: &str = "https://opentelemetry.io/docs/specs/otlp/";
const ZIPKIN: &str = "https://zipkin.io/zipkin-api/";
const DATADOG: &str = "https://github.com/DataDog/datadog-agent/blob/main/pkg/trace/api/endpoints.go";
const JAEGER: &str = "https://www.jaegertracing.io/docs/latest/architecture/apis/";
const SKYWALKING: &str =
    "https://github.com/apache/skywalking-data-collect-protocol/blob/master/language-agent/Tracing.proto";
const ALLOY: &str =
    "https://grafana.com/docs/alloy/latest/reference/components/prometheus/prometheus.scrape/";
const ENVOY: &str = "https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/service";

/// The requests that are left alone without a configuration.
pub const KNOWN: &[Known] = &[
    Known { sign: Sign::UserAgent("kube-probe/"), sender: "Kubernetes, probes", source: KUBERNETES },
    Known {
        sign: Sign::UserAgent("Envoy/HC"),
        sender: "Envoy, active health checks",
        source: "https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/health_checking",
    },
    Known {
        sign: Sign::UserAgent("GoogleHC/"),
        sender: "Google Cloud, health checks",
        source: "https://cloud.google.com/load-balancing/docs/health-check-concepts",
    },
    Known {
        sign: Sign::UserAgent("ELB-HealthChecker/"),
        sender: "AWS load balancers, health checks",
        source: "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
    },
    Known {
        sign: Sign::UserAgent("Amazon-Route53-Health-Check-Service"),
        sender: "AWS Route 53, health checks",
        source: "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html",
    },
    Known {
        sign: Sign::UserAgent("Edge Health Probe"),
        sender: "Azure Front Door, health probes",
        source: "https://learn.microsoft.com/en-us/azure/frontdoor/health-probes",
    },
    Known {
        sign: Sign::UserAgent("Consul Health Check"),
        sender: "Consul, health checks",
        source: "https://developer.hashicorp.com/consul/docs/services/usage/checks",
    },
    Known {
        sign: Sign::UserAgent("Prometheus/"),
        sender: "Prometheus, scrapes",
        source: "https://github.com/prometheus/prometheus/blob/main/scrape/scrape.go",
    },
    Known {
        sign: Sign::UserAgent("vm_promscrape"),
        sender: "VictoriaMetrics, scrapes",
        source: "https://docs.victoriametrics.com/vmagent/",
    },
    Known {
        sign: Sign::UserAgent("Libdatadog/"),
        sender: "Datadog's tracers",
        source: "https://github.com/DataDog/libdatadog",
    },
    Known { sign: Sign::UserAgent("Alloy/"), sender: "Grafana Alloy, scrapes", source: ALLOY },
    Known { sign: Sign::UserAgent("GrafanaAgent/"), sender: "Grafana Agent, scrapes", source: ALLOY },
    Known {
        sign: Sign::Upload("/grpc.health.v1.Health/Check"),
        sender: "gRPC, health checks",
        source: "https://github.com/grpc/grpc/blob/master/doc/health-checking.md",
    },
    Known {
        sign: Sign::Upload("/grpc.health.v1.Health/Watch"),
        sender: "gRPC, health checks",
        source: "https://github.com/grpc/grpc/blob/master/doc/health-checking.md",
    },
    Known {
        sign: Sign::Preflight,
        sender: "browsers, CORS preflight",
        source: "https://fetch.spec.whatwg.org/#cors-preflight-fetch",
    },
    upload("/v1/traces", "OTLP over HTTP", OTLP),
    upload("/v1/metrics", "OTLP over HTTP", OTLP),
    upload("/v1/logs", "OTLP over HTTP", OTLP),
    upload("/opentelemetry.proto.collector.trace.v1.TraceService/Export", "OTLP over gRPC", OTLP),
    upload("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "OTLP over gRPC", OTLP),
    upload("/opentelemetry.proto.collector.logs.v1.LogsService/Export", "OTLP over gRPC", OTLP),
    upload("/v1development/profiles", "OTLP over HTTP", OTLP),
    upload(
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        "OTLP over gRPC",
        OTLP,
    ),
    upload("/api/traces", "Jaeger's clients", JAEGER),
    upload("/jaeger.api_v2.CollectorService/PostSpans", "Jaeger's clients", JAEGER),
    upload("/skywalking.v3.TraceSegmentReportService/collect", "SkyWalking's agents", SKYWALKING),
    upload("/skywalking.v3.TraceSegmentReportService/collectInSync", "SkyWalking's agents", SKYWALKING),
    upload("/api/v1/spans", "Zipkin", ZIPKIN),
    upload("/api/v2/spans", "Zipkin", ZIPKIN),
    upload("/v0.3/traces", "Datadog's tracers", DATADOG),
    upload("/v0.4/traces", "Datadog's tracers", DATADOG),
    upload("/v0.5/traces", "Datadog's tracers", DATADOG),
    upload("/v0.7/traces", "Datadog's tracers", DATADOG),
    upload("/v0.6/stats", "Datadog's tracers", DATADOG),
    upload("/v0.7/config", "Datadog's tracers", DATADOG),
    upload("/profiling/v1/input", "Datadog's tracers", DATADOG),
    upload("/debugger/v1/input", "Datadog's tracers", DATADOG),
    upload("/telemetry/proxy/api/v2/apmtelemetry", "Datadog's tracers", DATADOG),
    upload("/envoy.service.auth.v3.Authorization/Check", "Envoy itself", ENVOY),
    upload("/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", "Envoy itself", ENVOY),
    upload("/envoy.service.ext_proc.v3.ExternalProcessor/Process", "Envoy itself", ENVOY),
    upload("/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", "Envoy itself", ENVOY),
    upload("/envoy.service.metrics.v3.MetricsService/StreamMetrics", "Envoy itself", ENVOY),
    upload(
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
        "Envoy itself",
        ENVOY,
    ),
    upload(
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
        "Envoy itself",
        ENVOY,
    ),
];

const fn upload(path: &'static str, sender: &'static str, source: &'static str) -> Known {
    Known { sign: Sign::Upload(path), sender, source }
}

/// The first bytes of all known `user-agent` and path: nearly all others are told by them.
const AGENTS: [u32; 12] = beginnings(true);
const PATHS: [u32; 12] = beginnings(false);

const fn beginnings<const N: usize>(of_agents: bool) -> [u32; N] {
    let (mut beginnings, mut known, mut number) = ([0; N], KNOWN, 0);
    while let [Known { sign, .. }, rest @ ..] = known {
        let text = match sign {
            Sign::UserAgent(agent) if of_agents => agent.as_bytes(),
            Sign::Upload(path) if !of_agents => path.as_bytes(),
            _ => b"",
        };
        let (earlier, places) = beginnings.split_at_mut(number);
        if let ([next, ..], false) = (places, text.is_empty() || has(earlier, beginning(text))) {
            *next = beginning(text);
            number += 1;
        }
        known = rest;
    }
    assert!(number == N);
    beginnings
}

const fn has(numbers: &[u32], wanted: u32) -> bool {
    match numbers {
        [first, rest @ ..] => *first == wanted || has(rest, wanted),
        [] => false,
    }
}

const fn beginning(text: &[u8]) -> u32 {
    match text.split_first_chunk() {
        Some((first, _)) => u32::from_le_bytes(*first),
        None => 0,
    }
}

/// Whether the request is one of these. Nearly every request is not: each lookup that is saved counts.
#[inline]
pub(super) fn is_known(target: &Target<'_>) -> bool {
    let header = |name| target.headers.first(name).unwrap_or_default();
    let (agent, path) = (header("user-agent"), header(":path"));
    AGENTS.contains(&beginning(agent)) && is_agent(agent)
        || PATHS.contains(&beginning(path)) && is_upload(path, header(":method"))
        || target.headers.has("access-control-request-method") && header(":method") == b"OPTIONS"
}

#[cold]
fn is_agent(agent: &[u8]) -> bool {
    let is_of = |begin: &str| agent.starts_with(begin.as_bytes());
    KNOWN.iter().any(|known| matches!(known.sign, Sign::UserAgent(begin) if is_of(begin)))
}

#[cold]
fn is_upload(path: &[u8], method: &[u8]) -> bool {
    let is_to = |known: &str| matches!(path.strip_prefix(known.as_bytes()), Some([] | [b'?', ..]));
    matches!(method, b"POST" | b"PUT")
        && KNOWN.iter().any(|known| matches!(known.sign, Sign::Upload(known) if is_to(known)))
}
