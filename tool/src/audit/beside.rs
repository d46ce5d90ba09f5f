//! What Tracewarden's counters say of the services between which the traces break.

use serde::Serialize;

use super::pairs::Pair;
use super::restarts::Restart;
use super::store::is_same_service;
use crate::report::Counted;

/// Where counters and traces say the same, and where only one of them says something.
#[derive(Serialize)]
pub(super) struct Beside {
    pub(super) both: Vec<Both>,
    pub(super) only_counters: Vec<Counted>,
    pub(super) only_traces: Vec<Between>,
}

/// A pair of services, and what the counters of one of them say.
#[derive(Serialize)]
pub(super) struct Both {
    pub(super) between: Between,
    pub(super) counted: Counted,
}

/// Between which services traces break, and how often.
#[derive(Clone, Serialize)]
pub(super) struct Between {
    pub(super) caller: Option<String>,
    pub(super) callee: Option<String>,
    pub(super) missing: u64,
    pub(super) started_anew: u64,
}

/// Lays the findings of the counters next to the pairs.
pub(super) fn beside(counted: &[Counted], pairs: &[Pair], restarts: &[Restart]) -> Beside {
    let betweens = betweens(pairs, restarts);
    let mut both = Vec::new();
    for between in &betweens {
        let same = counted.iter().filter(|counted| is_about(counted, between));
        both.extend(same.map(|counted| Both { between: between.clone(), counted: counted.clone() }));
    }
    let is_alone = |counted: &&Counted| !betweens.iter().any(|between| is_about(counted, between));
    let only_counters = counted.iter().filter(is_alone).cloned().collect();
    let is_uncounted = |between: &&Between| !counted.iter().any(|counted| is_about(counted, between));
    let only_traces = betweens.iter().filter(is_uncounted).cloned().collect();
    Beside { both, only_counters, only_traces }
}

/// What breaks traces between services. Within a service the counters see nothing of a missing span.
fn betweens(pairs: &[Pair], restarts: &[Restart]) -> Vec<Between> {
    let mut all: Vec<Between> = restarts
        .iter()
        .map(|restart| Between {
            caller: restart.caller.clone(),
            callee: restart.callee.clone(),
            missing: 0,
            started_anew: restart.proved + restart.suspected,
        })
        .collect();
    for pair in pairs.iter().filter(|pair| pair.caller != pair.callee) {
        match all
            .iter_mut()
            .find(|between| (&between.caller, &between.callee) == (&pair.caller, &pair.callee))
        {
            Some(between) => between.missing = pair.missing,
            None => all.push(Between {
                caller: pair.caller.clone(),
                callee: pair.callee.clone(),
                missing: pair.missing,
                started_anew: 0,
            }),
        }
    }
    all
}

/// Whether the counters speak of the caller's calls, or of what the callee receives.
fn is_about(counted: &Counted, between: &Between) -> bool {
    let service = if counted.sends { &between.caller } else { &between.callee };
    service.as_ref().is_some_and(|service| is_same_service(&counted.workload, service))
}
