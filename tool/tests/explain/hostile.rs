//! Bytes of an attacker: no answer is a panic, and none steers the terminal.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};

use crate::command::{File, Said, explain};

/// Pieces of inputs that mean something, for the others to be put between.
const PIECES: &[&[u8]] = &[
    b"traceparent",
    b"tracestate",
    b"b3",
    b"x-amzn-trace-id",
    b"uber-trace-id",
    b"sw8",
    b": ",
    b"=",
    b":",
    b"\n",
    b"\r\n",
    b"> ",
    b"< ",
    b"* ",
    b"GET / HTTP/1.1",
    b"HTTP/1.1 200 OK",
    b"00-",
    b"-01",
    b"0af7651916cd43dd8448eb211c80319c",
    b"b7ad6b7169203331",
    b"Root=1-",
    b";Sampled=",
    b"/1;o=1",
    b"%3A",
    b"\x1b[31m",
    b"\x9b",
    b"\xe2\x80\xae",
    b"\x00",
    b"\xff",
    b"\"",
    b"'",
    b",",
    b" ",
    b"\t",
    b"\\",
];

#[test]
fn random_bytes_get_an_answer_in_printable_signs() {
    let configurations = [
        r#"{"direction": "inbound"}"#,
        r#"{"role": "edge", "propagation": {"extract": ["b3", "tracecontext", "xray", "datadog"], "inject": ["b3", "xray"]},
        "trust": {"default": "untrusted"}, "sampling": {"probability": 0.5}, "access_log": {"filter_state": true}}"#,
    ];
    let files = configurations.map(|config| File::new(config.as_bytes()));
    let mut rng = ChaCha12Rng::seed_from_u64(17);
    let mut statuses = [0; 3];
    for round in 0..240_usize {
        let input = random(&mut rng);
        let mut arguments: Vec<OsString> = Vec::new();
        if round % 3 > 0 {
            arguments.extend([OsString::from("--config"), files[round % 3 - 1].path().into()]);
        }
        if round % 2 == 0 {
            arguments.push("--json".into());
        }
        let is_argument = round % 5 == 0 && !input.contains(&0) && !input.starts_with(b"-");
        let stdin = if is_argument { Vec::new() } else { input.clone() };
        arguments.extend(is_argument.then(|| OsString::from_vec(input)));
        let said = explain(&arguments, &stdin, &BTreeMap::new());
        check(&said, &stdin);
        statuses[usize::try_from(said.status.expect("a status")).expect("no signal")] += 1;
    }
    assert!(statuses.iter().all(|count| *count > 5), "the inputs are of every kind: {statuses:?}");
}

fn random(rng: &mut ChaCha12Rng) -> Vec<u8> {
    let mut input = Vec::new();
    if rng.next_u32().is_multiple_of(3) {
        input.extend(b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n");
    }
    for _ in 0..rng.next_u32() % 24 {
        if rng.next_u32().is_multiple_of(8) {
            input.push(rng.next_u32() as u8);
        } else {
            input.extend(PIECES[rng.next_u32() as usize % PIECES.len()]);
        }
    }
    input
}

fn check(said: &Said, input: &[u8]) {
    let shown = input.escape_ascii();
    assert!(matches!(said.status, Some(0..=2)), "{:?}: {shown}\n{}", said.status, said.complaint);
    for text in [&said.printed, &said.complaint] {
        let is_printable = |sign: char| matches!(sign, ' '..='~' | '\n' | '…');
        assert!(text.chars().all(is_printable), "{shown}: {text:?}");
    }
    assert!(!said.complaint.contains("panicked"), "{shown}: {}", said.complaint);
}

#[test]
fn long_inputs_are_cut_off_in_the_text_and_whole_in_json() {
    let line = format!("tracestate: a={}\n", "x".repeat(5000));
    let input = format!("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n{line}");
    let file = File::new(br#"{"direction": "inbound"}"#);
    let ask = |form: &[&str]| crate::command::ask(&[form, &["--config", file.path()]].concat(), &input);
    let text = ask(&[]).printed;
    assert!(text.contains("… (4702 more bytes)") && text.len() < 6000, "{text}");
    let answer = ask(&["--json"]).json();
    let removed = &answer["exchanges"][0]["filter"]["outcomes"][0]["request"]["changes"][0]["before"][0];
    assert_eq!(removed.as_str().map(str::len), Some(5002));
}
