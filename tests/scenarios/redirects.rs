//! Internal redirects: Envoy has a request pass twice, and it is one request.

use proxy_wasm_test_framework::{HeaderMap, Host};

use crate::edge::{RootId, Vm, start};
use crate::scenarios::support::{Line, PARENT_ID, SAMPLED, TRACE_ID, UPPER, counters};

const MARK: &str = "x-envoy-original-url";
const URL: &[u8] = b"http://shop/first";
const UNTRUSTED: &str =
    r#""trust": {"default": "untrusted", "trusted": [{"header": "x-trust", "value_env": "TRUST_SECRET"}]}"#;

struct Hop {
    vm: Vm,
    root: RootId,
}

impl Hop {
    fn new(fields: &str) -> Self {
        let mut host = Host::new();
        host.environment.insert("TRUST_SECRET".to_owned(), "friend".to_owned());
        let mut vm = start(host);
        let config = format!(r#"{{"direction": "inbound", {fields}}}"#);
        let root = vm.root(config.as_bytes()).expect("no trap").expect(&config);
        Self { vm, root }
    }

    /// Passes a request, and ends its stream without a response: Envoy marks what is left of it.
    fn taken_back(&mut self, request: &[Line<'_>]) -> HeaderMap {
        let mut left = self.passed(request, false);

        left.replace(MARK, URL);
        left
    }

    fn passed(&mut self, request: impl Into<HeaderMap>, is_answered: bool) -> HeaderMap {
        let stream = self.vm.stream(self.root).expect("no trap");
        self.vm.request(stream, request).expect("no trap");
        let left = self.vm.request_headers(stream).clone();
        if is_answered {
            self.vm.response(stream, [(":status", "200")]).expect("no trap");
        } else {
            let mut marked = left.clone();

            marked.replace(MARK, URL);
            self.vm.set_request_headers(stream, marked);
        }
        self.vm.finish(stream).expect("no trap");
        left
    }

    fn counted(&self, kind: &str) -> Vec<String> {
        counters(&self.vm).into_iter().filter(|counter| counter.starts_with(kind)).collect()
    }
}

#[test]
fn a_redirected_request_has_one_verdict() {
    let corrupt: Line<'_> = ("traceparent", UPPER);
    let valid: Line<'_> = ("traceparent", SAMPLED);
    // The configuration, the request, and all that is counted of it.
    let rows: &[(&str, &[Line<'_>], &[&str])] = &[
        (r#""mode": "observe""#, &[], &["requests inbound internal observe lost"]),
        (
            r#""mode": "observe""#,
            &[corrupt],
            &["corrupt inbound traceparent upper_case", "requests inbound internal observe corrupt"],
        ),
        (r#""start": "never""#, &[], &["requests inbound internal enforce lost"]),
        (
            r#""mode": "enforce""#,
            &[],
            &["repairs inbound new", "requests inbound internal enforce lost", "sampled record probability"],
        ),
        (UNTRUSTED, &[valid], &["requests inbound internal enforce untrusted", "sampled record probability"]),
    ];
    for (fields, request, counted) in rows {
        let mut hop = Hop::new(fields);
        let request = [&[(":path", &b"/first"[..])], *request].concat();
        let left = hop.taken_back(&request);
        let again = hop.passed(left.clone(), true);
        assert_eq!(again.lines("traceparent"), left.lines("traceparent"), "{fields}: the same context");
        let mut all: Vec<String> =
            [hop.counted("corrupt"), hop.counted("requests"), hop.counted("repairs"), hop.counted("sampled")]
                .concat();
        all.sort();
        let mut expected = counted.to_vec();
        expected.sort_unstable();
        assert_eq!(all, expected, "D6, {fields}: {request:?}");
        hop.passed([(":path", &b"/next"[..])], true);
        let verdicts: u64 = hop
            .counted("requests")
            .iter()
            .map(|one| one.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(1))
            .sum();
        assert_eq!(verdicts, 2, "D6, {fields}: the next request counts again");
    }
}

#[test]
fn who_was_trusted_before_the_redirect_is_trusted_after_it() {
    let mut hop = Hop::new(UNTRUSTED);
    let left = hop.taken_back(&[(":path", b"/first"), ("x-trust", b"friend"), ("traceparent", SAMPLED)]);
    assert_eq!(left.get("x-trust"), None, "the secret is gone");
    let again = hop.passed(left, true);
    assert_eq!(again.lines("traceparent"), [SAMPLED], "A11");
    assert_eq!(hop.counted("requests"), ["requests inbound internal enforce continued"], "A11");
}

#[test]
fn nobody_becomes_trusted_by_forging_the_mark() {
    let forged: &[Line<'_>] = &[(":path", b"/first"), (MARK, URL), ("traceparent", SAMPLED)];
    let is_continued = |headers: &HeaderMap| {
        headers.get("traceparent").is_some_and(|value| value.windows(32).any(|id| id == TRACE_ID.as_bytes()))
    };
    let mut hop = Hop::new(UNTRUSTED);
    assert!(!is_continued(&hop.passed(forged, true)), "nothing was redirected");
    // A stream that came with the mark and was reset leaves no note.
    hop.passed(forged, false);
    assert!(!is_continued(&hop.passed(forged, true)), "its own mark");
    // Another request was redirected, and this one is not it.
    hop.taken_back(&[(":path", b"/first"), ("x-trust", b"friend"), ("traceparent", SAMPLED)]);
    let other = format!("00-{TRACE_ID}-{}-01", PARENT_ID.replace('b', "c"));
    let request: &[Line<'_>] = &[(":path", b"/first"), (MARK, URL), ("traceparent", other.as_bytes())];
    assert!(!is_continued(&hop.passed(request, true)), "another context");
    hop.taken_back(&[(":path", b"/first"), ("x-trust", b"friend"), ("traceparent", SAMPLED)]);
    let elsewhere: &[Line<'_>] =
        &[(":path", b"/first"), (MARK, b"http://shop/other"), ("traceparent", SAMPLED)];
    assert!(!is_continued(&hop.passed(elsewhere, true)), "another URL");
    assert!(!is_continued(&hop.passed(forged, true)), "a note counts once");
}

#[test]
fn what_the_first_pass_let_go_does_not_come_back() {
    let fields = r#""trust": {"default": "untrusted", "untrusted": "strip"}"#;
    let mut hop = Hop::new(fields);
    let left = hop.taken_back(&[(":path", b"/first"), ("traceparent", SAMPLED)]);
    assert_eq!(
        hop.passed(left, true).get("traceparent"),
        None,
        "D11: nothing takes its place in the second pass either"
    );
}
