//! How the command is asked, and how it asks.

use std::path::Path;

use crate::support::{Server, report, report_with, requests};

#[test]
fn help_says_what_there_is() {
    let said = report(&["--help"]);
    for part in ["Exit status: 0 no trace breaks", "--window", "--for", "--token-file"] {
        assert!(said.code == Some(0) && said.out.contains(part), "{part}: {said:?}");
    }
}

#[test]
fn an_option_that_does_not_fit_is_refused() {
    let envoy = Server::envoy(&[]);
    let prometheus = crate::prometheus::answering(&[]);
    let rows: &[(&str, &[&str], &str)] = &[
        (&envoy.url(), &["--window", "1h"], "an Envoy has --for"),
        (&envoy.url(), &["--match", "a=\"b\""], "--match is for a Prometheus"),
        (&envoy.url(), &["--by", "app"], "--by is for a Prometheus"),
        (&prometheus.url(), &["--for", "1s"], "--for is for an Envoy"),
        (&envoy.url(), &["--for", "1ms"], "less than a second"),
        (&envoy.url(), &["--timeout", "soon"], "expected number"),
        (&envoy.url(), &["--by", "a b"], "\"a b\" is not the name of a label"),
        (
            &prometheus.url(),
            &["--by", "namespace,direction"],
            "--by direction: that is a label of Tracewarden's own",
        ),
        (&envoy.url(), &["--header", "Authorization: Bearer secret"], "TRACEWARDEN_AUTHORIZATION"),
        (&envoy.url(), &["--header", "cookie: a=b"], "does not belong on a command line"),
        (&envoy.url(), &["--header", "no colon"], "NAME: VALUE"),
        (&envoy.url(), &["--token-file", "no/such/file"], "no/such/file"),
        ("http://me:secret@127.0.0.1:1", &[], "credentials do not belong into an address"),
        ("http://127.0.0.1:1/stats?format=json", &[], "only the server's address is wanted"),
        ("http://", &[], "http://"),
    ];
    for (target, arguments, part) in rows {
        let said = report(&[&[*target], *arguments].concat());
        said.assert_refused(&[part]);
        assert!(!said.err.contains("secret"), "{said:?}");
    }
}

#[test]
fn headers_and_credentials_go_along_to_every_question() {
    let token = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("token-{}", std::process::id()));
    std::fs::write(&token, "of-the-file\n").expect("a file");
    let token = token.to_str().expect("a path");
    let variable = ("TRACEWARDEN_AUTHORIZATION", "Basic b2Y6dmFyaWFibGU=");
    let rows: &[(&[&str], &[(&str, &str)], &str)] = &[
        (&[], &[variable], "authorization: Basic b2Y6dmFyaWFibGU=\r\n"),
        (&["--token-file", token], &[], "authorization: Bearer of-the-file\r\n"),
        (&["--token-file", token], &[variable], "authorization: Bearer of-the-file\r\n"),
        (&["--header", "X-Scope-OrgID:  shop "], &[], "x-scope-orgid: shop\r\n"),
    ];
    for (arguments, variables, line) in rows {
        let prometheus = crate::prometheus::answering(&[("tracewarden_bypassed_total", &[], 1.0)]);
        let said = report_with(&[&[prometheus.url().as_str()], *arguments].concat(), "", variables);
        assert_eq!(said.code, Some(1), "{said:?}");
        let asked = prometheus.asked();
        assert!(asked.len() > 5 && asked.iter().all(|head| head.contains(line)), "{line}: {asked:#?}");
    }
    std::fs::remove_file(token).expect("it was there");
}

#[test]
fn a_prefix_in_the_address_goes_before_every_path() {
    let lost = requests("", "inbound", "internal", "enforce", "lost");
    let stats = crate::support::stats_json(&[(&lost, 1)]);
    let server = Server::answering(move |head| match head.starts_with("GET /behind/it/stats?") {
        true => (200, stats.clone()),
        false => (404, String::new()),
    });
    for end in ["/behind/it", "/behind/it/"] {
        assert_eq!(report(&[&format!("{}{end}", server.url())]).code, Some(1));
    }
}
