//! Asking a Jaeger.

use std::collections::HashSet;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::Options;
use super::formats::Intake;
use super::judge::{Cause, Certainty, Missing};
use super::lenient::{List, Text};
use super::links::{Links, Parent};
use super::progress::Progress;
use super::store::{Span, Store, TraceId, trace_text};
use crate::lines::grouped;
use crate::report::clean;
use crate::web::{Failure, Web};

/// A part of the time that is not divided further, in microseconds.
const SHORTEST: u64 = 1_000_000;
/// After so many failures in a row the server is left alone.
const FAILURES: u32 = 3;
/// The most questions for the traces of one service.
const QUESTIONS: u32 = 2000;
/// The most traces that are asked for again.
const AGAIN: usize = 500;
/// As much is read of an answer that says what went wrong.
const EXCERPT: u64 = 2000;

/// A server, and the traces that it gave.
pub(super) struct Jaeger {
    web: Web,
    known: HashSet<TraceId>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Services {
    data: Option<Vec<String>>,
    errors: List<Problem>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    msg: Text,
}

impl Jaeger {
    pub(super) fn new(url: &str, options: &Options) -> Result<Self, String> {
        let web = Web::new(url, &options.access, "--service reads a part")?;
        Ok(Self { web, known: HashSet::new() })
    }

