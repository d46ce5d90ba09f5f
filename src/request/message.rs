use super::context::TraceContext;
use super::sample::Root;
use crate::formats::{Outgoing, Propagation, Reading, Said, remove_carriers, retire, strip};
use crate::headers::{HeaderWriter, Headers, Refused, TRACESTATE, ignore};
use crate::sampling::{Sampled, tracestate_of_child, tracestate_of_root};
use crate::w3c::{TraceFlags, TraceParent};
use crate::words::Format;

/// The request's headers on their way out.
pub(super) struct Message<'a> {
    pub(super) propagation: &'a Propagation,
    /// The name of the `traceparent` header.
    pub(super) header: &'a str,
    pub(super) headers: &'a Headers,
    pub(super) readings: &'a [Reading],
    pub(super) trusted: bool,
    /// The `tracestate` that goes out, if somebody asked for it.
    pub(super) kept_state: Option<Vec<u8>>,
    pub(super) writer: &'a mut dyn HeaderWriter,
}

impl Message<'_> {
    /// Sends a continued context on, with the ids of `child` if this hop has some of its own. Returns the context that
    /// the upstream receives.
    #[inline]
    pub(super) fn send_on(
        &mut self,
        context: TraceContext<'_>,
        child: Option<TraceParent>,
        sampled: Sampled,
    ) -> Option<TraceParent> {
        let (came, format) = (context.parent(), context.format);
        let (elsewhere, debug) = (context.elsewhere, context.debug && sampled.decision.is_record());
        let flags = TraceFlags::of(sampled.decision.is_record(), context.random);
        let Some(outgoing) = child.or(came.map(|came| TraceParent { flags, ..came })) else {
            return self.withhold();
        };
        let continued = !context.chosen_by_sender;
        let writes = self.propagation.writes(Format::TraceContext, self.header);
        let mut written = if writes && (child.is_some() || elsewhere) {
            self.writer.set(self.header, &outgoing.to_bytes())
        } else {
            Err(Refused)
        };
        self.send_state(context, sampled, written.is_ok());
        if !self.propagation.is_w3c_alone() {
            let (headers, readings) = (self.headers, self.readings);
            let outgoing = Outgoing { context: outgoing, debug, headers, readings, continued };
            let foreign = self.propagation.inject_foreign(self.header, &outgoing, self.writer);
            if !writes {
                written = foreign;
            }
        }
        if written.is_err() && !self.trusted {
            return self.withhold();
        }
        let sent = if written.is_ok() { Some(outgoing) } else { self.forwarded(format, came) };
        self.clean(sent, true);
        sent
    }

    /// The context that goes on where nothing was written: as the format said it that held the context, whatever others
    /// completed it with. W3C's own, if it says the same, says most.
    fn forwarded(&self, format: Format, came: Option<TraceParent>) -> Option<TraceParent> {
        let reading = |format: Format| self.readings.iter().find(|reading| reading.format == format);
        let sent = reading(format).map_or(came, Reading::context)?;
        let w3c =
            reading(Format::TraceContext).filter(|w3c| w3c.agrees_with(sent)).and_then(Reading::context);
        let is_same = |w3c: &TraceParent| w3c.trace_id == sent.trace_id;
        let stays = !self.propagation.retires(format, self.header);
        stays.then(|| w3c.filter(is_same).unwrap_or(sent))
    }

    /// Writes the `tracestate` that goes with a continued context. What is forwarded with its parent-id is forwarded as
    /// it came (rule TP-34), unless it is invalid.
    #[inline]
    fn send_state(&mut self, context: TraceContext<'_>, sampled: Sampled, written: bool) {
        let state = match context.state {
            Ok(list) if !written => return self.keep_state(|| list.to_bytes()),
            Ok(list) if !(context.elsewhere && list.is_empty()) => match tracestate_of_child(list, sampled) {
                Ok(state) => state,
                Err(list) => return self.keep_state(|| list.to_bytes()),
            },
            // What came in is invalid, or belongs to another context, or to none.
            _ => tracestate_of_root(sampled).filter(|_| written).unwrap_or_default(),
        };
        if state.is_empty() {
            self.headers.remove(TRACESTATE, self.writer);
        } else {
            ignore(self.writer.set(TRACESTATE, &state));
        }
        self.keep_state(|| state);
    }

    fn keep_state(&mut self, state: impl FnOnce() -> Vec<u8>) {
        if let Some(kept) = &mut self.kept_state {
            *kept = state();
        }
    }

    /// Sends nothing, because a context needs ids of this hop and there are none; what an outsider sent does not go on.
    fn withhold(&mut self) -> Option<TraceParent> {
        if !self.trusted {
            strip(self.header, self.headers, self.writer);
        }
        None
    }

    /// Sends a trace that starts here, or none, and returns the context that the upstream receives. What came in is
    /// replaced or removed.
    #[inline]
    pub(super) fn send_root(&mut self, root: Option<Root>) -> Option<TraceParent> {
        let propagation = self.propagation;
        let writes = propagation.writes(Format::TraceContext, self.header);
        let w3c =
            root.filter(|root| writes && self.writer.set(self.header, &root.context.to_bytes()).is_ok());
        let state = w3c.and_then(|root| tracestate_of_root(root.sampled));
        let has_state = state.as_ref().is_some_and(|state| self.writer.set(TRACESTATE, state).is_ok());
        self.keep_state(|| state.unwrap_or_default());
        if !has_state && (w3c.is_some() || propagation.reads(Format::TraceContext)) {
            self.headers.remove(TRACESTATE, self.writer);
        }
        if w3c.is_none() && propagation.reads(Format::TraceContext) {
            self.headers.remove(self.header, self.writer);
        }
        let mut sent = w3c.map(|root| root.context);
        if let Some(Root { context, .. }) = root
            && !propagation.is_w3c_alone()
        {
            let outgoing =
                Outgoing { context, debug: false, headers: self.headers, readings: &[], continued: false };
            let foreign = propagation.inject_foreign(self.header, &outgoing, self.writer);
            sent = sent.or(foreign.is_ok().then_some(context));
        }
        self.clean(sent, sent.is_some());
        sent
    }

    /// Removes what must not go on, unless it was written over: all that an outsider sent, what is invalid, and what
    /// contradicts the context that the upstream receives.
    #[inline]
    fn clean(&mut self, sent: Option<TraceParent>, written: bool) {
        if self.trusted && self.readings.is_empty() {
            return;
        }
        let is_stale = |reading: &Reading| match sent {
            Some(sent) => !reading.agrees_with(sent),
            None => matches!(reading.said, Said::Nonsense),
        };
        for format in Format::ALL.iter().copied() {
            let stale = || self.readings.iter().any(|reading| reading.format == format && is_stale(reading));
            let is_written = written && self.propagation.writes(format, self.header);
            // What accompanies an outsider's context was judged at the border.
            if !is_written && !self.trusted {
                remove_carriers(format, self.header, self.headers, self.writer);
            } else if !is_written && stale() {
                retire(format, self.header, self.headers, self.writer);
            }
        }
    }
}
