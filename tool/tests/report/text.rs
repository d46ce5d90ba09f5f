//! What people see.

use crate::support::{Said, Server, report_with, requests};

const SINCE_START: &str = "
note: Counts are since Envoy's start, and may hide a filter that died lately;
      asked with --for 10s, an Envoy shows what it counts now.
";
const UNCHECKED: &str = "
note: Torn traces are not checked, because correlation is off: this Envoy.
";
const UPPER: &str = "listener=.=mangler_outbound;.;direction=.=outbound;.;header=.=traceparent;.;reason=.=upper_case;.;tracewarden_corrupt_total";

fn of_envoy(stats: &[(&str, u64)], arguments: &[&str], variables: &[(&str, &str)]) -> Said {
    let envoy = Server::envoy(stats);
    report_with(&[&[envoy.url().as_str()], arguments].concat(), "", variables)
}

#[test]
fn the_report_reads_as_documented() {
    let stats = [
        (&*requests("", "inbound", "internal", "enforce", "continued"), 12_345),
        (&requests("", "inbound", "edge", "observe", "started"), 7),
        (&requests("mangler_outbound", "outbound", "internal", "enforce", "corrupt"), 2),
        (&requests("mangler_outbound", "outbound", "internal", "enforce", "continued"), 2998),
        (UPPER, 2),
        ("direction=.=outbound;.;by=.=correlation;.;tracewarden_repairs_total", 2),
        ("version=.=0.1.0;.;revision=.=0123456789abcdef0123-dirty;.;tracewarden_build_info", 1),
        ("server.uptime", 3723),
    ];
    let said = of_envoy(&stats, &[], &[]);
    let (first, rest) = said.out.split_once(", in the ").expect("a heading");
    assert!(first.starts_with("Envoy at http://127.0.0.1:"), "{said:?}");
    let expected = "\
1h 2m 3s since its start
Tracewarden 0.1.0 (0123456789ab, dirty)

internal, enforce, inbound   12,345 of 12,345 contexts intact, 100.0 %
internal, enforce, outbound  2,998 of 3,000 contexts intact, 99.9 %: 2 corrupt
edge, observe, inbound       none expected: 7 started
repaired                     2 by correlation

workload          expected   intact  lost  corrupt  repaired  wrong
mangler_outbound     3,000   99.9 %              2            corrupt
this Envoy          12,345  100.0 %                        2

1. mangler_outbound: its own application sends a broken traceparent: hexadecimal
   digits are in upper case
   2 of 3,000 requests, less than 0.1 % (outbound, traceparent, upper_case)
   cause  A client that writes hexadecimal digits in upper case.
   fix    Let it write them in lower case, as W3C Trace Context requires.
   see    docs/runbook.md#trace-corruption
";
    assert_eq!(rest, [expected, SINCE_START, UNCHECKED].concat());
}

#[test]
fn few_requests_have_no_share() {
    let lost = requests("", "inbound", "internal", "enforce", "lost");
    let continued = requests("", "inbound", "internal", "enforce", "continued");
    for (count, line) in [(97, "2 of 99 requests (inbound"), (98, "2 of 100 requests, 2.0 % (inbound")] {
        let said = of_envoy(&[(&lost, 2), (&continued, count)], &[], &[]);
        assert!(said.out.contains(line), "{said:?}");
    }
    let said = of_envoy(&[(&lost, 1)], &[], &[]);
    assert!(said.out.contains("1 of 1 request (inbound"), "{said:?}");
}

#[test]
fn a_healthy_envoy_and_an_idle_one_are_told_apart() {
    let continued = requests("", "inbound", "internal", "enforce", "continued");
    assert!(of_envoy(&[(&continued, 1)], &[], &[]).out.contains("\n\nNothing is lost or corrupt.\n\n"));
    assert!(
        of_envoy(&[(&continued, 0)], &[], &[]).out.contains("\n\nTracewarden has counted no request.\n\n")
    );
    let said = of_envoy(&[], &[], &[]);
    assert!(said.out.contains("1. this Envoy: Envoy serves without Tracewarden"), "{said:?}");
    assert!(said.out.contains("never loaded") && said.out.contains("/config_dump"), "{said:?}");
}

