//! What `explain` takes: every form in which people have headers at hand.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use serde_json::{Value, json};

use crate::command::{ask, explain};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The request of the only exchange.
fn request(arguments: &[&str], input: &str) -> Value {
    let said = ask(&[&["--json"], arguments].concat(), input);
    said.json()["exchanges"][0]["request"].clone()
}

#[test]
fn a_value_alone_is_recognized_by_its_form() {
    let rows = [
        (VALID, "tracecontext", json!(true)),
        ("0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", "b3", json!(false)),
        ("0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-d", "b3", json!(true)),
        ("0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", "b3", Value::Null),
        ("0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:1", "jaeger", json!(true)),
        ("0af7651916cd43dd8448eb211c80319c%3Ab7ad6b7169203331%3A0%3A0", "jaeger", json!(false)),
        ("Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1", "xray", json!(true)),
        ("Root=1-0af76519-16cd43dd8448eb211c80319c;Sampled=?", "xray", Value::Null),
        ("Self=1-1-1;Root=1-0af76519-16cd43dd8448eb211c80319c", "xray", Value::Null),
        ("0af7651916cd43dd8448eb211c80319c/13235353014750950193;o=1", "gcp", json!(true)),
        ("0af7651916cd43dd8448eb211c80319c/1", "gcp", Value::Null),
        ("AAAK92UZFs1D3YRI6yEcgDGcAbeta3FpIDMxAgE", "grpc_trace_bin", json!(true)),
        (
            "1-MGFmNzY1MTkxNmNkNDNkZDg0NDhlYjIxMWM4MDMxOWM=-MQ==-3-c2hvcA==-aQ==-L2NhcnQ=-YTo4MA==",
            "sw8",
            json!(true),
        ),
    ];
    for (value, format, sampled) in rows {
        let found = request(&[value], "");
        assert_eq!(found["format"], format, "{value}: {found}");
        assert_eq!((&found["trace_id"], &found["sampled"]), (&json!(TRACE_ID), &sampled), "{value}");
        assert_eq!(found["valid"], true, "{value}");
    }
    for value in ["0", "1", "d"] {
        let found = request(&[value], "");
        assert_eq!((&found["context"], &found["sampled"]), (&json!("decision"), &json!(value != "0")));
    }
}

#[test]
fn a_broken_value_alone_is_read_as_what_it_resembles() {
    let rows = [
        ("00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01", "traceparent", "upper_case"),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", "traceparent", "too_short"),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "traceparent", "version_ff"),
        ("0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-9", "b3", "sampled"),
        ("0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:x", "uber-trace-id", "sampled"),
        ("Root=2-0af76519-16cd43dd8448eb211c80319c", "x-amzn-trace-id", "trace_id"),
        ("0af7651916cd43dd8448eb211c80319c/x;o=1", "x-cloud-trace-context", "span_id"),
        ("1-MGFm-MQ==-x-c2hvcA==-aQ==-L2NhcnQ=-YTo4MA==", "sw8", "span_id"),
    ];
    for (value, header, reason) in rows {
        let said = ask(&["--json", value], "");
        let answer = said.json();
        let invalid = &answer["exchanges"][0]["request"]["invalid"][0];
        assert_eq!((&invalid["header"], &invalid["reason"]), (&json!(header), &json!(reason)), "{answer}");
        assert_eq!(said.status, Some(1), "{value}");
        let note = answer["notes"][0].as_str().expect("a note");
        assert!(
            note.contains("traceparent, b3, uber-trace-id") && note.contains("looks most like"),
            "{note}"
        );
    }
}

