//! Messages of scenarios that `explain` cannot answer for, and why.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;

use crate::command::File;

/// Why the command line cannot know what the filter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A call of the host fails.
    Fault,
    /// The pod remembers requests, or is serving some.
    Memory,
    /// It is the second pass of a request that Envoy redirects.
    Redirect,
    /// Another filter of the same stream has left a record.
    Hop,
    /// Bytes that no line of a dump, or no argument, can hold.
    Bytes,
    /// Failed requests before it have used the rate of those that are recorded late.
    Rate,
}

/// The scenarios with such messages, and how many there are in each.
#[rustfmt::skip]
const LEFT_OUT: &[(&str, Kind, usize)] = &[
    ("scenarios::audit::a_filter_that_audits_alone_does_nothing_else", Kind::Hop, 6),
    ("scenarios::audit::a_retry_counts_what_the_proxy_did_and_not_what_the_second_filter_wrote", Kind::Hop, 6),
    ("scenarios::audit::the_second_filter_counts_what_was_done_since_the_first", Kind::Hop, 30),
    ("scenarios::audit::what_the_first_filter_wrote_is_what_went_on", Kind::Hop, 6),
    ("scenarios::audit::without_a_first_filter_nothing_is_counted_and_nothing_left", Kind::Hop, 8),
    (
        "scenarios::budget::without_a_clock_nothing_is_recorded_and_without_a_shared_memory_the_worker_has_the_budget",
        Kind::Fault,
        2001,
    ),
    ("scenarios::correlation::a_call_of_another_request_rejoins_nothing", Kind::Memory, 3),
    ("scenarios::correlation::a_call_without_the_pods_trace_says_what_ties_it_to_a_request", Kind::Memory, 24),
    ("scenarios::correlation::a_later_request_takes_the_slot_and_an_old_entry_does_not_count", Kind::Memory, 5),
    ("scenarios::correlation::a_lost_or_corrupt_context_rejoins_the_trace_of_its_request", Kind::Memory, 3),
    ("scenarios::correlation::a_second_request_of_the_same_trace_is_no_ambiguity", Kind::Memory, 2),
    ("scenarios::correlation::a_trace_stays_linked_for_as_long_as_it_is_remembered", Kind::Memory, 1),
    ("scenarios::correlation::a_trace_that_the_pod_did_not_receive_is_unlinked", Kind::Memory, 2),
    ("scenarios::correlation::a_trace_that_was_started_for_the_request_is_rejoined_as_well", Kind::Memory, 1),
    ("scenarios::correlation::a_trace_whose_slot_was_taken_is_known_by_its_request", Kind::Memory, 3),
    ("scenarios::correlation::any_request_id_of_bounded_length_is_a_key", Kind::Memory, 6),
    ("scenarios::correlation::entries_of_any_bytes_are_survived", Kind::Fault, 24),
    ("scenarios::correlation::nobody_is_put_into_anothers_trace", Kind::Memory, 5),
    ("scenarios::correlation::the_context_comes_back_with_its_tracestate", Kind::Memory, 5),
    ("scenarios::correlation::the_memory_is_bounded_and_shared_by_vms", Kind::Memory, 2001),
    ("scenarios::correlation::what_needs_no_evidence_has_none", Kind::Memory, 3),
    ("scenarios::correlation::what_this_hop_sends_in_is_remembered_whoever_sent_it", Kind::Memory, 4),
    ("scenarios::export::a_call_that_the_host_refuses_drops_its_batch", Kind::Fault, 4),
    ("scenarios::export::a_cluster_without_a_healthy_host_is_tried_again", Kind::Fault, 8),
    ("scenarios::notices::a_line_has_the_reason_and_the_peer_and_nothing_of_the_value", Kind::Bytes, 1),
    ("scenarios::notices::a_line_names_the_listener_and_what_an_application_called", Kind::Bytes, 1),
    ("scenarios::notices::the_peer_is_who_the_certificate_says_or_an_address", Kind::Bytes, 1),
    ("scenarios::notices::without_a_clock_nothing_is_said_of_requests", Kind::Fault, 3),
    ("scenarios::redirects::a_redirected_request_has_one_verdict", Kind::Redirect, 10),
    ("scenarios::redirects::nobody_becomes_trusted_by_forging_the_mark", Kind::Redirect, 9),
    ("scenarios::redirects::what_the_first_pass_let_go_does_not_come_back", Kind::Redirect, 2),
    ("scenarios::redirects::who_was_trusted_before_the_redirect_is_trusted_after_it", Kind::Redirect, 2),
    ("scenarios::routes::a_host_that_does_not_answer_has_no_route", Kind::Fault, 1),
    ("scenarios::second_trace::a_request_that_envoy_redirects_counts_once", Kind::Redirect, 4),
    ("scenarios::spans::a_parent_id_that_nobody_received_has_no_span", Kind::Fault, 2),
    ("scenarios::spans::a_rejoined_trace_has_its_span_below_what_the_pod_received", Kind::Memory, 2),
    ("scenarios::spans::failures_are_recorded_late_within_their_rate", Kind::Rate, 2),
];

/// The variable with a file that notes what is left out.
const NOTES: &str = "EXPLAIN_LEFT_OUT";

/// Leaves out a message of the scenario that runs, which must be listed.
pub(crate) fn leave_out(kind: Kind) {
    let thread = std::thread::current();
    let scenario = thread.name().expect("a test has a name");
    if let Ok(file) = std::env::var(NOTES) {
        let mut file = OpenOptions::new().append(true).open(file).expect("the notes");
        // Scenarios run at the same time: a note is one write.
        file.write_all(format!("{scenario} {kind:?}\n").as_bytes()).expect("a note");
        return;
    }
    let is_listed = LEFT_OUT.iter().any(|(name, known, _)| *name == scenario && *known == kind);
    assert!(
        is_listed,
        "{scenario} has a message that explain cannot answer for ({kind:?}), and left_out.rs does not list it"
    );
}

/// The list says neither more nor less than what is left out.
#[test]
fn so_many_messages_are_left_out() {
    let notes = File::new(b"");
    let mut names: Vec<&str> = LEFT_OUT.iter().map(|(name, ..)| *name).collect();
    names.dedup();
    let mut tests = Command::new(std::env::current_exe().expect("this program"));
    let output = tests.args(["--exact", "--test-threads", "2"]).args(names).env(NOTES, &notes.0).output();
    assert!(output.expect("it runs").status.success());
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in std::fs::read_to_string(&notes.0).expect("the notes").lines() {
        let (name, kind) = line.split_once(' ').expect("a name and a kind");
        *counts.entry((name.to_owned(), kind.to_owned())).or_default() += 1;
    }
    let listed =
        LEFT_OUT.iter().map(|(name, kind, count)| (((*name).to_owned(), format!("{kind:?}")), *count));
    assert_eq!(counts, listed.collect());
}
