//! What spans say: their attributes, names and status, and the resource that they are of.

use std::collections::BTreeMap;

use prost::Message;

use crate::scenarios::hop::{CLIENT, GRPC_OK, Hop, OK, REMOTE_PARENT, SERVER, attributes};
use crate::scenarios::otlp::{ExportTraceServiceRequest, hex};
use crate::scenarios::support::{Line, PARENT_ID, SAMPLED, TRACE_ID};

fn table<'a>(rows: &[(&'a str, &str)]) -> BTreeMap<&'a str, String> {
    rows.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

#[test]
fn a_server_span_says_what_the_conventions_want_and_nothing_secret() {
    let (span, done) = Hop::new(r#""direction": "inbound""#).one(&[("traceparent", SAMPLED)], OK);
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE_ID.into(), PARENT_ID.into()));
    assert_eq!(done.sent, format!("00-{TRACE_ID}-{}-01", hex(&span.span_id)), "the upstream's parent");
    assert_eq!(done.told, done.sent);
    assert_eq!((span.kind, span.name.as_str()), (SERVER, "GET /cart/{id}"));
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (5_000_000_000, 5_000_001_000));
    assert_eq!(span.flags, REMOTE_PARENT | 1);
    assert!(span.status.is_none() && span.links.is_empty());
    let expected = [
        ("http.request.method", "GET"),
        ("url.scheme", "https"),
        ("url.path", "/cart/42"),
        ("server.address", "shop.example"),
        ("server.port", "#8443"),
        ("user_agent.original", "curl/8"),
        ("network.protocol.version", "2"),
        ("client.address", "10.0.0.7"),
        ("http.response.status_code", "#200"),
        ("http.route", "/cart/{id}"),
        ("http.request.body.size", "#5"),
        ("http.response.body.size", "#7"),
    ];
    assert_eq!(attributes(&span.attributes), table(&expected));
}

