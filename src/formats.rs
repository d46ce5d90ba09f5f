//! The formats of trace context: which headers each is made of, and how it is read and written.

mod b3;
mod datadog;
mod format;
mod gcp;
mod grpc_trace_bin;
mod jaeger;
mod ottrace;
mod owned;
mod sw8;
mod xray;

pub use format::FormatError;
pub(crate) use format::{FormatContext, Outgoing, PROPAGATORS, Propagator, Reading, RemoteContext, Said};
pub use owned::{Companion, CompanionKind, FormatHeaders};
pub(crate) use owned::{remove_carriers, remove_companions, retire};

use crate::headers::{
    HeaderWriter, Headers, Refused, SERVER_TIMING, TRACEPARENT, TRACERESPONSE, X_REQUEST_ID, is_of_http,
};
use crate::settings::{Expected, FaultKind, HeaderName, Reader, Setting, Shape, Value, settings};
use crate::words::Format;

settings! {
    /// The formats of trace context. Each format that is read costs a look at its headers, and each one that is written costs
    /// the writing.
    pub struct Propagation "Propagation" {
        /// The formats that are read, such as `["tracecontext", "b3"]`. The first one that holds a context counts. The headers
        /// of other formats are not read, and only `trust`, `egress` and `remove` change them.
        pub extract: Vec<Format> = vec![Format::TraceContext],
        /// The formats that are written, such as `["tracecontext", "b3"]`.
        pub inject: Vec<WrittenFormat> = vec![WrittenFormat(Format::TraceContext)],
        /// Headers that are removed and never written, such as `["uber-trace-id"]`. The first header of a format takes the
        /// format's other headers with it, except its baggage. In `mode: observe` nothing is removed.
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
    owned::is_owned(name) || [SERVER_TIMING, TRACERESPONSE, X_REQUEST_ID].contains(&name) || is_of_http(name)
}

/// Whether `traceparent` may be called so.
pub(crate) fn is_free(name: &str) -> bool {
    name == TRACEPARENT || !is_taken(name)
}

impl Propagation {
    /// Whether W3C's headers are all that is read and written, as by default.
    #[inline]
    pub(crate) fn is_w3c_alone(&self) -> bool {
        self.extract == [Format::TraceContext] && self.inject == [WrittenFormat(Format::TraceContext)]
    }

    /// Whether a format is written in addition to W3C's, or in its place.
    pub(crate) fn writes_more_than_w3c(&self) -> bool {
        let mut formats = self.inject.iter().map(|written| written.format());
        formats.any(|format| format != Format::TraceContext && !self.removes(format.headers().name()))
    }

    #[inline]
    pub(crate) fn reads(&self, format: Format) -> bool {
        self.extract.contains(&format)
    }

    /// Whether it is written, where `traceparent` is called `header`. What is removed in any case is not.
    #[inline]
    pub(crate) fn writes(&self, format: Format, header: &str) -> bool {
        self.inject.iter().any(|written| written.format() == format) && !self.retires(format, header)
    }

    /// Whether the header that names the format is removed in any case, which leaves no room for the others.
    #[inline]
    pub(crate) fn retires(&self, format: Format, header: &str) -> bool {
        !self.remove.is_empty() && format.carriers(header).next().is_some_and(|name| self.removes(name))
    }

    /// Whether a header of this name is removed in any case.
    pub(crate) fn removes(&self, name: &str) -> bool {
        self.remove.iter().any(|removed| **removed == *name)
    }

    /// Writes the context in every format but W3C's; it went out if one of them could be written.
    pub(crate) fn inject_foreign(
        &self,
        header: &str,
        outgoing: &Outgoing<'_>,
        writer: &mut dyn HeaderWriter,
    ) -> Result<(), Refused> {
        let mut written = Err(Refused);
        let formats = self.inject.iter().map(|written| written.format());
        for propagator in
            formats.filter(|format| !self.retires(*format, header)).filter_map(Format::propagator)
        {
            if let Some(inject) = propagator.inject {
                let is_said = outgoing.is_said(propagator.format);
                let this = if is_said { Ok(()) } else { inject(outgoing, writer) };
                written = written.or(this);
            }
        }
        written
    }

    /// Removes the headers that do not go on in any case, and all of a format whose first header is one of them.
    #[inline]
    pub(crate) fn remove_retired(&self, header: &str, headers: &Headers, writer: &mut dyn HeaderWriter) {
        if self.remove.is_empty() {
            return;
        }
        self.remove.iter().for_each(|name| headers.remove(name, writer));
        for format in Format::ALL.iter().filter(|format| self.retires(**format, header)) {
            retire(*format, header, headers, writer);
        }
    }
}

/// Removes every context, whatever its format. What accompanies it is the border's.
pub(crate) fn strip(header: &str, headers: &Headers, writer: &mut dyn HeaderWriter) {
    Format::ALL.iter().for_each(|format| remove_carriers(*format, header, headers, writer));
    headers.remove(TRACEPARENT, writer);
}

/// Removes those of these headers that came in.
pub(crate) fn remove_all(names: &[&str], headers: &Headers, writer: &mut dyn HeaderWriter) {
    for name in names {
        headers.remove(name, writer);
    }
}
