//! What a service tells the person who called it: what it received, what it sent on, what came back.

use hyper::header::{HeaderName, HeaderValue};

use crate::services::{B3, Call, Service, TRACEPARENT, TRACESTATE, X_REQUEST_ID};

/// The reply of a service, as indented lines of plain text.
pub(crate) struct Story(String);

impl Story {
    pub(crate) fn received(service: &Service, path: &str, headers: &hyper::HeaderMap) -> Self {
        let mut story = Self(format!("{} received {path} with\n", service.name));
        let trace_headers = [TRACEPARENT, TRACESTATE, B3, X_REQUEST_ID];
        let lines = trace_headers
            .iter()
            .flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)));
        story.headers(lines);
        story
    }

    pub(crate) fn sent(&mut self, service: &Service, call: Call, headers: &[(HeaderName, HeaderValue)]) {
        let Call { host, path } = call;
        let what = service.propagation.describe();
        self.0.push_str(&format!("{} {what} and called http://{host}{path} with\n", service.name));
        self.headers(headers.iter().map(|(name, value)| (name, value)));
    }

    /// The story that the called service told, one level deeper.
    pub(crate) fn answered(&mut self, body: &[u8]) {
        for line in String::from_utf8_lossy(body).lines() {
            let line = line.replace(char::is_control, "\u{fffd}");
            self.0.push_str(&format!("    {line}\n"));
        }
    }

    pub(crate) fn failed(&mut self, service: &Service, why: &str) {
        self.0.push_str(&format!("{}'s call failed: {why}\n", service.name));
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    fn headers<'a>(&mut self, lines: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) {
        let before = self.0.len();
        for (name, value) in lines {
            self.0.push_str(&format!("  {name}: {}\n", printable(value)));
        }
        if self.0.len() == before {
            self.0.push_str("  no trace header at all\n");
        }
    }
}

/// The value as it is, or with every byte escaped that is more than plain text.
fn printable(value: &HeaderValue) -> String {
    value.to_str().map_or_else(|_| value.as_bytes().escape_ascii().to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::SERVICES;
    use hyper::HeaderMap;

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_bytes(b"\xff\t").unwrap());
        let mut story = Story::received(&SERVICES[0], "/price", &headers);
        story.answered(b"\x1b[2J\xff\n");
        assert_eq!(
            story.into_text(),
            "checkout received /price with\n  traceparent: \\xff\\t\n    \u{fffd}[2J\u{fffd}\n"
        );
    }

    #[test]
    fn says_when_nothing_was_sent() {
        let mut story = Story::received(&SERVICES[1], "/lossy", &HeaderMap::new());
        story.sent(&SERVICES[1], SERVICES[1].calls, &[]);
        assert_eq!(
            story.into_text(),
            "lossy received /lossy with\n  no trace header at all\n\
             lossy forgets the trace context and called http://checkout/price with\n  no trace header at all\n"
        );
    }
}
