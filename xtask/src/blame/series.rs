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
    inbound: BTreeMap<String, u64>,
    outbound: BTreeMap<String, u64>,
    /// With correlation: what ties its calls to requests, by their verdict.
    evidence: Option<BTreeMap<String, BTreeMap<String, u64>>>,
    /// How much of the time it serves a traced request.
    busy: f64,
    /// Requests that Envoy counts, and the filter does not.
    uncounted: u64,
}

/// The name of a series with its labels, and its values.
type Series = (String, String);

const VERDICTS: [&str; 5] = ["continued", "lost", "corrupt", "unlinked", "excluded"];
const EVIDENCE: [&str; 3] = ["request_id", "in_flight", "none"];

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
        }
    }
}

impl Workload {
    pub(super) fn series(&self, name: &str) -> Vec<Series> {
        let named = |metric: &str, labels: &str| {
            format!(r#"{metric}{{namespace="shop", workload="{name}"{labels}}}"#)
        };
        let served = self.inbound.values().chain(self.outbound.values()).sum::<u64>() + self.uncounted;
        let enabled = [format!("{}x{MINUTE}", u8::from(self.enabled))];
        let mut all = vec![
            (named("tracewarden_build_info", ""), self.values(&[format!("1x{MINUTE}")])),
            (named("tracewarden_enabled", ""), self.values(&enabled)),
            (named("envoy_http_downstream_rq_total", ""), self.counts(served)),
        ];
        for (direction, requests) in [("inbound", &self.inbound), ("outbound", &self.outbound)] {
            for context in VERDICTS.iter().filter(|_| !requests.is_empty()) {
                let labels = format!(
                    r#", direction="{direction}", role="internal", mode="{}", context="{context}""#,
                    self.mode
                );
                let count = requests.get(*context).copied().unwrap_or_default();
                all.push((named("tracewarden_requests_total", &labels), self.counts(count)));
            }
        }
        for context in ["lost", "unlinked"] {
            for evidence in EVIDENCE.iter().filter(|_| !self.outbound.is_empty()) {
                let Some(weighed) = &self.evidence else { continue };
                let labels = format!(r#", mode="{}", context="{context}", evidence="{evidence}""#, self.mode);
                let count = weighed.get(context).and_then(|weighed| weighed.get(*evidence));
                let count = self.counts(count.copied().unwrap_or_default());
                all.push((named("tracewarden_call_evidence_total", &labels), count));
            }
        }
        if self.evidence.is_some() && !self.inbound.is_empty() {
            let busy = (0..=MINUTE).map(|minute| self.is_busy(minute)).map(|busy| u8::from(busy).to_string());
            let busy: Vec<String> = busy.collect();
            all.push((named("tracewarden_traced_requests_in_flight", ""), self.values(&busy)));
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
