//! Asking a Jaeger.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::judge::{Cause, Judgement};
use super::store::Store;
use super::{Options, Progress, formats};
use crate::report::{clean, printable};
use crate::web::{Failure, Web};

/// A Jaeger that was read.
pub(super) struct Jaeger {
    web: Web,
}

#[derive(Deserialize)]
struct Services {
    #[serde(default)]
    data: Option<Vec<String>>,
}

/// A part of the time, in microseconds.
#[derive(Clone, Copy)]
struct Window {
    start: u64,
    end: u64,
}

/// The shortest time that is asked for: more traces than the limit within it are not all read.
const SHORTEST: u64 = 1_000_000;
/// So many traces are asked for again.
const AGAIN: usize = 200;

const TOO_LONG: &str = "--limit asks for fewer traces at once";

impl Jaeger {
    /// Reads what the options say into the store.
    pub(super) fn read(
        url: &str,
        options: &Options,
        store: &mut Store,
        progress: &mut Progress,
    ) -> Result<Self, String> {
        let jaeger = Self { web: Web::new(url, &options.access, TOO_LONG)? };
        let services = match options.service.as_slice() {
            [] => jaeger.services()?,
            named => named.to_vec(),
        };
        let end = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros() as u64);
        let whole = Window { start: end.saturating_sub(options.lookback.saturating_mul(1_000_000)), end };
        for (place, service) in services.iter().enumerate() {
            jaeger.read_service(service, whole, options.limit, store, progress).map_err(|problem| {
                format!(
                    "{problem}; read before that: {place} of {} services, {} spans",
                    services.len(),
                    crate::grouped(store.spans.len() as u64)
                )
            })?;
        }
        Ok(jaeger)
    }

    fn services(&self) -> Result<Vec<String>, String> {
        let body = self.get("/api/services", &[])?;
        let services: Services = serde_json::from_slice(&body)
            .map_err(|error| format!("{} is no Jaeger: /api/services answered {error}", self.web.base()))?;
        match services.data {
            Some(services) if !services.is_empty() => Ok(services),
            _ => Err(format!("{}: it knows no service, so there are no traces", self.web.base())),
        }
    }

    /// Asks for the traces of a service, in halves of the time where there are more than the limit.
    fn read_service(
        &self,
        service: &str,
        whole: Window,
        limit: u32,
        store: &mut Store,
        progress: &mut Progress,
    ) -> Result<(), String> {
        let mut windows = vec![whole];
        while let Some(window) = windows.pop() {
            let [start, end, most] =
                [window.start, window.end, limit.into()].map(|number: u64| number.to_string());
            let query = [("service", service), ("start", &start), ("end", &end), ("limit", &most)];
            let body = self.get("/api/traces", &query)?;
            let number = traces_in(&body);
            if number >= u64::from(limit) && window.end - window.start > SHORTEST {
                let middle = window.start + (window.end - window.start) / 2;
                windows.push(Window { start: window.start, end: middle });
                windows.push(Window { start: middle, end: window.end });
                continue;
            }
            if number >= u64::from(limit) {
                store.notes.insert(format!(
                    "Within a second {} has more traces than --limit: some were not read.",
                    clean(service)
                ));
            }
            formats::read(body.as_slice(), store, progress)
                .map_err(|problem| format!("{}/api/traces: {}", self.web.base(), printed(&problem)))?;
        }
        Ok(())
    }

    /// Asks for traces with a missing parent again, after a while: a parent is exported when it ends, which is later.
    pub(super) fn ask_again(
        &self,
        wait: Duration,
        store: &mut Store,
        judgement: &mut Judgement,
    ) -> Result<(), String> {
        if wait.is_zero() || judgement.missing.is_empty() {
            return Ok(());
        }
        std::thread::sleep(wait);
        let mut again = Store::default();
        let mut asked = Vec::new();
        for missing in &judgement.missing {
            let (high, low) = (missing.span.high, missing.span.low);
            if asked.contains(&(high, low)) {
                continue;
            }
            if asked.len() == AGAIN {
                store.notes.insert(format!("Only {AGAIN} traces were asked for again."));
                break;
            }
            asked.push((high, low));
            let id = if high == 0 { format!("{low:016x}") } else { format!("{high:016x}{low:016x}") };
            let body = self.get(&format!("/api/traces/{id}"), &[])?;
            formats::read(body.as_slice(), &mut again, &mut Progress::new())
                .map_err(|problem| format!("{}/api/traces/{id}: {}", self.web.base(), printed(&problem)))?;
        }
        again.sort();
        for missing in &mut judgement.missing {
            let span = missing.span;
            let parent = again.spans.iter().find(|late| late.is_of_trace(&span) && late.id == span.parent);
            if let Some(parent) = parent {
                missing.cause = Cause::Late;
                missing.caller = store.name(&again.text(parent.service));
            }
        }
        Ok(())
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, String> {
        match self.web.get(path, query) {
            Ok((200, body)) => Ok(body),
            Ok((status, _)) => Err(format!("{}{path} answered {status}", self.web.base())),
            Err(Failure::Final(problem) | Failure::Other(problem)) => Err(printed(&problem)),
        }
    }
}

/// How many traces an answer has.
fn traces_in(body: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        data: Option<Vec<serde::de::IgnoredAny>>,
    }
    let answer = serde_json::from_slice::<Answer>(body);
    answer.ok().and_then(|answer| answer.data).map_or(0, |traces| traces.len() as u64)
}

fn printed(text: &str) -> String {
    printable(text).collect()
}
