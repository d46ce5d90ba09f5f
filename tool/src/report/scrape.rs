//! What an Envoy, Istio's agent or a Prometheus answers to a scrape.

use std::io::{BufReader, Read};

use super::exposition::{Line, Sample, line};
use super::input::{is_json, next_line};
use super::names::{Labels, Names};
use super::prometheus::{Scope, believed};
use super::reading::{Reading, Who, without_filter};
use crate::web::Failure;

/// The longest line that is read as one.
const MAX_LINE: usize = 64 << 10;
/// The longest text that is read. It is read line by line, and only counters are kept.
const MAX_TEXT: u64 = 512 << 20;
/// So many lines at the most are looked at to know the format.
const HEAD: usize = 100;

const UPTIME: &str = "envoy_server_uptime";

/// What to do about Envoy's stats in no format.
const PLAIN: &str =
    "it looks like Envoy's /stats as plain text; save /stats?format=json or /stats/prometheus";

/// Whether it begins like metrics as a Prometheus scrapes them. Before them there may be a notice of `kubectl exec`.
pub(super) fn is_text(head: &[u8]) -> bool {
    for bytes in head.split(|byte| *byte == b'\n').take(HEAD) {
        let text = String::from_utf8_lossy(bytes);
        match line(&text) {
            Some(Line::Sample(_)) => return true,
            Some(Line::Comment) if text.trim_start().starts_with('#') => return true,
            _ if is_json(bytes) => return false,
            _ => {}
        }
    }
    false
}

/// What to say of an answer that is in none of the formats, if it is known what it is.
pub(super) fn hint(bytes: &[u8]) -> Option<&'static str> {
    let mut lines = bytes.split(|byte| *byte == b'\n').take(HEAD);
    let is_plain = |line: &[u8]| {
        let mut parts = line.trim_ascii().rsplitn(2, |byte| *byte == b':');
        let is_count = parts.next().is_some_and(|count| {
            let count = count.trim_ascii();
            !count.is_empty() && count.iter().all(u8::is_ascii_digit)
        });
        is_count && parts.next().is_some_and(|name| name.contains(&b'.') && !name.contains(&b' '))
    };
    lines.any(is_plain).then_some(PLAIN)
}

/// Reads the whole of it. Of one Envoy the counters are its own; with the labels of a scrape they are those of many.
pub(super) fn read(from: impl Read, names: &Names, scope: &Scope) -> Result<Reading, Failure> {
    let mut from = BufReader::new(from.take(MAX_TEXT));
    let mut taken = Taken { names, scope, reading: Reading::default(), is_named: false, is_envoy: false };
    let (mut bytes, mut samples, mut unread) = (Vec::new(), 0_u64, 0_u64);
    while next_line(&mut from, &mut bytes, MAX_LINE).map_err(|error| Failure::Final(error.to_string()))? {
        match line(&String::from_utf8_lossy(&bytes)) {
            Some(Line::Sample(sample)) => {
                samples += 1;
                taken.take(sample);
            }
            Some(Line::Comment) => {}
            // Before the first sample it is a notice.
            None => unread += u64::from(samples > 0),
        }
    }
    if from.get_ref().limit() == 0 {
        return Err(Failure::Final(format!("it is longer than {} MiB", MAX_TEXT >> 20)));
    }
    if samples == 0 {
        return Err(Failure::Other("no metrics in the text format of Prometheus".to_owned()));
    }
    let mut reading = taken.done();
    if unread > 0 {
        let lines = crate::lines::plural(unread, "line");
        reading
            .notes
            .insert(format!("Passed over, because it is no metric of Prometheus' text format: {lines}."));
    }
    Ok(reading)
}

/// What was read so far.
struct Taken<'a> {
    names: &'a Names,
    scope: &'a Scope,
    reading: Reading,
    /// Whether series say whose they are.
    is_named: bool,
    is_envoy: bool,
}

impl Taken<'_> {
    fn take(&mut self, Sample { name, labels, value }: Sample<'_>) {
        self.is_envoy |= name.starts_with("envoy_");
        if name.contains("tracewarden_") && !name.starts_with("envoy_") {
            let (metric, labels) = self.names.unfold(name, labels);
            let who = self.who(&labels);
            self.reading.take(self.names, who, &metric, &labels, believed(value));
        } else if is_served(name, &labels) {
            let who = self.who(&labels).owner();
            self.reading.take_served(who, believed(value));
        } else if name == UPTIME {
            self.reading.seconds = Some(believed(value) as u64);
        }
    }

    fn who(&mut self, labels: &Labels) -> Who {
        if self.scope.is_gathered(labels) {
            self.is_named = true;
            return self.scope.who(labels);
        }
        Who::new([], labels.get("listener"))
    }

    fn done(self) -> Reading {
        let Self { mut reading, scope, is_named, is_envoy, .. } = self;
        reading.is_of_one = !is_named;
        if is_named {
            // The time is that of one of many.
            reading.seconds = None;
            scope.note_unnamed(&mut reading);
        } else if is_envoy {
            reading.take_served(Who::default(), 0.0);
        }
        reading
    }
}

/// Whether it counts requests that the filter should see: by its labels, or by its name where Envoy makes no labels.
fn is_served(name: &str, labels: &Labels) -> bool {
    if name == super::prometheus::SERVED {
        return super::prometheus::is_seen(labels);
    }
    let prefix = name.strip_prefix("envoy_http_").and_then(|rest| rest.strip_suffix("_downstream_rq_total"));
    let is_other = |one: &str, prefix: &str| one.replace('-', "_") != prefix.trim_end_matches('_');
    prefix.is_some_and(|prefix| without_filter().all(|one| is_other(one, prefix)))
}
