//! What became of each workload since an earlier report.

use std::fmt::Write;

use super::{BOLD, GREEN, Look, PLAIN, RED, capped, paragraph, percent};
use crate::lines::{grouped, plural};
use crate::report::baseline::{Change, Compared, Comparison, Contexts};

/// Of those that are new, gone or not judged so many are named.
const NAMED: usize = 5;

/// What became of workloads, in the order in which it is shown.
const CHANGES: [(Change, &str); 6] = [
    (Change::Worse, "worse"),
    (Change::Better, "better"),
    (Change::Same, "the same"),
    (Change::TooFew, "with too few requests"),
    (Change::New, "new"),
    (Change::Gone, "gone"),
];

pub(super) fn comparison(out: &mut String, Comparison { file, worse, workloads }: &Comparison, look: &Look) {
    let of = |change: Change| workloads.iter().filter(move |one| one.verdict == change);
    let counts = CHANGES.iter().map(|(change, word)| (of(*change).count(), *word));
    let counts: Vec<String> = counts
        .filter(|(count, word)| *count > 0 || *word == "worse")
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let style = if *worse > 0 { RED } else { GREEN };
    paragraph(out, look.width, "", style, &format!("Since {file}: {}", counts.join(", ")));
    for change in [Change::Worse, Change::Better] {
        for one in of(change).take(look.top) {
            paragraph(out, look.width, &format!("  {:<8}", word(change)), PLAIN, &said(one));
        }
        let more = of(change).count().saturating_sub(look.top);
        if more > 0 {
            let _ = writeln!(out, "  {:<8}{BOLD}and {more} more{BOLD:#}: --all shows them", "");
        }
    }
    for change in [Change::TooFew, Change::New, Change::Gone] {
        let names: Vec<String> = of(change).map(|one| one.name.clone()).collect();
        if !names.is_empty() {
            let most = if look.all { usize::MAX } else { NAMED };
            paragraph(out, look.width, &format!("  {:<8}", word(change)), PLAIN, &capped(&names, most));
        }
    }
}

fn word(change: Change) -> &'static str {
    match change {
        Change::TooFew => "too few",
        other => CHANGES.iter().find(|(one, _)| *one == other).map_or("", |(_, word)| *word),
    }
}

/// The workload, how many of its contexts were intact and are, and what is new about it.
fn said(one: &Compared) -> String {
    let contexts = |contexts: &Option<Contexts>| match *contexts {
        Some(Contexts { expected: expected @ 1.., intact, uncounted }) => {
            let uncounted = match uncounted {
                0 => String::new(),
                uncounted => format!(" and {} uncounted", grouped(uncounted)),
            };
            format!("{} of {}{uncounted}", percent(intact, expected), plural(expected, "request"))
        }
        Some(Contexts { uncounted: uncounted @ 1.., .. }) => format!("- ({} uncounted)", grouped(uncounted)),
        _ => "no request".to_owned(),
    };
    let causes = |word: &str, causes: &[String]| match causes {
        [] => String::new(),
        causes => format!("; {word}: {}", causes.join(", ").replace('_', " ")),
    };
    format!(
        "{}: intact {}, before {}{}{}",
        one.name,
        contexts(&one.now),
        contexts(&one.before),
        causes("new", &one.new_causes),
        causes("no longer", &one.gone_causes),
    )
}
