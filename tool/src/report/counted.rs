//! What another command reads of counters.

use serde::Serialize;

use super::advice::{Kind, Texts};
use super::findings::{Finding, findings};
use super::reading::printable;
use super::source::Sources;
use super::{Asking, HOUR};
use crate::web::Access;

/// A finding about contexts that a workload sends or receives.
#[derive(Clone, Serialize)]
pub(crate) struct Counted {
    pub(crate) who: String,
    /// The name that it may have in traces.
    #[serde(skip)]
    pub(crate) workload: String,
    /// Whether its own calls are affected, and not what it receives.
    pub(crate) sends: bool,
    pub(crate) what: String,
    pub(crate) count: u64,
    pub(crate) of: Option<u64>,
}

/// What the counters at an address or in a file say is lost or corrupted. No credentials go there.
pub(crate) fn counted(target: &str, access: &Access) -> Result<Vec<Counted>, String> {
    let options = Asking {
        targets: vec![target.to_owned()],
        from: None,
        window: None,
        period: None,
        by: Vec::new(),
        matchers: None,
        access: access.without_credentials(),
    };
    let read = Sources::new(&options, HOUR).and_then(|sources| sources.read());
    let (_, reading) = read.map_err(|problem| printable(&problem).collect::<String>())?;
    let all = findings(&reading, &Texts::read()?);
    Ok(all.into_iter().filter_map(Counted::of).collect())
}

impl Counted {
    fn of(finding: Finding) -> Option<Self> {
        let Finding { who, advice, labels, count, of } = finding;
        let way = labels.get("direction").map(String::as_str);
        let sends = match advice.kind {
            Kind::LostByApplication | Kind::LostByJobs | Kind::Torn | Kind::OwnTraces => true,
            Kind::LostByCaller => false,
            Kind::Lost | Kind::Corrupt => way == Some("outbound"),
            _ => return None,
        };
        Some(Self { workload: who.workload()?, who: who.name(), sends, what: advice.what, count, of })
    }
}
