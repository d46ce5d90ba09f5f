//! What a Prometheus, or what answers as one, has gathered.

use serde::Deserialize;
use serde_json::Value;

use super::input::from_json;
use super::names::{Labels, Names};
use super::reading::{
    BUILD_INFO, ENABLED, Reading, SOURCE, WITHOUT_FILTER, WITHOUT_FILTER_IN_ISTIO, Who, clean,
};
use crate::web::{Failure, Web};

/// The labels that say whose Envoy it is, as the rules in envoy/prometheus expect them. Where one Prometheus has several
/// clusters, its series have the first one too.
pub(crate) const OWNERS: &[&str] = &["cluster", "namespace", "workload"];

/// The labels that every scrape has.
const SCRAPE: &[&str] = &["job", "instance"];

/// The requests that Envoy counts itself.
pub(super) const SERVED: &str = "envoy_http_downstream_rq_total";
/// The labels that say whose requests Envoy counted, its own and Istio's; and the values where no filter is to see them.
const PREFIXES: [(&str, &[&str]); 2] = [
    ("envoy_http_conn_manager_prefix", &WITHOUT_FILTER),
    ("http_conn_manager_prefix", &WITHOUT_FILTER_IN_ISTIO),
];
const LISTENER: &str = "listener";

/// How far before the window a series is looked for, in seconds. Outages are shorter; and the samples of a week, which a
/// Prometheus all reads for it, would take a large one longer than --timeout gives it.
const BEFORE: u64 = 24 * 3600;
/// The most that a series is believed to have counted: beyond it, it is no counter, and its number is not exact.
const MOST: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;

const UNTAGGED: &str = "Some Envoys leave the labels in the names of their stats, and are not counted here: they need the \
                        stats_tags of envoy/envoy.yaml, in Istio extraStatTags.";
const UNNAMED: &str = "its series have no names; save the answer to a query such as \
                       {__name__=~\"tracewarden_.+|envoy_http_downstream_rq_total\"}";

/// What is to be read.
pub(crate) struct Scope {
    /// How far back, in seconds.
    pub(crate) window: u64,
    /// The labels that say whose Envoy it is; the last one is the most specific.
    pub(crate) owners: Vec<String>,
    /// More matchers of labels.
    pub(crate) matchers: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    warnings: Option<Vec<String>>,
    data: Option<Value>,
}

/// The data of an answer, if it is an instant vector.
#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
}

#[derive(Deserialize)]
struct Series {
    metric: Labels,
    value: (Value, String),
}

/// Some of the series, and the labels by which they are summed.
struct Group<'a> {
    owners: Vec<&'a str>,
    matchers: String,
    window: u64,
}

pub(crate) fn ask(web: &Web, names: &Names, scope: &Scope) -> Result<Reading, Failure> {
    let mut reading = Reading::default();
    reading.seconds = Some(scope.window);
    // All questions are about one moment, or what is scraped between them would make them disagree. It is the last full
    // second by the server's own clock; what began to be scraped in the one before is there by now.
    let now = query(web, &[("query", "vector(time())")], &mut reading)?;
    let moment = (now.first().map_or(0.0, Series::count).floor() - 1.0).to_string();
    let ask = |text: &str, reading: &mut Reading| query(web, &[("query", text), ("time", &moment)], reading);
    for group in [scope.named(), scope.unnamed()] {
        let present = ask(&group.present(), &mut reading)?;
        for (metric, labels) in names.metrics().filter(|_| !present.is_empty()) {
            for series in ask(&group.counted(metric, labels), &mut reading)? {
                reading.take(names, scope.who(&series.metric), metric, &series.metric, series.count());
            }
        }
        for series in ask(&group.built(), &mut reading)? {
            reading.take(names, Who::default(), BUILD_INFO, &series.metric, 1.0);
        }
        for series in ask(&group.served(), &mut reading)? {
            reading.take_served(scope.who(&series.metric), series.count());
        }
        reading.loaded.extend(present.iter().map(|series| scope.who(&series.metric)));
        for series in ask(&group.correlated(), &mut reading)? {
            reading.correlated.insert(scope.who(&series.metric));
        }
        for series in ask(&group.switched_off(), &mut reading)? {
            reading.take(names, scope.who(&series.metric), ENABLED, &series.metric, 0.0);
        }
        if !ask(&group.untagged(), &mut reading)?.is_empty() {
            reading.notes.insert(UNTAGGED.to_owned());
        }
    }
    scope.note_unnamed(&mut reading);
    Ok(reading)
}