#[test]
fn a_name_is_followed_by_a_colon_or_an_equals_sign() {
    let lines = [
        format!("traceparent: {VALID}"),
        format!("traceparent:{VALID}"),
        format!("  TraceParent :  {VALID}  "),
        format!("traceparent={VALID}"),
        format!("TRACEPARENT={VALID}"),
        format!("export TRACEPARENT='{VALID}'"),
        format!("traceparent=\"{VALID}\""),
        format!("HTTP_TRACEPARENT={VALID}"),
        format!("\"traceparent\": \"{VALID}\","),
        format!("level=info traceparent={VALID} path=/cart"),
        format!("the call failed (traceparent: {VALID}, after 3 s)"),
        format!("2026-01-01T10:00:00Z [info] call failed traceparent=\"{VALID}\""),
    ];
    for line in &lines {
        let found = request(&[line], "");
        assert_eq!(
            (&found["trace_id"], &found["format"]),
            (&json!(TRACE_ID), &json!("tracecontext")),
            "{line}"
        );
    }
    let rows = [
        ("b3=0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1", "b3"),
        ("B3: 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1", "b3"),
        ("X-Amzn-Trace-Id=Root=1-0af76519-16cd43dd8448eb211c80319c;Sampled=1", "xray"),
        ("x_amzn_trace_id=Root=1-0af76519-16cd43dd8448eb211c80319c;Sampled=1", "xray"),
        ("uber-trace-id: 0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:1", "jaeger"),
        ("x-cloud-trace-context=0af7651916cd43dd8448eb211c80319c/1;o=1", "gcp"),
    ];
    for (line, format) in rows {
        let found = request(&[line], "");
        assert_eq!((&found["trace_id"], &found["format"]), (&json!(TRACE_ID), &json!(format)), "{line}");
    }
}

