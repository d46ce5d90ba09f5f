use std::collections::BTreeMap;

use serde::Deserialize;

use super::MINUTE;

/// What the filter counts at one workload, in requests a minute.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Workload {
    mode: String,
    role: Role,
    enabled: bool,
    /// The minute at which its proxy starts.
    from: usize,
    inbound: BTreeMap<Verdict, u64>,
    outbound: BTreeMap<Verdict, u64>,
    /// What its upstreams say of the contexts that they were sent.
    answers: BTreeMap<Answer, u64>,
    /// What was inbound, and what the answers were, before something changed.
    before: Before,
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

/// What the filter counted at a workload until [`CHANGE`]; nothing if it was the same.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Before {
    inbound: Option<BTreeMap<Verdict, u64>>,
    answers: Option<BTreeMap<Answer, u64>>,
}

/// The name of a series with its labels, and its values.
type Series = (String, String);

/// Whether a context is due.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Role {
    Internal,
    Edge,
}

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
    Started = "started",
    Lost = "lost",
    Corrupt = "corrupt",
    Unlinked = "unlinked",
    Untrusted = "untrusted",
    Excluded = "excluded"
});
words!(Answer { Absent = "absent", Match = "match", Mismatch = "mismatch", Corrupt = "corrupt" });
words!(Weighed { Lost = "lost", Unlinked = "unlinked" });
words!(Evidence { RequestId = "request_id", InFlight = "in_flight", Nothing = "none" });

/// After which minute Envoy was given the plugin, and an update of it.
const UPDATE: usize = 50;

/// The minute of a change: late enough for an hour of history, and early enough for an alert.
const CHANGE: usize = 90;

/// In how many minutes the gauge repeats itself.
const CYCLE: usize = 10;

impl Default for Workload {
    fn default() -> Self {
        Self {
            mode: "observe".to_owned(),
            role: Role::Internal,
            enabled: true,
            from: 0,
            inbound: BTreeMap::new(),
            outbound: BTreeMap::new(),
            answers: BTreeMap::new(),
            before: Before::default(),
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
        all.extend(self.requests(&named));
        all.extend(self.responses(&named));
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

    /// The requests in each direction, by what came in.
    fn requests(&self, named: &impl Fn(&str, &str) -> String) -> Vec<Series> {
        let before = self.before.inbound.as_ref().unwrap_or(&self.inbound);
        let ways = [("inbound", before, &self.inbound), ("outbound", &self.outbound, &self.outbound)];
        let used = ways.iter().filter(|(_, _, requests)| !requests.is_empty());
        let of_way = |&(direction, before, after): &(&str, _, _)| {
            let verdicts = Verdict::ALL.iter().filter(|(verdict, _)| self.judges(*verdict));
            let series = verdicts.map(move |(verdict, context)| {
                let labels = format!(
                    r#", direction="{direction}", role="{}", mode="{}", context="{context}""#,
                    if self.role == Role::Edge { "edge" } else { "internal" },
                    self.mode
                );
                let values = self.changes(verdict, before, after, self.filters);
                (named("tracewarden_requests_total", &labels), values)
            });
            series.collect::<Vec<_>>()
        };
        used.flat_map(of_way).collect()
    }

    /// The answers, by what the upstream put on them.
    fn responses(&self, named: &impl Fn(&str, &str) -> String) -> Vec<Series> {
        let before = self.before.answers.as_ref().unwrap_or(&self.answers);
        let words = Answer::ALL.iter().filter(|_| !self.answers.is_empty());
        let series = words.map(|(answer, context)| {
            let name = named("tracewarden_responses_total", &format!(r#", context="{context}""#));
            (name, self.changes(answer, before, &self.answers, 1))
        });
        series.collect()
    }

    /// A filter has the series of those verdicts that its role can reach.
    fn judges(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Lost | Verdict::Unlinked => self.role == Role::Internal,
            Verdict::Started | Verdict::Untrusted => self.role == Role::Edge,
            Verdict::Continued | Verdict::Corrupt | Verdict::Excluded => true,
        }
    }

    /// A counter that grows by one number a minute until the change, and by another one after it.
    fn changes<T: Ord>(
        &self,
        word: &T,
        before: &BTreeMap<T, u64>,
        after: &BTreeMap<T, u64>,
        times: u64,
    ) -> String {
        let [before, after] =
            [before, after].map(|numbers| numbers.get(word).copied().unwrap_or_default() * times);
        if before == after {
            return self.counts(after);
        }
        let reached = before * CHANGE as u64 + after;
        self.values(&[format!("0+{before}x{CHANGE}"), format!("{reached}+{after}x{}", MINUTE - CHANGE - 1)])
    }

    /// What Istio's agent and Envoy say of the plugin.
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
