//! The three services as a table, and what each does to the context it was given.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
pub(crate) const B3: HeaderName = HeaderName::from_static("b3");
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a service does with the trace context of a request when it calls on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// As an instrumented service does.
    Forwards,
    /// As a service does whose HTTP client is not instrumented.
    Forgets,
    /// As a service does whose own code treats ids as upper-case hex; W3C allows lower case only.
    Mangles,
}

impl Propagation {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Forwards => "forwards the trace context",
            Self::Forgets => "forgets the trace context",
            Self::Mangles => "upper-cases the traceparent",
        }
    }
}

/// A request that a service makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) host: &'static str,
    pub(crate) path: &'static str,
}

/// One service. Its ports count from the mesh's base port.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) propagation: Propagation,
    /// Where the service listens.
    pub(crate) port: u16,
    /// The Envoy listener that it makes its calls through.
    pub(crate) outbound: u16,
    /// The path that it answers after a call of its own.
    pub(crate) entry: &'static str,
    pub(crate) calls: Call,
    /// The path that it answers alone.
    pub(crate) leaf: Option<&'static str>,
}

const PRICE: Call = Call { host: "checkout", path: "/price" };
const STOCK: Call = Call { host: "lossy", path: "/stock" };

pub(crate) static SERVICES: [Service; 3] = [
    Service {
        name: "checkout",
        propagation: Propagation::Forwards,
        port: 7,
        outbound: 2,
        entry: "/checkout",
        calls: STOCK,
        leaf: Some(PRICE.path),
    },
    Service {
        name: "lossy",
        propagation: Propagation::Forgets,
        port: 8,
        outbound: 4,
        entry: "/lossy",
        calls: PRICE,
        leaf: Some(STOCK.path),
    },
    Service {
        name: "mangler",
        propagation: Propagation::Mangles,
        port: 9,
        outbound: 6,
        entry: "/mangler",
        calls: PRICE,
        leaf: None,
    },
];

/// The highest port of the mesh, counted from its base port.
pub(crate) const LAST_PORT: u16 = 9;

/// How a service answers a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    AfterCalling(Call),
    Alone,
    NotFound,
}

impl Service {
    pub(crate) fn answer(&self, path: &str) -> Answer {
        if path == self.entry {
            Answer::AfterCalling(self.calls)
        } else if Some(path) == self.leaf {
            Answer::Alone
        } else {
            Answer::NotFound
        }
    }
}

/// The headers that a service sends on a call which it makes on behalf of the request with `inbound` headers.
pub(crate) fn outbound_headers(
    propagation: Propagation,
    inbound: &HeaderMap,
) -> Vec<(HeaderName, HeaderValue)> {
    let lines =
        |name: HeaderName| inbound.get_all(&name).iter().cloned().map(move |value| (name.clone(), value));
    let request_id = lines(X_REQUEST_ID);
    match propagation {
        Propagation::Forwards => lines(TRACEPARENT).chain(lines(TRACESTATE)).chain(request_id).collect(),
        Propagation::Forgets => request_id.collect(),
        Propagation::Mangles => lines(TRACEPARENT)
            .filter_map(|(name, value)| Some((name, upper_case(&value)?)))
            .chain(lines(TRACESTATE))
            .chain(request_id)
            .collect(),
    }
}

fn upper_case(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(&value.as_bytes().to_ascii_uppercase()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn sent(propagation: Propagation, lines: &[(HeaderName, &[u8])]) -> Vec<(String, Vec<u8>)> {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        outbound_headers(propagation, &map)
            .into_iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect()
    }

    fn line(name: &HeaderName, value: &[u8]) -> (String, Vec<u8>) {
        (name.to_string(), value.to_vec())
    }

    #[test]
    fn forwards_every_line_of_context_and_nothing_else() {
        let received: [(HeaderName, &[u8]); 5] = [
            (TRACEPARENT, PARENT),
            (TRACESTATE, b"a=1"),
            (TRACESTATE, b"b=2"),
            (X_REQUEST_ID, b"r"),
            (hyper::header::AUTHORIZATION, b"secret"),
        ];
        assert_eq!(
            sent(Propagation::Forwards, &received),
            [
                line(&TRACEPARENT, PARENT),
                line(&TRACESTATE, b"a=1"),
                line(&TRACESTATE, b"b=2"),
                line(&X_REQUEST_ID, b"r"),
            ]
        );
    }

    #[test]
    fn forgets_all_but_the_request_id() {
        let received: [(HeaderName, &[u8]); 3] =
            [(TRACEPARENT, PARENT), (TRACESTATE, b"a=1"), (X_REQUEST_ID, b"r")];
        assert_eq!(sent(Propagation::Forgets, &received), [line(&X_REQUEST_ID, b"r")]);
    }

    #[test]
    fn mangles_the_traceparent_only() {
        let received: [(HeaderName, &[u8]); 3] =
            [(TRACEPARENT, PARENT), (TRACESTATE, b"a=b"), (X_REQUEST_ID, b"r")];
        assert_eq!(
            sent(Propagation::Mangles, &received),
            [
                line(&TRACEPARENT, b"00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01"),
                line(&TRACESTATE, b"a=b"),
                line(&X_REQUEST_ID, b"r"),
            ]
        );
    }

    #[test]
    fn sends_nothing_that_it_did_not_receive() {
        for propagation in [Propagation::Forwards, Propagation::Forgets, Propagation::Mangles] {
            assert_eq!(sent(propagation, &[]), [], "{propagation:?}");
        }
    }

    #[test]
    fn hands_on_bytes_that_are_not_text() {
        let hostile: [(HeaderName, &[u8]); 1] = [(TRACEPARENT, b"\xff\xfe\t;a")];
        assert_eq!(sent(Propagation::Forwards, &hostile), [line(&TRACEPARENT, b"\xff\xfe\t;a")]);
        assert_eq!(sent(Propagation::Mangles, &hostile), [line(&TRACEPARENT, b"\xff\xfe\t;A")]);
    }

    #[test]
    fn every_call_goes_to_a_leaf_of_the_service_it_names() {
        for service in &SERVICES {
            let Call { host, path } = service.calls;
            let callee = SERVICES.iter().find(|callee| callee.name == host).unwrap();
            assert_eq!(callee.answer(path), Answer::Alone, "{} calls {host}{path}", service.name);
            assert_eq!(service.answer(service.entry), Answer::AfterCalling(service.calls));
            assert_eq!(service.answer("/elsewhere"), Answer::NotFound);
        }
    }
}