    /// Reads the traces that the options want, and what went wrong.
    pub(super) fn read(
        &mut self,
        options: &Options,
        store: &mut Store,
        progress: &mut Progress,
    ) -> Vec<String> {
        let services = match options.service.as_slice() {
            [] => match self.services() {
                Ok(services) => services,
                Err(problem) => return vec![problem],
            },
            services => services.to_vec(),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        let begin = now.saturating_sub(options.lookback.saturating_mul(1_000_000));
        let (mut problems, mut failures) = (Vec::new(), 0);
        for (number, service) in services.iter().enumerate() {
            progress.begin(format!("{} ({} of {} services)", clean(service), number + 1, services.len()));
            match self.read_service(service, (begin, now), options.limit, store, progress) {
                Ok(()) => failures = 0,
                Err(problem) => {
                    problems.push(format!("{}, service {}: {problem}", self.web.base(), clean(service)));
                    failures += 1;
                }
            }
            if failures == FAILURES || store.spans.len() >= store.most {
                let left = services.len() - number - 1;
                if left > 0 {
                    problems.push(format!("{}: {left} more services were not read", self.web.base()));
                }
                break;
            }
        }
        problems
    }

    fn services(&self) -> Result<Vec<String>, String> {
        let base = self.web.base();
        let (status, body) = self.web.get("/api/services", &[]).map_err(text)?;
        let answer = serde_json::from_slice::<Services>(&body);
        match answer {
            Ok(Services { data: Some(services), .. }) if status == 200 => Ok(services),
            // So Jaeger says that it has none.
            Ok(Services { data: None, errors: List(errors) }) if status == 200 && errors.is_empty() => {
                Ok(Vec::new())
            }
            _ => Err(format!(
                "{base}: expected a Jaeger's query address, but /api/services answered {status}: {}",
                excerpt(&body)
            )),
        }
    }

    /// Reads one service's traces. A full answer may leave some out, so the halves of its time are asked for as well.
    fn read_service(
        &mut self,
        service: &str,
        time: (u64, u64),
        limit: u32,
        store: &mut Store,
        progress: &mut Progress,
    ) -> Result<(), String> {
        let mut times = vec![time];
        let mut questions = 0;
        while let Some((begin, end)) = times.pop() {
            questions += 1;
            progress.tell(store.spans.len());
            let (from, to, most) = (begin.to_string(), end.to_string(), limit.to_string());
            let query = [("service", service), ("start", &from), ("end", &to), ("limit", &most)];
            let traces = self.read_traces("/api/traces", &query, store, progress)?;
            if traces < u64::from(limit) {
                continue;
            }
            if end - begin <= SHORTEST || questions >= QUESTIONS {
                store.notes.insert(format!(
                    "{}: there are more than {limit} traces in a part of the time; not all were read. A larger --limit or a \
                     shorter --lookback reads them.",
                    clean(service)
                ));
            } else {
                let middle = begin + (end - begin) / 2;
                times.extend([(begin, middle), (middle + 1, end)]);
            }
        }
        Ok(())
    }

    /// Reads one answer, and returns how many traces it had.
    fn read_traces(
        &mut self,
        path: &str,
        query: &[(&str, &str)],
        store: &mut Store,
        progress: &mut Progress,
    ) -> Result<u64, String> {
        let (status, body) = self.web.open(path, query).map_err(text)?;
        if status != 200 {
            let mut bytes = Vec::new();
            // What cannot be read of it is not shown.
            let _ = body.take(EXCERPT).read_to_end(&mut bytes);
            return Err(format!("{path} answered {status}: {}", excerpt(&bytes)));
        }
        let mut intake = Intake::new(store, progress);
        intake.known = Some(&mut self.known);
        intake.read(body).map_err(|problem| format!("the answer of {path}: {problem}"))?;
        match intake.errors.first() {
            Some(error) if intake.traces == 0 => Err(format!("{path} answered an error: {error}")),
            _ => Ok(intake.traces),
        }
    }

    /// Waits, and asks again for the traces with missing parents: those that are there now were late.
    pub(super) fn ask_again(
        &self,
        wait: Duration,
        store: &mut Store,
        missing: &mut [Missing],
        progress: &mut Progress,
    ) -> Result<(), String> {
        let mut traces: Vec<TraceId> = missing
            .iter()
            .filter_map(|one| store.spans.get(one.place as usize).map(|span| span.trace))
            .filter(|trace| self.known.contains(trace))
            .collect();
        traces.dedup();
        if traces.is_empty() || wait.is_zero() {
            return Ok(());
        }
        if traces.len() > AGAIN {
            let all = grouped(traces.len() as u64);
            store
                .notes
                .insert(format!("{all} traces miss a parent; only {AGAIN} of them were asked for again."));
            traces.truncate(AGAIN);
        }
        let seconds = humantime::format_duration(Duration::from_secs(wait.as_secs()));
        progress.say(&format!("asking again for {} traces in {seconds}…", traces.len()));
        std::thread::sleep(wait);
        for trace in traces {
            self.ask_again_for(trace, store, missing, progress)?;
        }
        Ok(())
    }

    fn ask_again_for(
        &self,
        trace: TraceId,
        store: &mut Store,
        missing: &mut [Missing],
        progress: &mut Progress,
    ) -> Result<(), String> {
        let path = format!("/api/traces/{}", trace_text(trace));
        let (status, body) = self.web.open(&path, &[]).map_err(text)?;
        if status != 200 {
            return Err(format!("{}{path} answered {status} when asked again", self.web.base()));
        }
        let mut now = Store::new(store.most);
        Intake::new(&mut now, progress).read(body).map_err(|problem| format!("{path}: {problem}"))?;
        now.sort();
        let links = Links::of(&mut now);
        let begin = missing.partition_point(|one| store.trace(one.place) < trace);
        for one in missing.iter_mut().skip(begin) {
            let Some(span) = store.spans.get(one.place as usize).filter(|span| span.trace == trace) else {
                break;
            };
            let name = store.text(span.service);
            let is_it = |(_, other): &(usize, &Span)| other.id == span.id && now.text(other.service) == name;
            let parents = now.spans.iter().enumerate().filter(is_it).map(|(place, _)| links.parent(place));
            let mut found = parents.filter_map(|parent| match parent {
                Parent::Found(place) => now.spans.get(place),
                Parent::None | Parent::Missing | Parent::Unread => None,
            });
            if let Some(parent) = found.next_back() {
                let caller = store.name(now.text(parent.service).unwrap_or_default());
                *one = Missing { caller, cause: Cause::Late, certainty: Certainty::Proved, ..*one };
            }
        }
        Ok(())
    }
}

fn text(failure: Failure) -> String {
    match failure {
        Failure::Other(problem) | Failure::Final(problem) => clean(&problem),
    }
}

/// What an answer says is wrong: in Jaeger's form, or its beginning.
fn excerpt(body: &[u8]) -> String {
    let told = serde_json::from_slice::<Services>(body).ok();
    let told = told.and_then(|answer| answer.errors.0.into_iter().next()).map(|problem| problem.msg.0);
    clean(&told.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()))
}
