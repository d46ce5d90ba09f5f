//! Which headers belong to a format, from its vendor's documents. What crosses a border is decided by these lists.

use super::PROPAGATORS;
use crate::headers::{BAGGAGE, HeaderWriter, Headers, TRACEPARENT, TRACESTATE, ignore};
use crate::words::{Format, labels};

/// The headers of a format.
#[derive(Clone, Copy, Debug)]
pub struct FormatHeaders {
    /// Those that carry the context. The first names the format in metrics.
    pub carriers: &'static [&'static str],
    /// Those that accompany it.
    pub companions: &'static [Companion],
}

/// A header that accompanies a context, or all headers whose names begin so.
#[derive(Clone, Copy, Debug)]
pub struct Companion {
    /// Its name. A `*` at the end stands for anything.
    pub name: &'static str,
    /// What it is for.
    pub kind: CompanionKind,
    /// The document that names it.
    pub source: &'static str,
}

labels! {
    /// What a header is for that accompanies a context.
    pub enum CompanionKind {
        /// It holds what applications attached to the trace.
        Baggage = "baggage",
        /// It influences how a trace is sampled, or says where it came from.
        Hint = "hint",
    }
}

/// The headers of W3C's own format. `correlation-context` is what drafts called `baggage`, and .NET still sends it.
pub(super) const TRACE_CONTEXT: FormatHeaders = FormatHeaders {
    carriers: &[TRACEPARENT, TRACESTATE],
    companions: &[
        Companion::baggage(BAGGAGE, "W3C, Baggage"),
        Companion::baggage("correlation-context", ".NET, DistributedContextPropagator"),
    ],
};

impl FormatHeaders {
    /// The headers of a format whose vendor names no companion.
    pub(super) const fn alone(carriers: &'static [&'static str]) -> Self {
        Self { carriers, companions: &[] }
    }

    /// The header that names the format in metrics.
    pub(crate) fn name(&self) -> &'static str {
        self.carriers.first().copied().unwrap_or_default()
    }
}

impl Companion {
    pub(super) const fn baggage(name: &'static str, source: &'static str) -> Self {
        Self { name, kind: CompanionKind::Baggage, source }
    }

    pub(super) const fn hint(name: &'static str, source: &'static str) -> Self {
        Self { name, kind: CompanionKind::Hint, source }
    }

    fn is_called(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(start) => name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)),
            None => name.eq_ignore_ascii_case(self.name),
        }
    }

    /// Removes every such header that came in, if it is to go.
    fn remove(&self, headers: &Headers, writer: &mut dyn HeaderWriter, goes: impl Fn(&str) -> bool) {
        if !self.name.ends_with('*') {
            if headers.first(self.name).is_some() && goes(self.name) {
                headers.remove(self.name, writer);
            }
            return;
        }
        let names = headers.iter().filter_map(|(name, _)| core::str::from_utf8(name).ok());
        names.filter(|name| self.is_called(name) && goes(name)).for_each(|name| ignore(writer.remove(name)));
    }
}

/// Whether a format owns a header of this name.
pub(super) fn is_owned(name: &str) -> bool {
    every_format().any(|headers| {
        headers.carriers.contains(&name)
            || headers.companions.iter().any(|companion| companion.is_called(name))
    })
}

/// Removes the companions of every format for which `goes` holds, by their kind and their name.
pub(crate) fn remove_companions(
    headers: &Headers,
    writer: &mut dyn HeaderWriter,
    goes: impl Fn(CompanionKind, &str) -> bool,
) {
    for companion in every_format().flat_map(|headers| headers.companions) {
        companion.remove(headers, writer, |name| goes(companion.kind, name));
    }
}

/// Removes what carries a format.
pub(crate) fn remove_carriers(
    format: Format,
    header: &str,
    headers: &Headers,
    writer: &mut dyn HeaderWriter,
) {
    format.carriers(header).for_each(|name| headers.remove(name, writer));
}

/// Removes what carries a format, and what steers its traces. Its baggage stays.
pub(crate) fn retire(format: Format, header: &str, headers: &Headers, writer: &mut dyn HeaderWriter) {
    remove_carriers(format, header, headers, writer);
    let hints = format.headers().companions.iter().filter(|one| one.kind == CompanionKind::Hint);
    hints.for_each(|hint| hint.remove(headers, writer, |_| true));
}

fn every_format() -> impl Iterator<Item = &'static FormatHeaders> {
    [&TRACE_CONTEXT].into_iter().chain(PROPAGATORS.iter().map(|propagator| &propagator.headers))
}