#[test]
fn headers_that_belong_together_are_one_request() {
    let found = request(&[VALID, "tracestate=ot=th:8,a=1"], "");
    assert_eq!(found["tracestate"], json!({"ot": "th:8", "a": "1"}));
    let log = format!(r#"{{"time": "10:00", "traceparent": "{}", "tracestate":"a=1,b=2"}}"#, &VALID[..55]);
    assert_eq!(request(&[&log], "")["tracestate"], json!({"a": "1", "b": "2"}), "a line of JSON");
    let multi =
        ["X-B3-TraceId: 0af7651916cd43dd8448eb211c80319c", "X_B3_SPANID=b7ad6b7169203331", "x-b3-sampled: 0"];
    let found = request(&multi, "");
    assert_eq!((&found["format"], &found["sampled"]), (&json!("b3multi"), &json!(false)));
    let datadog = ["x-datadog-trace-id: 123", "x-datadog-parent-id: 456", "x-datadog-sampling-priority: 2"];
    assert_eq!(request(&datadog, "")["format"], "datadog");
    let two = request(&[VALID, &format!("traceparent: {VALID}")], "");
    assert_eq!(two["invalid"][0]["reason"], "repeated", "lines are counted: {two}");
    let conflict = request(&[VALID, "uber-trace-id: 1:2:0:1"], "");
    assert_eq!(conflict["conflicts"], json!([{"used": "tracecontext", "other": "jaeger"}]));
    assert_eq!(conflict["valid"], false);
}

/// What curl prints of a call that is redirected, and that is asked to go on before it sends its body.
const CURL: &str = "*   Trying 127.0.0.1:10000...\r
* Connected to localhost (127.0.0.1) port 10000\r
> POST /first HTTP/1.1\r
> Host: shop\r
> traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r
> Expect: 100-continue\r
>\r
< HTTP/1.1 100 Continue\r
<\r
{ [12 bytes data]
< HTTP/1.1 302 Found\r
< location: /second\r
< traceparent: 00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01\r
<\r
* Issue another request to this URL\r
> GET /second HTTP/1.1\r
> Host: shop\r
> traceparent: 00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01\r
>\r
< HTTP/1.1 200 OK\r
< server-timing: traceparent;desc=\"00-11111111111111111111111111111111-00f067aa0ba902b7-01\"\r
<\r
the body: traceparent: 00-x
";

#[test]
fn what_curl_prints_is_requests_and_responses() {
    for arguments in [&["--json"][..], &["--json", "-"]] {
        let said = ask(arguments, CURL);
        let answer = said.json();
        let exchanges = answer["exchanges"].as_array().expect("exchanges");
        assert_eq!((exchanges.len(), said.status), (2, Some(1)), "{answer:#}");
        let [first, second] = [&exchanges[0], &exchanges[1]];
        assert_eq!(
            (&first["request"]["valid"], &first["response"]["context"]),
            (&json!(true), &json!("match"))
        );
        assert_eq!(first["response"]["parent_id"], "00f067aa0ba902b7");
        assert_eq!(second["request"]["invalid"][0]["reason"], "upper_case");
        assert_eq!(second["response"]["context"], "valid", "there is no context to compare it with");
        assert_eq!(second["response"]["trace_id"], "1".repeat(32));
    }
    let text = ask(&[CURL], "").printed;
    assert!(text.contains("Request 1 of 2\n") && text.contains("What the response says\n"), "{text}");
    let mismatch = format!(
        "> GET / HTTP/2\n> traceparent: {VALID}\n< HTTP/2 200\n< traceresponse: 00-{}-{}-00\n",
        "1".repeat(32),
        "2".repeat(16)
    );
    let answer = ask(&["--json"], &mismatch).json();
    assert_eq!(answer["exchanges"][0]["response"]["context"], "mismatch");
    assert_eq!(answer["valid"], false);
}

#[test]
fn a_dump_of_http_is_a_request_a_response_or_both() {
    let dump = format!(
        "GET /cart HTTP/1.1\r\nHost: shop\r\nTraceparent: {VALID}\r\n\r\ntraceparent: 00-body\r\nHTTP/1.1 200 OK\r\n\
         traceparent: {VALID}\r\n\r\n{{}}"
    );
    let answer = ask(&["--json"], &dump).json();
    let exchange = &answer["exchanges"][0];
    assert_eq!(
        (&exchange["request"]["valid"], &exchange["response"]["context"]),
        (&json!(true), &json!("match"))
    );
    let response = format!("HTTP/2 200\ntraceparent: {VALID}\n");
    let said = ask(&["--json"], &response);
    let answer = said.json();
    assert_eq!((said.status, &answer["exchanges"][0]["request"]), (Some(0), &Value::Null), "{answer}");
    assert_eq!(answer["exchanges"][0]["response"]["context"], "valid");
    assert_eq!(ask(&[], "HTTP/2 200\ncontent-type: a\n").status, Some(1), "it says nothing of a trace");
}

#[test]
fn bytes_that_are_no_text_are_understood_and_escaped() {
    let line = OsString::from_vec(b"traceparent: 00-\xff\xfe\x1b[31m\x07\xc2\x9b".to_vec());
    let said = explain(std::slice::from_ref(&line), b"", &BTreeMap::new());
    let text = said.printed;
    assert_eq!(said.status, Some(1));
    assert!(text.contains(r"  traceparent: 00-\xff\xfe\x1b[31m\x07\xc2\x9b"), "{text}");
    let said = explain(&["--json".into(), line], b"", &BTreeMap::new());
    assert_eq!(said.json()["exchanges"][0]["request"]["context"], "invalid");
    let said = explain(&["--json".into()], b"b3: \x80\ntracestate: a=\xff\n", &BTreeMap::new());
    assert_eq!(said.json()["exchanges"][0]["request"]["invalid"][0]["header"], "b3");
}

#[test]
fn what_is_not_understood_is_said() {
    for (arguments, input, says) in [
        (&["no colon"][..], "", "no colon: expected NAME: VALUE"),
        (&["\u{1b}[31m"], "", r"\x1b[31m: expected NAME: VALUE"),
        (&[], "", "the input is empty: expected NAME: VALUE"),
        (&["-"], "\n\n", "the input is empty"),
        (&["--config", "no/such/file", VALID], "", "no/such/file: "),
        (&["--direction", "inbound", VALID], "", "--config"),
    ] {
        let said = ask(arguments, input);
        assert_eq!((said.status, said.printed.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(said.complaint.contains(says), "{arguments:?}: {}", said.complaint);
    }
    let said = ask(&[], &"x".repeat((1 << 20) + 1));
    assert!(said.status == Some(2) && said.complaint.contains("1048576 bytes"), "{}", said.complaint);
    let many = format!("GET / HTTP/1.1\n{}", "a: 1\n".repeat(2001));
    assert!(ask(&[], &many).complaint.contains("more than 2000 header lines"));
    let log = format!("starting up\n{VALID}\nsomething went wrong\n");
    let answer = ask(&["--json"], &log).json();
    let notes = answer["notes"].to_string();
    assert!(notes.contains("Line 1 is not understood") && notes.contains("Line 3 is not"), "{notes}");
    assert_eq!(answer["valid"], true);
}
