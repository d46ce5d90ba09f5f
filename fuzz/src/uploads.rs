//! The way of spans to a collector, step by step next to a list of where each of them must be.

mod body;
mod end;
mod hold;
mod model;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tracewarden::export::Export;
use tracewarden::resource::Resource;

use self::model::Model;
use crate::host::Lines;
use crate::otlp::Span;

/// What happens at a worker's exporter. A place among senders or uploads is counted round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Step {
    /// It is given all spans, so many times.
    Take(u8),
    /// The first sender looks whether a batch is to be sent.
    Tick,
    /// The one at this place does.
    TickOf(u8),
    /// The collector answers the first upload that is on its way.
    Answer(Reply),
    /// It answers the one at this place.
    AnswerTo(u8, Reply),
    /// It does not answer the first one in time.
    NoAnswer,
    /// It does not answer the one at this place.
    NoAnswerTo(u8),
    /// An answer comes to an upload that was concluded, or whose sender has left.
    Late(u8),
    /// The host has no collector for the next upload.
    NoHost,
    /// The host does not send the next upload.
    NotSent,
    /// The clock shows this time from now on.
    Clock(u64),
    /// The clock shows so many milliseconds more.
    Pass(u32),
    /// There is no clock until it shows a time.
    NoClock,
    /// One more plugin sends.
    Join,
    /// The plugin at this place ends, unless it is the only one.
    Leave(u8),
    /// A plugin takes the place of all others, as a new configuration does.
    Reload,
    /// All plugins end. Then there is another one.
    Abandon,
}

/// What a collector answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    pub headers: Lines,
    pub body: ByteBuf,
    pub trailers: Lines,
}

/// Takes spans through an exporter, and checks after each step that all of them are where they must be; at the end that they
/// arrive.
pub(crate) fn check(export: &Export, resource: &Resource, spans: &[Span], steps: &[Step]) {
    let mut model = Model::new(export, resource);
    for step in steps {
        model.step(spans, step);
        model.add_up();
    }
    model.empties();
}