#[test]
fn a_client_span_says_where_the_request_went() {
    let (span, _) = Hop::new(r#""direction": "outbound""#).one(&[("traceparent", SAMPLED)], OK);
    assert_eq!(span.kind, CLIENT);
    let expected = [
        ("http.request.method", "GET"),
        ("url.full", "https://shop.example:8443/cart/42"),
        ("server.address", "shop.example"),
        ("server.port", "#8443"),
        ("user_agent.original", "curl/8"),
        ("network.peer.address", "fd00::1"),
        ("network.peer.port", "#80"),
        ("http.request.resend_count", "#2"),
        ("http.response.status_code", "#200"),
        ("http.request.body.size", "#5"),
        ("http.response.body.size", "#7"),
    ];
    assert_eq!(attributes(&span.attributes), table(&expected));
}

#[test]
fn one_attempt_is_none_again() {
    let mut hop = Hop::new(r#""direction": "outbound""#);
    hop.vm.host_mut().set_property(&["upstream", "request_attempt_count"], 1_u64.to_le_bytes());
    let (span, _) = hop.one(&[("traceparent", SAMPLED)], OK);
    assert_eq!(attributes(&span.attributes).get("http.request.resend_count"), None);
}

#[test]
fn the_end_of_a_request_is_its_spans_status() {
    type Rows<'a> = &'a [(&'a [Line<'a>], &'a [Line<'a>], [Option<&'a str>; 2], Option<&'a str>)];
    // The response, its trailers; the error.type of the server and of the client; the gRPC status.
    let rows: Rows<'_> = &[
        (&[(":status", b"204")], &[], [None, None], None),
        (&[(":status", b"404")], &[], [None, Some("404")], None),
        (&[(":status", b"503")], &[], [Some("503"), Some("503")], None),
        (&[(":status", b"999")], &[], [Some("_OTHER"), Some("_OTHER")], None),
        (&[], &[], [Some("_OTHER"), Some("_OTHER")], None),
        (OK, &[("grpc-status", b"13")], [None, None], None),
        (GRPC_OK, &[("grpc-status", b"0")], [None, None], Some("#0")),
        (GRPC_OK, &[("grpc-status", b"5")], [None, Some("NOT_FOUND")], Some("#5")),
        (GRPC_OK, &[("grpc-status", b"13")], [Some("INTERNAL"), Some("INTERNAL")], Some("#13")),
        (&[(":status", b"200"), ("grpc-status", b"14")], &[], [Some("UNAVAILABLE"); 2], Some("#14")),
        (GRPC_OK, &[("grpc-status", b"77")], [None, None], None),
    ];
    for (response, trailers, errors, grpc_status) in rows {
        for (direction, error) in ["inbound", "outbound"].into_iter().zip(errors) {
            let mut hop = Hop::new(&format!(r#""direction": "{direction}""#));
            let done = hop.exchange(&[("traceparent", SAMPLED)], response, trailers);
            let [span] = done.spans.as_slice() else { panic!("{:?}", done.spans) };
            let told = attributes(&span.attributes);
            let place = format!("{direction}, {response:?}, {trailers:?}");
            assert_eq!(told.get("error.type").map(String::as_str), *error, "{place}");
            assert_eq!(told.get("rpc.grpc.status_code").map(String::as_str), *grpc_status, "{place}");
            assert_eq!(span.status.as_ref().map(|status| status.code), error.map(|_| 2), "{place}");
        }
    }
}

#[test]
fn grpc_and_unknown_methods_have_names_of_their_own() {
    let mut hop = Hop::new(r#""direction": "inbound""#);
    let grpc: &[Line<'_>] =
        &[(":method", b"POST"), (":path", b"/shop.Cart/Add"), ("content-type", b"application/grpc+proto")];
    let stream = hop.vm.stream(hop.root).unwrap();
    hop.vm.request(stream, [grpc, &[("traceparent", SAMPLED)]].concat()).unwrap();
    hop.vm.finish(stream).unwrap();
    let spans = hop.exported();
    assert_eq!(spans[0].name, "shop.Cart/Add");
    assert_eq!(attributes(&spans[0].attributes)["rpc.system"], "grpc");

    let stream = hop.vm.stream(hop.root).unwrap();
    hop.vm
        .request(stream, [(":method", &b"\xffHACK"[..]), (":path", b"/"), ("traceparent", SAMPLED)])
        .unwrap();
    hop.vm.finish(stream).unwrap();
    let spans = hop.exported();
    assert_eq!(spans[0].name, "HTTP /cart/{id}");
    let told = attributes(&spans[0].attributes);
    assert_eq!(told["http.request.method"], "_OTHER");
    assert_eq!(told["http.request.method_original"], "\u{fffd}HACK");
}

#[test]
fn attributes_are_added_and_hidden_as_configured() {
    let config = r#""direction": "inbound", "span": {"attributes": [
        {"name": "team", "value": "checkout"}, {"name": "pod", "environment": "POD"},
        {"name": "absent", "environment": "NOBODY"}, {"name": "tenant", "request_header": "X-Tenant"},
        {"name": "card", "request_header": "x-card"}, {"name": "cache", "response_header": "x-cache"},
        {"name": "cluster", "property": ["upstream", "cluster"]}, {"name": "none", "property": ["no", "such"]}],
        "redact": ["[0-9]+", "secret.*"]}"#;
    let request: &[Line<'_>] =
        &[("traceparent", SAMPLED), ("x-tenant", b"a\xffb"), ("x-card", b"secret things")];
    let (span, _) = Hop::new(config).one(request, &[(":status", b"200"), ("x-cache", b"hit")]);
    let told = attributes(&span.attributes);
    let expected = [
        ("team", "checkout"),
        ("pod", "cart-1"),
        ("tenant", "a\u{fffd}b"),
        ("card", "REDACTED"),
        ("cache", "hit"),
        ("cluster", "outbound|80||cart"),
        ("url.path", "/cart/REDACTED"),
    ];
    for (name, value) in expected {
        assert_eq!(told.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!told.contains_key("absent") && !told.contains_key("none"));
}

#[test]
fn a_response_that_breaks_off_is_an_error() {
    for (details, error) in [
        ("via_upstream", None),
        ("upstream_reset_after_response_started{connection_termination}", Some("_OTHER")),
        ("downstream_remote_disconnect", Some("_OTHER")),
    ] {
        let mut hop = Hop::new(r#""direction": "inbound""#);
        hop.vm.host_mut().set_property(&["response", "code_details"], details);
        let (span, _) = hop.one(&[("traceparent", SAMPLED)], OK);
        let told = attributes(&span.attributes);
        assert_eq!(told.get("error.type").map(String::as_str), error, "{details}");
        assert_eq!(
            (told["http.response.status_code"].as_str(), span.status.is_some()),
            ("#200", error.is_some())
        );
    }
}

#[test]
fn an_authority_is_told_without_its_password_and_a_client_always_has_a_port() {
    let request: &[Line<'_>] = &[
        (":method", b"GET"),
        (":path", b"/a"),
        (":scheme", b"https"),
        (":authority", b"user:secret@shop"),
        ("traceparent", SAMPLED),
    ];
    let mut hop = Hop::new(r#""direction": "outbound""#);
    let stream = hop.vm.stream(hop.root).unwrap();
    hop.vm.request(stream, request.to_vec()).unwrap();
    hop.vm.finish(stream).unwrap();
    let spans = hop.exported();
    let told = attributes(&spans[0].attributes);
    let pick = ["url.full", "server.address", "server.port"].map(|name| told[name].as_str());
    assert_eq!(pick, ["https://shop/a", "shop", "#443"]);
}

#[test]
fn a_property_that_is_a_number_is_told_as_one() {
    let config = r#""direction": "inbound", "span": {"attributes": [{"name": "attempts",
        "property": ["upstream", "request_attempt_count"]}, {"name": "odd", "property": ["odd"]}]}"#;
    let mut hop = Hop::new(config);
    hop.vm.host_mut().set_property(&["odd"], [1, 0, 2]);
    let (span, _) = hop.one(&[("traceparent", SAMPLED)], OK);
    let told = attributes(&span.attributes);
    assert_eq!((told["attempts"].as_str(), told.get("odd")), ("#3", None));
}

#[test]
fn what_may_be_secret_is_hidden_rather_than_cut_to_pieces() {
    let config = r#""direction": "inbound", "span": {"redact": ["[a-z]+\\.sig", "[0-9]*"], "attributes": [
        {"name": "key", "request_header": "x-key"}, {"name": "lines", "property": ["upstream", "lines"]}]}"#;
    let shown = |key: &[u8], path: &[u8]| {
        let mut hop = Hop::new(config);
        let (span, _) =
            hop.one(&[("traceparent", SAMPLED), ("x-key", key), ("x-envoy-original-path", path)], OK);
        let told = attributes(&span.attributes);
        (told.get("key").cloned().unwrap_or_default(), told["url.path"].clone())
    };
    let long = ["a".repeat(1_100).as_bytes(), b".sig"].concat();
    assert_eq!(shown(&long, b"/cart/42//x?y").0, "REDACTED", "too long to judge");
    assert_eq!(shown(&[&[0xff; 600][..], b"secret"].concat(), b"/").0, "REDACTED", "the same of no text");
    assert_eq!(shown(b"abc.sig", b"/cart/42//x?y"), ("REDACTED".into(), "/cart/REDACTED//x".into()));
    assert_eq!(shown(b"abc", &[b"/", &long[..], b"/x"].concat()), ("abc".into(), "/REDACTED/x".into()));
    let mut hop = Hop::new(&config.replace("[0-9]*", ".*"));
    hop.vm.host_mut().set_property(&["upstream", "lines"], "a\nb");
    let (span, _) = hop.one(&[("traceparent", SAMPLED)], OK);
    assert_eq!(attributes(&span.attributes)["lines"], "REDACTED");
}

#[test]
fn what_is_redacted_is_judged_as_a_server_would_read_it() {
    let config = r#""direction": "inbound", "span": {"redact": ["[0-9]+", "curl/.*"]}"#;
    // The path that came; the one that is shown.
    let rows: &[(&str, &str)] = &[
        ("/cart/42/x", "/cart/REDACTED/x"),
        ("/cart/%34%32/x", "/cart/REDACTED/x"),
        ("/cart/%2534%2532/x", "/cart/REDACTED/x"),
        ("/cart/%25252534/x", "/cart/REDACTED/x"),
        ("/cart/42;v=1/x", "/cart/REDACTED/x"),
        ("/cart/42%3Bv=1/x", "/cart/REDACTED/x"),
        ("/cart/42:8080/x", "/cart/REDACTED/x"),
        ("/cart/a%2F42/x", "/cart/REDACTED/x"),
        ("/cart/a42/%zz", "/cart/a42/%zz"),
        ("/cart/a;42", "/cart/a;42"),
    ];
    for (path, shown) in rows {
        let mut hop = Hop::new(config);
        let request: &[Line<'_>] = &[("traceparent", SAMPLED), ("x-envoy-original-path", path.as_bytes())];
        let (span, _) = hop.one(request, OK);
        let told = attributes(&span.attributes);
        assert_eq!(told["url.path"], *shown, "{path}");
        assert_eq!(told["user_agent.original"], "REDACTED");
    }
}

#[test]
fn redaction_has_a_budget_and_hides_what_is_beyond_it() {
    let config = r#""direction": "inbound", "span": {"redact": ["[0-9]+"], "attributes": [
        {"name": "last", "request_header": "x-last"}]}"#;
    let path = "/a".repeat(400);
    let agent = "b%25".repeat(250);
    let mut hop = Hop::new(config);
    let mut request: Vec<Line<'_>> =
        vec![("traceparent", SAMPLED), ("x-envoy-original-path", path.as_bytes()), ("x-last", b"shown")];
    let (span, _) = hop.one(&request, OK);
    assert_eq!(attributes(&span.attributes)["last"], "shown", "an ordinary request is far from it");
    // Eighty patterns use it up.
    let patterns = vec!["\"[0-9]+\""; 80].join(", ");
    let mut hop = Hop::new(&config.replace("\"[0-9]+\"", &patterns));
    request.push(("user-agent", agent.as_bytes()));
    let (span, _) = hop.one(&request, OK);
    let told = attributes(&span.attributes);
    assert_eq!(told["last"], "REDACTED", "nothing is shown that could not be judged");
    let path = &told["url.path"];
    assert!(path.starts_with("/a/a/a") && path.contains("/REDACTED/REDACTED"), "{path}");
}

