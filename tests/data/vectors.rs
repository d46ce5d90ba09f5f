//! The W3C vectors: for each, the header lines that come in and what the upstream must receive.

use serde::Deserialize;

/// One vector, for one hop with `parent_id: new`.
#[derive(Deserialize)]
pub(crate) struct Vector {
    pub(crate) id: String,
    pub(crate) traceparent: Vec<String>,
    pub(crate) tracestate: Vec<String>,
    /// `same:FF` is the same trace with a new parent-id and the flags FF; `new` is another trace.
    pub(crate) out_traceparent: String,
    pub(crate) out_tracestate: Option<String>,
    pub(crate) note: String,
}

/// Vectors whose `tracestate` leaves otherwise than they say, each with the reason. Beside these, a trace that starts
/// here tells its probability in a `tracestate` (rule OT-08), where the vectors have none.
const DIFFERENCES: &[(&str, &str, &str)] = &[(
    "V95",
    "ot=rv:6e6d1a75832a2f,foo=1",
    "sampled although its randomness is below its threshold: the threshold is wrong, and goes (rule OT-11)",
)];

/// All 95 of them.
pub(crate) fn vectors() -> Vec<Vector> {
    let mut vectors: Vec<Vector> =
        serde_json::from_str(include_str!("vectors.json")).expect("vectors.json is valid");
    assert_eq!(vectors.len(), 95);
    for (id, tracestate, why) in DIFFERENCES {
        let vector = vectors.iter_mut().find(|vector| vector.id == *id).expect(id);
        vector.out_tracestate = Some((*tracestate).to_owned());
        vector.note = (*why).to_owned();
    }
    vectors
}

impl Vector {
    /// The header lines that come in.
    pub(crate) fn request(&self) -> Vec<(&str, &[u8])> {
        let traceparent = self.traceparent.iter().map(|value| ("traceparent", value.as_bytes()));
        traceparent.chain(self.tracestate.iter().map(|value| ("tracestate", value.as_bytes()))).collect()
    }

    /// The flags of the same trace, or `None` where another trace must start.
    pub(crate) fn continues_with(&self) -> Option<&str> {
        self.out_traceparent.strip_prefix("same:")
    }

    /// The lines of `tracestate` that the upstream must receive.
    pub(crate) fn sent_tracestate(&self) -> Vec<&[u8]> {
        match self.continues_with() {
            Some(_) => self.out_tracestate.iter().map(String::as_bytes).collect(),
            None => vec![b"ot=th:0"],
        }
    }

    /// The verdict, if a context was expected.
    pub(crate) fn verdict(&self) -> &'static str {
        match (self.continues_with(), self.traceparent.as_slice()) {
            (Some(_), _) => "continued",
            (None, []) => "lost",
            (None, _) => "corrupt",
        }
    }

    /// How a failure names it.
    pub(crate) fn name(&self) -> String {
        format!("{}: {}", self.id, self.note)
    }
}
