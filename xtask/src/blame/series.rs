use std::collections::BTreeMap;

use serde::Deserialize;

use super::MINUTE;

/// What the filter counts at one workload, in requests a minute.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Workload {
    mode: String,
    enabled: bool,
    /// The minute at which its proxy starts.
    from: usize,
    inbound: BTreeMap<Verdict, u64>,
    outbound: BTreeMap<Verdict, u64>,
    /// With correlation: what ties its calls to requests, by their verdict.
    evidence: Option<BTreeMap<Weighed, BTreeMap<Evidence, u64>>>,
    /// How much of the time it serves a traced request.
    busy: f64,
    /// Requests that Envoy counts, and the filter does not.
    uncounted: u64,
    /// How many filters count each request.
    filters: u64,
    /// Whether Envoy has the module.
    runs: bool,
    /// How many modules Istio's agent could not get.
    failed_pulls: u64,
    /// How many modules Envoy itself fetched, and how many it could not.
    fetches: Option<(u64, u64)>,
    /// Updates of the plugin that Envoy accepted, and that it rejected.
    updates: Option<(u64, u64)>,
}

/// The name of a series with its labels, and its values.
type Series = (String, String);

/// Declares words of the filter's, so that a row with another one is refused.
macro_rules! words {
    ($name:ident { $($word:ident = $label:literal),+ }) => {
        #[derive(Clone, Copy, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
        enum $name { $(#[serde(rename = $label)] $word),+ }

        impl $name {
            const ALL: &[(Self, &str)] = &[$((Self::$word, $label)),+];
        }
    };
}

words!(Verdict {
    Continued = "continued",
    Lost = "lost",
    Corrupt = "corrupt",
    Unlinked = "unlinked",
    Excluded = "excluded"
});
words!(Weighed { Lost = "lost", Unlinked = "unlinked" });
words!(Evidence { RequestId = "request_id", InFlight = "in_flight", Nothing = "none" });

/// After which minute Envoy was given the plugin, and an update of it.
const UPDATE: usize = 50;

/// In how many minutes the gauge repeats itself.
const CYCLE: usize = 10;

impl Default for Workload {
    fn default() -> Self {
        Self {
            mode: "observe".to_owned(),
            enabled: true,
            from: 0,
            inbound: BTreeMap::new(),
            outbound: BTreeMap::new(),
            evidence: None,
            busy: 0.0,
            uncounted: 0,
            filters: 1,
            runs: true,
            failed_pulls: 0,
            fetches: None,
            updates: None,
        }
    }
}

impl Workload {
    pub(super) fn series(&self, cluster: &str, name: &str) -> Vec<Series> {
        // An empty label is none.
        let named = |metric: &str, labels: &str| {
            format!(r#"{metric}{{cluster="{cluster}", namespace="shop", workload="{name}"{labels}}}"#)
        };
        let served = self.inbound.values().chain(self.outbound.values()).sum::<u64>() + self.uncounted;
        let enabled = [format!("{}x{MINUTE}", u8::from(self.enabled))];
        let mut all = vec![(named("envoy_http_downstream_rq_total", ""), self.counts(served))];
        all.extend(self.plugin(&named));
        if self.runs {
            all.push((named("tracewarden_build_info", ""), self.values(&[format!("1x{MINUTE}")])));
            all.push((named("tracewarden_enabled", ""), self.values(&enabled)));
        }
        for (direction, requests) in [("inbound", &self.inbound), ("outbound", &self.outbound)] {
            for (verdict, context) in Verdict::ALL.iter().filter(|_| !requests.is_empty()) {
                let labels = format!(
                    r#", direction="{direction}", role="internal", mode="{}", context="{context}""#,
                    self.mode
                );
                let count = requests.get(verdict).copied().unwrap_or_default();
                all.push((named("tracewarden_requests_total", &labels), self.counts(count * self.filters)));
            }
        }
        for weighed in self.evidence.iter().filter(|_| !self.outbound.is_empty()) {
            for (verdict, context) in Weighed::ALL {
                for (evidence, word) in Evidence::ALL {
                    let labels = format!(r#", mode="{}", context="{context}", evidence="{word}""#, self.mode);
                    let count = weighed.get(verdict).and_then(|weighed| weighed.get(evidence));
                    let count = self.counts(count.copied().unwrap_or_default());
                    all.push((named("tracewarden_call_evidence_total", &labels), count));
                }
            }
        }
        if self.evidence.is_some() && !self.inbound.is_empty() {
            let busy = (0..=MINUTE).map(|minute| self.is_busy(minute)).map(|busy| u8::from(busy).to_string());
            let busy: Vec<String> = busy.collect();
            all.push((named("tracewarden_traced_requests_in_flight", ""), self.values(&busy)));
        }
        all
    }

    /// What Istio's agent and Envoy report about the plugin.
    fn plugin(&self, named: &impl Fn(&str, &str) -> String) -> Vec<Series> {
        let mut all = Vec::new();
        if self.failed_pulls > 0 {
            let failures = named("istio_agent_wasm_config_conversion_count", r#", result="fetch_failure""#);
            all.push((failures, self.values(&[format!("{}x{MINUTE}", self.failed_pulls)])));
        }
        if let Some((fetched, failed)) = self.fetches {
            for (what, count) in [("successes", fetched), ("failures", failed)] {
                let metric = named(&format!("envoy_wasm_remote_load_fetch_{what}"), "");
                all.push((metric, self.values(&[format!("{count}x{MINUTE}")])));
            }
        }
        let Some((accepted, rejected)) = self.updates else { return all };
        for (what, count) in [("success", accepted), ("rejected", rejected), ("time", accepted)] {
            let metric = format!("envoy_extension_config_discovery_update_{what}");
            let values = format!("0x{UPDATE} {count}x{}", MINUTE - UPDATE - 1);
            all.push((named(&metric, r#", extension="inbound""#), self.values(&[values])));
        }
        all
    }

    fn is_busy(&self, minute: usize) -> bool {
        (minute * 7 % CYCLE) < (self.busy * CYCLE as f64).round() as usize
    }

    fn counts(&self, each_minute: u64) -> String {
        self.values(&[format!("0+{each_minute}x{MINUTE}")])
    }

    fn values(&self, values: &[String]) -> String {
        let before = if self.from > 0 { format!("_x{} ", self.from) } else { String::new() };
        format!("{before}{}", values.join(" "))
    }
}