#[test]
fn a_path_that_is_no_method_of_grpc_makes_no_name() {
    let long = format!("/shop.Cart/{}", "a".repeat(190));
    let rows = [
        ("/shop.Cart/Add", "shop.Cart/Add"),
        ("/shop.Cart/Add?x", "shop.Cart/Add"),
        ("/shop.Cart/Add/More", "_OTHER"),
        ("/shop.Cart/", "_OTHER"),
        ("/shop.Cart", "_OTHER"),
        ("//Add", "_OTHER"),
        ("/a b/c", "_OTHER"),
        ("x/shop.Cart/Add", "_OTHER"),
        ("", "_OTHER"),
        (&long, "_OTHER"),
    ];
    for (path, name) in rows {
        let mut hop = Hop::new(r#""direction": "inbound""#);
        let stream = hop.vm.stream(hop.root).unwrap();
        let request: &[Line<'_>] =
            &[(":path", path.as_bytes()), ("content-type", b"application/grpc"), ("traceparent", SAMPLED)];
        hop.vm.request(stream, request.to_vec()).unwrap();
        hop.vm.finish(stream).unwrap();
        assert_eq!(hop.exported()[0].name, name, "{path}");
    }
}

#[test]
fn a_name_stands_once_and_the_configuration_goes_first() {
    let config = r#""direction": "inbound", "span": {"attributes": [{"name": "url.path", "value": "hidden"}]},
        "service": {"attributes": {"telemetry.sdk.name": "other"}}"#;
    let (span, _) = Hop::new(config).one(&[("traceparent", SAMPLED)], OK);
    assert_eq!(attributes(&span.attributes)["url.path"], "hidden");
}

#[test]
fn a_tracestate_loses_whole_members_alone() {
    let member = |key: char| format!("{key}={}", "v".repeat(200));
    let state: Vec<String> = "abcdefgh".chars().map(member).collect();
    let state = state.join(",");
    let (span, _) = Hop::new(r#""direction": "inbound""#)
        .one(&[("traceparent", SAMPLED), ("tracestate", state.as_bytes())], OK);
    assert_eq!(span.trace_state, state[..5 * 203 - 1], "five of eight");
}

#[test]
fn long_values_are_cut_at_a_character() {
    let long = "é".repeat(600);
    let (span, _) = Hop::new(r#""direction": "inbound""#)
        .one(&[("traceparent", SAMPLED), ("x-envoy-original-path", long.as_bytes())], OK);
    let path = attributes(&span.attributes)["url.path"].clone();
    assert_eq!(path, "é".repeat(512), "1,024 bytes");
    let (span, _) = Hop::new(r#""direction": "inbound""#)
        .one(&[("traceparent", SAMPLED), ("x-envoy-original-path", &[0xff; 1024])], OK);
    let path = attributes(&span.attributes)["url.path"].clone();
    assert_eq!(path, "\u{fffd}".repeat(341), "the same where bytes become characters");
}

#[test]
fn the_resource_is_the_proxy_of_the_workload_unless_stated() {
    let resource = |config: &str| {
        let mut hop = Hop::new(config);
        hop.exchange(&[("traceparent", SAMPLED)], OK, &[]);
        let body = hop.vm.host().http_calls[0].body.clone();
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        request.resource_spans[0].resource.clone().unwrap().attributes
    };
    let by_node = resource(r#""direction": "inbound""#);
    let told = attributes(&by_node);
    assert_eq!((told["service.name"].as_str(), told["k8s.namespace.name"].as_str()), ("cart-proxy", "shop"));
    assert_eq!(told["service.instance.id"], "node-1");
    let stated = resource(
        r#""direction": "inbound", "service": {"name": "edge", "attributes": {"k8s.namespace.name": "other", "a": "b"}}"#,
    );
    let told = attributes(&stated);
    let pick = ["service.name", "k8s.namespace.name", "a"].map(|name| told[name].as_str());
    assert_eq!(pick, ["edge", "other", "b"]);
}
