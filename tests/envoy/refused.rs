//! A configuration that the filter refuses.

use crate::support::bootstrap::{all_to, bootstrap, cluster, listener, tracewarden};
use crate::support::envoy::run_to_the_end;

#[test]
fn a_refused_configuration_ends_envoy_and_says_where_and_why_in_one_line() {
    let filters = [tracewarden(r#"{"sampling": {"probability": 2}}"#)];
    let config = bootstrap(&[listener("mesh", &filters, all_to("upstream"))], &[cluster("upstream", 9)]);
    let (status, log) = run_to_the_end("refused", &config);
    assert!(!status.success(), "{status}\n{log}");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("configuration refused")).collect();
    let [line] = lines[..] else { panic!("{} lines:\n{log}", lines.len()) };
    for part in [
        "[error]",
        "tracewarden: configuration refused: sampling.probability: ",
        "expected a number from 0 to 1",
        "found 2",
    ] {
        assert!(line.contains(part), "{line}");
    }
}