/// Reads an answer that was saved: counters as they were, since each Envoy's start.
pub(crate) fn read(json: &[u8], names: &Names, scope: &Scope) -> Result<Reading, String> {
    let mut reading = Reading::default();
    let saved = vector(json, &mut reading).map_err(|failure| match failure {
        Failure::Final(problem) => format!("it says: {problem}"),
        Failure::Other(problem) => problem,
    })?;
    for series in saved {
        let metric = series.metric.get("__name__").ok_or(UNNAMED)?;
        if metric == SERVED {
            let count = if is_seen(&series.metric) { series.count() } else { 0.0 };
            reading.take_served(scope.who(&series.metric).owner(), count);
        } else {
            let (metric, labels) = names.unfold(metric, series.metric.clone());
            reading.take(names, scope.who(&labels), &metric, &labels, series.count());
        }
    }
    scope.note_unnamed(&mut reading);
    Ok(reading)
}

impl Scope {
    /// Refuses labels that the filter has itself.
    pub(crate) fn new(
        window: u64,
        owners: Vec<String>,
        matchers: Option<String>,
        names: &Names,
    ) -> Result<Self, String> {
        let ours = |label: &String| {
            label == LISTENER || label == SOURCE || names.metrics().any(|(_, labels)| labels.contains(label))
        };
        match owners.iter().find(|label| ours(label)) {
            Some(label) => Err(format!("--by {label}: that is a label of Tracewarden's own")),
            None => Ok(Self { window, owners, matchers }),
        }
    }

    /// The label without which a series does not say whose it is.
    fn workload(&self) -> &str {
        self.owners.last().map_or("workload", String::as_str)
    }

    fn named(&self) -> Group<'_> {
        self.group(self.owners.iter().map(String::as_str).collect(), "!=")
    }

    fn unnamed(&self) -> Group<'_> {
        self.group(SCRAPE.to_vec(), "=")
    }

    fn group<'a>(&'a self, owners: Vec<&'a str>, comparison: &str) -> Group<'a> {
        let more = self.matchers.as_ref().map(|matchers| format!(",{matchers}")).unwrap_or_default();
        let matchers = format!("{}{comparison}\"\"{more}", self.workload());
        Group { owners, matchers, window: self.window }
    }

    /// Whether labels name a workload.
    fn names(&self, labels: &Labels) -> bool {
        labels.contains_key(self.workload())
    }

    /// Whether a Prometheus has gathered the series, so that its labels say whose it is.
    pub(super) fn is_gathered(&self, labels: &Labels) -> bool {
        self.names(labels) || SCRAPE.iter().all(|label| labels.contains_key(*label))
    }

    pub(super) fn who(&self, labels: &Labels) -> Who {
        let group = if self.names(labels) { self.named() } else { self.unnamed() };
        Who::new(group.owners.into_iter().map(|label| (label, labels.get(label))), labels.get(LISTENER))
    }

    pub(super) fn note_unnamed(&self, reading: &mut Reading) {
        let is_unnamed = |who: &Who| !Labels::from(who.clone()).contains_key(self.workload());
        if reading.loaded.iter().any(is_unnamed) {
            reading.notes.insert(format!(
                "Some series have no label {}, and are named by {}: give the scrape that label (docs/runbook.md), or name \
                 yours by --by.",
                self.workload(),
                SCRAPE.join(" and "),
            ));
        }
    }
}

