//! What the counters say of the same services.

use std::collections::BTreeSet;

use serde::Serialize;

use super::judge::Pair;
use super::restarts::Restart;

/// Services that lose the trace, by who says so.
#[derive(Debug, Default, Serialize)]
pub(super) struct Agreement {
    pub(super) both: BTreeSet<String>,
    pub(super) traces_alone: BTreeSet<String>,
    pub(super) counters_alone: BTreeSet<String>,
}

/// Reads the counters, and compares. A workload and a service are the same if they have the same name.
pub(super) fn compare(target: &str, pairs: &[Pair], restarts: &[Restart]) -> Result<Agreement, String> {
    let counted = crate::report::losers(target)?;
    let callers = pairs.iter().map(|pair| &pair.caller).chain(restarts.iter().map(|restart| &restart.caller));
    let known = callers.filter(|name| !name.starts_with('('));
    let traced: BTreeSet<String> = known.cloned().collect();
    Ok(Agreement {
        both: traced.intersection(&counted).cloned().collect(),
        traces_alone: traced.difference(&counted).cloned().collect(),
        counters_alone: counted.difference(&traced).cloned().collect(),
    })
}
