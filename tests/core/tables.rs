//! The tables of the documents that repeat a list of the source, or whose rows are tests.

use tracewarden::formats::WrittenFormat;
use tracewarden::hop::HopChange;
use tracewarden::trust::Untrusted;
use tracewarden::words::{CorrelationResult, Format, Labelled, UpstreamContext, Verdict};

use crate::documents::read;

#[test]
fn each_format_is_read_and_written_as_the_document_says() {
    let rows = rows("docs/formats.md", "| format | headers | read | written | judged by |");
    let stated: Vec<Vec<String>> = rows.iter().map(|row| row[..4].to_vec()).collect();
    let expected = Format::ALL.iter().map(|format| {
        let carriers = format.headers().carriers.iter().map(|name| format!("`{name}`"));
        let written = if WrittenFormat::new(*format).is_some() { "yes" } else { "no" };
        let carriers = carriers.collect::<Vec<_>>().join(", ");
        [format!("`{}`", format.label()), carriers, "yes".to_owned(), written.to_owned()]
    });
    let read = |row: Vec<String>| [row[0].clone(), row[1].clone(), row[2][..3].to_owned(), row[3].clone()];
    assert_eq!(stated.into_iter().map(read).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn the_words_of_a_table_are_those_of_the_source() {
    let of =
        |document, header| rows(document, header).into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    let trust = "docs/trust.md";
    assert_eq!(of(trust, "| `untrusted` | a valid context of an untrusted sender |"), quoted::<Untrusted>());
    let upstream: Vec<String> = of(trust, "| `upstream` | the context of the upstream's response |")
        .iter()
        .map(|word| word.split(',').next().unwrap().to_owned())
        .collect();
    assert_eq!(upstream, quoted::<UpstreamContext>());
    assert_eq!(of("docs/hop-audit.md", "| `change` | between the two filters |"), quoted::<HopChange>());
}

#[test]
fn the_logs_name_every_verdict_but_that_of_excluded_requests() {
    let rows = rows("docs/logs.md", "| field | format string | |");
    let words: Vec<&str> = rows[0][2].split(", ").collect();
    let mut expected = quoted::<Verdict>();
    expected.retain(|word| word != "`excluded`");
    assert_eq!(words, expected);
}

#[test]
fn spans_name_every_verdict_of_a_broken_context() {
    let rows = rows("docs/spans.md", "| attribute | value |");
    let row = rows.iter().find(|row| row[0] == "`tracewarden.context`").unwrap();
    let stated: Vec<&str> = row[1].split([',', ' ']).filter(|word| word.starts_with('`')).collect();
    let broken = Verdict::ALL.iter().filter(|verdict| verdict.is_broken());
    assert_eq!(stated, broken.map(|verdict| format!("`{}`", verdict.label())).collect::<Vec<_>>());
}

#[test]
fn the_prices_of_the_hop_audit_are_those_of_the_table() {
    let prices = read("tests/data/prices.txt");
    let price = |scenario: &str| -> u32 {
        let line = prices
            .lines()
            .find(|line| line.starts_with(&format!("{scenario} ")) && line.contains(" request "));
        let (_, rest) = line.unwrap_or_else(|| panic!("{scenario}")).split_once(" request ").unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    let scenarios =
        ["forwarded", "hop audit, before", "hop audit, before, observed", "hop audit, after, another trace"];
    let rows = rows("docs/hop-audit.md", "| filter | instructions of the request pass | host calls |");
    let stated: Vec<u32> = rows.iter().map(|row| row[1].replace(',', "").parse().unwrap()).collect();
    assert_eq!(stated, scenarios.map(|scenario| (price(scenario) + 50) / 100 * 100));
}

#[test]
fn recovery_names_every_result_of_correlation() {
    let text = read("docs/recovery.md");
    for word in quoted::<CorrelationResult>() {
        assert!(text.contains(&word), "{word}");
    }
}

/// How each row of docs/in-envoy.md begins, and the tests of `tests/envoy` that it stands for.
const IN_ENVOY: &[(&str, &[&str])] = &[
    (
        "a retry, a mirrored request",
        &[
            "routing a_retry_carries_the_same_context_and_is_counted_once",
            "routing a_mirrored_request_carries_the_same_context_and_is_not_counted",
        ],
    ),
    (
        "a response that the router throws away",
        &["routing a_retry_carries_the_same_context_and_is_counted_once"],
    ),
    (
        "an internal redirect",
        &[
            "routing an_internal_redirect_runs_the_filter_twice_and_counts_once",
            "privacy a_redirect_is_trusted_and_counted_once",
        ],
    ),
    (
        "a local reply of a filter before",
        &["replies a_reply_by_a_filter_before_ours_is_neither_counted_nor_touched"],
    ),
    (
        "a local reply of a filter after",
        &[
            "replies a_reply_by_a_filter_after_ours_has_one_verdict_and_its_context",
            "replies a_request_that_reaches_no_upstream_has_one_verdict_and_its_context",
        ],
    ),
    ("a request that Envoy refuses", &["replies what_envoy_refuses_before_any_filter_runs_is_not_counted"]),
    ("an upgrade", &["protocols an_upgrade_to_a_websocket_has_one_verdict_and_the_bytes_after_it_pass"]),
    ("a WebSocket over HTTP/2", &["http3 a_websocket_over_http_2_has_one_verdict_and_its_bytes_pass"]),
    ("HTTP/3", &["http3 a_request_in_http_3_gets_what_one_in_http_1_gets_on_both_sides"]),
    (
        "a request that came too early",
        &["http3 a_request_that_came_too_early_is_sent_again_with_its_context"],
    ),
    ("gRPC", &["protocols a_grpc_call_has_one_verdict_and_its_trailers_are_left_alone"]),
    (
        "gRPC-Web",
        &[
            "grpc_web the_status_of_a_grpc_web_call_is_told_in_both_orders",
            "grpc_web a_status_that_is_in_the_body_alone_is_unknown",
        ],
    ),
    ("a retry, with `export`", &["spans a_retry_is_one_span_with_its_attempts"]),
    ("an internal redirect, with `export`", &["spans an_internal_redirect_is_two_spans_one_below_the_other"]),
    ("a local reply, no route", &["spans replies_of_envoys_own_have_their_spans"]),
    ("a caller that goes away", &["spans a_caller_that_goes_away_leaves_a_span_that_failed"]),
    ("an upgrade, with `export`", &["spans an_upgrade_is_one_span_for_as_long_as_it_lasts"]),
    (
        "a collector that is down",
        &[
            "export collectors_that_break_every_rule_hurt_nobody",
            "export a_collector_that_refuses_gets_nothing_twice",
            "export a_cluster_that_is_not_there_is_counted_at_once",
            "export a_cluster_without_hosts_is_tried_again",
        ],
    ),
    (
        "60 KB of headers",
        &[
            "protocols sixty_kilobytes_of_headers_are_read_to_the_last_line",
            "hostile hostile_bytes_are_judged_and_break_nothing",
        ],
    ),
    (
        "another configuration through a watched file",
        &["reload a_new_configuration_or_vm_fails_no_request_and_a_refused_configuration_changes_nothing"],
    ),
    (
        "a bad configuration through the same file",
        &[
            "reload a_new_configuration_or_vm_fails_no_request_and_a_refused_configuration_changes_nothing",
            "discovery a_push_that_is_refused_says_why_each_time",
        ],
    ),
    ("another listener", &["discovery a_push_of_the_listener_closes_what_is_open"]),
    (
        "another configuration of the filter by discovery",
        &["discovery what_is_open_stays_open_while_configurations_are_pushed_under_load"],
    ),
    (
        "a configuration that is a `google.protobuf.Struct`",
        &["discovery a_configuration_that_is_a_struct_is_refused_with_what_to_use_instead"],
    ),
    (
        "a bad configuration at start, for a plugin",
        &[
            "mistakes a_start_with_a_mistake_serves_every_request",
            "mistakes a_plugin_that_was_deleted_and_comes_back_with_a_mistake_is_bypassed",
            "mistakes a_mistake_of_a_plugin_without_a_name_is_bypassed",
        ],
    ),
    ("a bad configuration of a plugin that runs", &["mistakes a_live_mistake_leaves_what_works_as_it_is"]),
    ("a bad configuration that this Envoy took", &["mistakes a_mistake_that_envoy_knows_fails_no_request"]),
    (
        "a bad configuration at start, without",
        &["refused a_refused_configuration_ends_envoy_and_says_where_and_why_in_one_line"],
    ),
];

#[test]
fn each_row_about_envoy_is_a_test() {
    let rows = rows("docs/in-envoy.md", "| what happens | what the filter does |");
    assert_eq!(rows.len(), IN_ENVOY.len());
    for (row, (begin, tests)) in rows.iter().zip(IN_ENVOY) {
        assert!(row[0].starts_with(begin), "{} is no row about {begin}", row[0]);
        for test in *tests {
            let (module, name) = test.split_once(' ').unwrap();
            let text = read(&format!("tests/envoy/{module}.rs"));
            assert!(text.contains(&format!("#[test]\nfn {name}() {{")), "{begin}: there is no {test}");
        }
    }
}

/// The cells of a document's table, below the row of its headings.
fn rows(document: &str, headings: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let (_, table) = text.split_once(headings).unwrap_or_else(|| panic!("{document}: no {headings}"));
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    lines.map(cells).collect()
}

fn quoted<T: Labelled>() -> Vec<String> {
    T::LABELS.iter().map(|label| format!("`{label}`")).collect()
}
