//! The formats of trace context: which headers each is made of, and how it is read and written.

mod b3;
mod datadog;
mod format;
mod gcp;
mod grpc_trace_bin;
mod jaeger;
mod ottrace;
mod sw8;
mod xray;

pub use format::FormatError;
pub(crate) use format::{FormatContext, Outgoing, PROPAGATORS, Propagator, RemoteContext};

use crate::headers::{
    BAGGAGE, HeaderWriter, Headers, Refused, SERVER_TIMING, TRACERESPONSE, TRACESTATE, X_REQUEST_ID,
};
use crate::settings::{Expected, FaultKind, HeaderName, Reader, Setting, Shape, Value, settings};
use crate::words::Format;

settings! {
    /// The formats of trace context. Each format that is read costs a look at its headers, and each one that is written costs
    /// the writing.
    pub struct Propagation "Propagation" {
        /// The formats that are read, such as `["tracecontext", "b3"]`. The first one that holds a context counts. The headers
        /// of other formats are neither read nor changed.
        pub extract: Vec<Format> = vec![Format::TraceContext],
        /// The formats that are written, such as `["tracecontext", "b3"]`.
        pub inject: Vec<WrittenFormat> = vec![WrittenFormat(Format::TraceContext)],
        /// Headers that are removed in any case, such as `["uber-trace-id"]`.
        pub remove: Vec<HeaderName> = Vec::new(),
    }
}

/// A format that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenFormat(Format);

impl WrittenFormat {
    /// The format, unless it can only be read.
    #[must_use]
    pub fn new(format: Format) -> Option<Self> {
        format.is_written().then_some(Self(format))
    }

    /// The format itself.
    #[must_use]
    pub const fn format(self) -> Format {
        self.0
    }
}

impl Setting for WrittenFormat {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let made = Self::new(Format::make(value, reader)?);
        if made.is_none() {
            let expected = Expected::Phrase("a format that can be written");
            reader.fault(FaultKind::UnknownWord, expected, value);
        }
        made
    }

    fn shape() -> Shape {
        let mut shape = Format::shape();
        if let Shape::Words(words) = &mut shape {
            let read_only = Format::ALL.iter().filter(|format| !format.is_written());
            words.refused.extend(read_only.map(|format| format.label()));
        }
        shape
    }

    fn value(&self) -> Value {
        self.0.value()
    }

    fn repeats(&self, before: &[Self]) -> bool {
        before.contains(self)
    }
}

/// Whether a header of this name has a meaning of its own.
pub(crate) fn is_taken(name: &str) -> bool {
    let others = [TRACESTATE, BAGGAGE, SERVER_TIMING, TRACERESPONSE, X_REQUEST_ID];
    let mut formats = PROPAGATORS.iter().flat_map(|propagator| propagator.headers);
    others.contains(&name) || formats.any(|header| *header == name)
}

impl Propagation {
    /// Whether W3C's headers are all that is read and written, as by default.
    #[inline]
    pub(crate) fn is_w3c_alone(&self) -> bool {
        self.extract == [Format::TraceContext] && self.inject == [WrittenFormat(Format::TraceContext)]
    }

    #[inline]
    pub(crate) fn reads(&self, format: Format) -> bool {
        self.extract.contains(&format)
    }

    #[inline]
    pub(crate) fn writes(&self, format: Format) -> bool {
        self.inject.iter().any(|written| written.format() == format)
    }

    /// Writes the context in every format but W3C's; it went out if one of them could be written.
    pub(crate) fn inject_foreign(
        &self,
        outgoing: &Outgoing<'_>,
        writer: &mut dyn HeaderWriter,
    ) -> Result<(), Refused> {
        let mut written = Err(Refused);
        for propagator in self.inject.iter().filter_map(|written| written.format().propagator()) {
            if let Some(inject) = propagator.inject {
                let this = inject(outgoing, writer);
                written = written.or(this);
            }
        }
        written
    }

    /// Removes the headers of every format for which `which` holds.
    pub(crate) fn remove_formats(
        &self,
        header: &str,
        headers: &Headers,
        writer: &mut dyn HeaderWriter,
        which: impl Fn(Format) -> bool,
    ) {
        if which(Format::TraceContext) {
            remove_all(&[header, TRACESTATE], headers, writer);
        }
        for propagator in PROPAGATORS.iter().filter(|propagator| which(propagator.format)) {
            remove_all(propagator.headers, headers, writer);
        }
    }

    /// Removes every context from a request that nothing is written into.
    pub(crate) fn strip(&self, header: &str, headers: &Headers, writer: &mut dyn HeaderWriter) {
        self.remove_formats(header, headers, writer, |_| true);
    }

    /// Removes the headers that do not go on in any case.
    #[inline]
    pub(crate) fn remove_retired(&self, headers: &Headers, writer: &mut dyn HeaderWriter) {
        self.remove.iter().for_each(|name| headers.remove(name, writer));
    }
}

/// Removes those of these headers that came in.
pub(crate) fn remove_all(names: &[&str], headers: &Headers, writer: &mut dyn HeaderWriter) {
    for name in names {
        headers.remove(name, writer);
    }
}