#[test]
fn only_the_worst_are_printed_and_json_has_all() {
    let lost: Vec<String> =
        (0..12).map(|n| requests(&format!("l{n}"), "inbound", "internal", "enforce", "lost")).collect();
    let stats: Vec<(&str, u64)> = lost.iter().zip(1..).map(|(stat, count)| (stat.as_str(), count)).collect();
    let said = of_envoy(&stats, &[], &[]);
    assert!(
        said.out.contains("\nl11 ") && said.out.contains("\nl2 ") && !said.out.contains("\nl1 "),
        "{said:?}"
    );
    assert!(
        said.out.contains("\nand 2 more workloads with something wrong: --all shows them\n\n"),
        "{said:?}"
    );
    assert!(said.out.contains("          l7 8 of 8\n          and 7 more\n"), "{said:?}");
    let all = of_envoy(&stats, &["--all"], &[]).out;
    assert!(all.contains("\nl0 ") && all.contains("          l0 1 of 1\n   cause"), "{all}");
    let value = of_envoy(&stats, &["--json", "--top", "1"], &[]).value();
    assert_eq!(value["findings"].as_array().map(Vec::len), Some(12));
}

#[test]
fn colours_are_for_terminals_and_for_those_who_want_them() {
    let lost = requests("", "inbound", "internal", "enforce", "lost");
    let coloured =
        |variables: &[(&str, &str)]| of_envoy(&[(&lost, 1)], &[], variables).out.contains('\u{1b}');
    assert!(!coloured(&[]), "a pipe is no terminal");
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

/// What turns the direction of writing, hides, breaks lines, or is seen as nothing or as something else.
const HIDDEN: &str = "\u{ad}\u{61c}\u{180e}\u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2064}\
    \u{2066}\u{2069}\u{206f}\u{fe0f}\u{feff}\u{fff9}\u{fffa}\u{fffb}\u{1d173}\u{e0001}\u{e0020}\u{e007f}\u{e0100}\u{e000}\u{a0}\u{3000}\u{85}\u{301}";

#[test]
fn names_of_others_in_any_script_are_shown() {
    let name = r#"café "Ünï" o'ne a\b 日本 Ελλάς عربى <&>~ 🛒 …"#;
    let lost = requests(name, "inbound", "internal", "enforce", "lost");
    let value = of_envoy(&[(&lost, 1)], &["--json"], &[]).value();
    assert_eq!(value.pointer("/findings/0/who/listener"), Some(&name.into()));
}

#[test]
fn names_of_others_cannot_write_to_the_terminal() {
    let hostile = format!("a{HIDDEN}\u{1b}[31m\u{9b}2J\r\n\u{7}b\u{202e}c\u{200b}{}", "x".repeat(100_000));
    let lost = requests(&hostile, "inbound", "internal", "enforce", "lost");
    let build = "version=.=1\u{1b}]0;owned\u{7};.;revision=.=\u{8}2;.;tracewarden_build_info";
    let strange = "tracewarden_\u{1b}[2J_total";
    let stats = [(lost.as_str(), 1), (build, 1), (strange, 1)];
    for arguments in [&[][..], &["--json"]] {
        let said = of_envoy(&stats, arguments, &[]);
        let is_plain = |c: char| c == '\n' || !(c.is_control() || HIDDEN.contains(c));
        assert!(said.code == Some(1) && said.out.chars().all(is_plain), "{said:?}");
        assert!(said.out.contains("a[31m2Jbcxxx") && said.out.contains("xx…"), "{said:?}");
        assert!(said.out.len() < 5000, "{} bytes", said.out.len());
    }
}
