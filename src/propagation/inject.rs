use super::format::PROPAGATORS;
use super::{Carriers, Format, Outgoing, Propagation, TraceContext, tracestate_of_child, tracestate_of_root};
use crate::headers::{Lines, TRACESTATE, has};
use crate::pass::{Refused, Sink, ignore};
use crate::sampling::Sampled;
use crate::w3c::{TraceFlags, TraceParent};

impl Propagation {
    /// Sends a continued context on, with the ids of `child` where this hop has some of its own, and tells which
    /// context the upstream receives.
    pub(crate) fn send_on(
        &self,
        carriers: &Carriers<'_>,
        context: TraceContext<'_>,
        child: Option<TraceParent>,
        sampled: Sampled,
        sink: &mut dyn Sink,
    ) -> Option<TraceParent> {
        let came = context.parent();
        let elsewhere = context.elsewhere;
        let flags = TraceFlags::of(sampled.decision.is_record(), context.random);
        let Some(goes) = child.or(came.map(|came| TraceParent { flags, ..came })) else {
            return self.withhold(carriers, sink);
        };
        let mut written = Err(Refused);
        if self.writes(Format::TraceContext) && (child.is_some() || elsewhere) {
            written = sink.set(&self.header, &goes.to_bytes());
        }
        let debug = context.debug;
        // What is forwarded with its parent-id is forwarded as it came (rule TP-34), unless it is invalid.
        if written.is_ok() || context.state.is_err() {
            let state = match context.state {
                Ok(list) if !(elsewhere && list.is_empty()) => tracestate_of_child(list, sampled),
                // What came in is invalid, or belongs to another context, or to none.
                _ => Some(tracestate_of_root(sampled).filter(|_| written.is_ok()).unwrap_or_default()),
            };
            match state {
                None => {}
                Some(nothing) if nothing.is_empty() => remove_lines(TRACESTATE, carriers.tracestate, sink),
                Some(value) => ignore(sink.set(TRACESTATE, &value)),
            }
        }
        if !self.is_w3c_alone() {
            let outgoing = Outgoing { context: goes, debug, headers: carriers.headers, continued: true };
            let foreign = self.send_foreign(&outgoing, sink);
            if !self.writes(Format::TraceContext) {
                written = foreign;
            }
        }
        if written.is_err() && !carriers.trusted {
            return self.withhold(carriers, sink);
        }
        self.clean(carriers, true, sink);
        if written.is_ok() { Some(goes) } else { came }
    }

    /// Sends nothing, where a context needs ids of this hop and there are none; what an outsider sent does not go on.
    fn withhold(&self, carriers: &Carriers<'_>, sink: &mut dyn Sink) -> Option<TraceParent> {
        if !carriers.trusted {
            self.strip(carriers.headers, sink);
        }
        None
    }

    /// Sends a trace that starts here, or none, and tells which context the upstream receives. What came in is
    /// replaced or removed.
    pub(crate) fn send_root(
        &self,
        carriers: &Carriers<'_>,
        root: Option<(TraceParent, Sampled)>,
        sink: &mut dyn Sink,
    ) -> Option<TraceParent> {
        let writes = self.writes(Format::TraceContext);
        let w3c = root.filter(|(root, _)| writes && sink.set(&self.header, &root.to_bytes()).is_ok());
        let state = w3c.and_then(|(_, sampled)| tracestate_of_root(sampled));
        let told = state.is_some_and(|state| sink.set(TRACESTATE, &state).is_ok());
        if !told && (w3c.is_some() || self.reads(Format::TraceContext)) {
            remove_lines(TRACESTATE, carriers.tracestate, sink);
        }
        if w3c.is_none() && self.reads(Format::TraceContext) {
            remove_lines(&self.header, carriers.traceparent, sink);
        }
        let mut sent = w3c.map(|(root, _)| root);
        if let Some((context, _)) = root
            && !self.is_w3c_alone()
        {
            let outgoing = Outgoing { context, debug: false, headers: carriers.headers, continued: false };
            sent = sent.or(self.send_foreign(&outgoing, sink).is_ok().then_some(context));
        }
        self.clean(carriers, sent.is_some(), sink);
        sent
    }

    /// Writes the context in every format but W3C's.
    fn send_foreign(&self, outgoing: &Outgoing<'_>, sink: &mut dyn Sink) -> Result<(), Refused> {
        let mut written = Err(Refused);
        for propagator in self.inject.iter().filter_map(|format| format.propagator()) {
            if let Some(inject) = propagator.inject {
                let this = inject(outgoing, sink);
                written = written.or(this);
            }
        }
        written
    }

    /// Removes what must not go on, unless it was written over: invalid headers, and all that an outsider sent.
    fn clean(&self, carriers: &Carriers<'_>, written: bool, sink: &mut dyn Sink) {
        let goes = |format: Format| {
            let suspect = !carriers.trusted || carriers.corrupt.contains(&format);
            suspect && !(written && self.writes(format))
        };
        if !carriers.trusted || !carriers.corrupt.is_empty() {
            if goes(Format::TraceContext) {
                remove_names(&[&self.header, TRACESTATE], carriers.headers, sink);
            }
            for propagator in PROPAGATORS.iter().filter(|propagator| goes(propagator.format)) {
                remove_names(propagator.headers, carriers.headers, sink);
            }
        }
    }

    /// Removes the headers that do not go on in any case.
    pub(crate) fn remove_retired(&self, headers: &[u8], sink: &mut dyn Sink) {
        remove_names(&self.remove, headers, sink);
    }

    /// Removes every context from a request that nothing is written into.
    pub(crate) fn strip(&self, headers: &[u8], sink: &mut dyn Sink) {
        remove_names(&[&self.header, TRACESTATE], headers, sink);
        for propagator in PROPAGATORS {
            remove_names(propagator.headers, headers, sink);
        }
    }

    fn reads(&self, format: Format) -> bool {
        self.extract.contains(&format)
    }

    fn writes(&self, format: Format) -> bool {
        self.inject.contains(&format)
    }
}

fn remove_lines(name: &str, lines: Lines<'_>, sink: &mut dyn Sink) {
    if lines.first().is_some() {
        ignore(sink.remove(name));
    }
}

fn remove_names(names: &[impl AsRef<str>], headers: &[u8], sink: &mut dyn Sink) {
    for name in names {
        if has(headers, name.as_ref()) {
            ignore(sink.remove(name.as_ref()));
        }
    }
}