impl Group<'_> {
    /// Whose Envoy has had counters of Tracewarden.
    fn present(&self) -> String {
        let Self { matchers, window, .. } = self;
        let of = |metric: &str| format!("present_over_time({metric}{{{matchers}}}[{window}s])");
        format!(
            "group by ({}) ({} or {})",
            self.owners.join(","),
            of("tracewarden_requests_total"),
            of("tracewarden_bypassed_total")
        )
    }

    fn counted(&self, metric: &str, labels: &[String]) -> String {
        let by = self.owners.iter().copied().chain([LISTENER]).chain(labels.iter().map(String::as_str));
        self.increase(metric, &self.matchers, by)
    }

    /// Envoy's own count of what a filter is to see.
    fn served(&self) -> String {
        let seen = PREFIXES.map(|(label, unseen)| format!("{label}!~\"{}\",", unseen.join("|")));
        self.increase(SERVED, &format!("{}{}", seen.concat(), self.matchers), self.owners.iter().copied())
    }

    /// A series that begins within the window counts as a whole: `increase` does not see its first step, and a reason of
    /// corruption begins with the first that occurs. One that was only not scraped for a while has begun before.
    fn increase<'a>(&self, metric: &str, matchers: &str, by: impl Iterator<Item = &'a str>) -> String {
        let (by, window) = (by.collect::<Vec<_>>().join(","), self.window);
        let series = format!("{metric}{{{matchers}}}");
        let before = window.max(BEFORE);
        format!(
            "sum by ({by}) (({series} unless present_over_time({series}[{before}s] offset {window}s)) \
             or increase({series}[{window}s])) > 0"
        )
    }

    fn built(&self) -> String {
        format!("group by (version,revision) ({BUILD_INFO}{{{}}})", self.matchers)
    }

    /// Whose calls are held against what their pod received.
    fn correlated(&self) -> String {
        let Self { owners, matchers, window } = self;
        let by = owners.join(",");
        format!(
            "group by ({by}) (present_over_time(tracewarden_call_evidence_total{{{matchers}}}[{window}s]))"
        )
    }

    /// Whose plugins are switched off now, or one of them.
    fn switched_off(&self) -> String {
        format!("min by ({}) ({ENABLED}{{{}}}) == 0", self.owners.join(","), self.matchers)
    }

    /// Counters whose labels Envoy has left in their names.
    fn untagged(&self) -> String {
        format!("group ({{__name__=~\".+_tracewarden_requests_total\",{}}})", self.matchers)
    }
}

impl Series {
    fn count(&self) -> f64 {
        self.value.1.parse().map_or(0.0, believed)
    }
}

/// What a series can have counted.
pub(super) const fn believed(count: f64) -> f64 {
    if count.is_finite() { count.clamp(0.0, MOST) } else { 0.0 }
}

/// Whether the filter should see the requests that a series of [`SERVED`] counts.
pub(super) fn is_seen(labels: &Labels) -> bool {
    let is_unseen = |(label, unseen): (&str, &[&str])| {
        labels.get(label).is_some_and(|prefix| unseen.contains(&prefix.trim_end_matches(';')))
    };
    !PREFIXES.into_iter().any(is_unseen)
}

fn query(web: &Web, parameters: &[(&str, &str)], reading: &mut Reading) -> Result<Vec<Series>, Failure> {
    let (status, body) = web.get("/api/v1/query", parameters)?;
    vector(&body, reading).map_err(|failure| match failure {
        Failure::Final(problem) => {
            Failure::Final(format!("{}/api/v1/query answered {status}: {problem}", web.base()))
        }
        Failure::Other(problem) => Failure::Other(format!("/api/v1/query answered {status}, {problem}")),
    })
}

/// Reads the answer to a query. It is final if the server itself says what is wrong.
fn vector(json: &[u8], reading: &mut Reading) -> Result<Vec<Series>, Failure> {
    let mut answers = serde_json::Deserializer::from_slice(from_json(json)).into_iter();
    let answer: Answer = answers
        .next()
        .unwrap_or_else(|| serde_json::from_slice(b""))
        .map_err(|error| Failure::Other(format!("no answer of a Prometheus: {error}")))?;
    for warning in answer.warnings.iter().flatten() {
        reading.notes.insert(format!("Prometheus warns: {}", clean(warning)));
    }
    if answer.status == "error" {
        return Err(Failure::Final(answer.error));
    }
    match answer.data.filter(|_| answer.status == "success").map(Data::deserialize) {
        Some(Ok(Data::Vector(series))) => Ok(series),
        _ => Err(Failure::Other("no instant vector of a Prometheus".to_owned())),
    }
}
