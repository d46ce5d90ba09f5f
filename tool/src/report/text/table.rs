//! The table with one line for each workload.

use std::fmt::Write;

use textwrap::core::display_width;

use super::{BOLD, GREEN, Look, PLAIN, RED, YELLOW, percent};
use crate::lines::{grouped, plural};
use crate::report::advice::Rank;
use crate::report::table::Workload;

/// A name is not cut to less than that.
const MIN_NAME: usize = 20;

/// A column of numbers: its heading, what is in it, and whether it is there although it is empty in each line.
type Column = (&'static str, fn(&Workload) -> String, bool);

const COLUMNS: [Column; 7] = [
    ("expected", |workload| grouped(workload.expected), true),
    ("intact", intact, true),
    ("lost", |workload| number(workload.lost), true),
    ("corrupt", |workload| number(workload.corrupt), true),
    ("unlinked", |workload| number(workload.unlinked), false),
    ("uncounted", |workload| number(workload.uncounted), false),
    ("repaired", |workload| number(workload.repaired), true),
];

/// The worst workloads, and how many more there are.
pub(in crate::report) fn table(out: &mut String, workloads: &[Workload], look: &Look) {
    if workloads.is_empty() {
        return;
    }
    let (shown, rest) = workloads.split_at(look.top.min(workloads.len()));
    let is_there =
        |(_, text, always): &&Column| *always || shown.iter().any(|workload| !text(workload).is_empty());
    let columns: Vec<&Column> = COLUMNS.iter().filter(is_there).collect();
    let mut lines =
        vec![line("workload".to_owned(), columns.iter().map(|(heading, ..)| (*heading).to_owned()))];
    for workload in shown {
        lines.push(line(workload.who.name(), columns.iter().map(|(_, text, _)| text(workload))));
    }
    let words: Vec<String> = shown.iter().map(words).collect();
    let mut widths: Vec<usize> = Vec::new();
    for place in 0..=columns.len() {
        let cells = lines.iter().filter_map(|line| line.get(place)).map(|cell| display_width(cell));
        widths.push(cells.max().unwrap_or(0));
    }
    fit(&mut widths, &words, look);
    out.push('\n');
    for (place, cells) in lines.iter().enumerate() {
        let workload = place.checked_sub(1).and_then(|place| shown.get(place));
        let said = place.checked_sub(1).and_then(|place| words.get(place)).map_or("wrong", String::as_str);
        write_line(out, cells, &widths, workload, said);
    }
    more(out, rest);
}

fn line(name: String, cells: impl Iterator<Item = String>) -> Vec<String> {
    [name].into_iter().chain(cells).collect()
}

/// Makes the first column narrower, if a terminal would break the lines otherwise.
fn fit(widths: &mut [usize], words: &[String], look: &Look) {
    let last = words.iter().map(|words| display_width(words)).max().unwrap_or(0);
    let all = widths.iter().map(|width| width + 2).sum::<usize>() + last;
    if let Some(name) = widths.first_mut().filter(|_| look.is_terminal) {
        *name = (*name).min(name.saturating_sub(all.saturating_sub(look.width)).max(MIN_NAME));
    }
}

fn write_line(out: &mut String, cells: &[String], widths: &[usize], workload: Option<&Workload>, said: &str) {
    let mut text = String::new();
    for (place, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = if place == 0 { cut(cell, *width) } else { cell.clone() };
        let blank = " ".repeat(width.saturating_sub(display_width(&cell)));
        // Names begin at the left, numbers end at the right.
        let _ = if place == 0 { write!(text, "{cell}{blank}") } else { write!(text, "  {blank}{cell}") };
    }
    let style = match workload.map(|workload| workload.worst.map(|(rank, _)| rank)) {
        None => BOLD,
        Some(None) => PLAIN,
        Some(Some(Rank::Missing)) => YELLOW,
        Some(Some(_)) => RED,
    };
    let ending = if said.is_empty() { String::new() } else { format!("  {said}") };
    let line = format!("{text}{ending}");
    let _ = writeln!(out, "{style}{}{style:#}", line.trim_end());
}

/// A name with its end, which says more than its beginning.
fn cut(name: &str, width: usize) -> String {
    if display_width(name) <= width {
        return name.to_owned();
    }
    let mut kept = String::new();
    for character in name.chars().rev() {
        if display_width(&kept) + display_width(character.encode_utf8(&mut [0; 4])) + 1 > width {
            break;
        }
        kept.push(character);
    }
    format!("…{}", kept.chars().rev().collect::<String>())
}

fn intact(workload: &Workload) -> String {
    match workload.expected {
        0 => "-".to_owned(),
        expected if workload.intact == 0 => percent(0, expected),
        expected => percent(workload.intact, expected).replace("less than ", "<"),
    }
}

fn number(count: u64) -> String {
    if count == 0 { String::new() } else { grouped(count) }
}

/// The first words for what is wrong.
fn words(workload: &Workload) -> String {
    match workload.words.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first}, {} more", rest.len()),
    }
}

fn more(out: &mut String, rest: &[Workload]) {
    if rest.is_empty() {
        return;
    }
    let bad = rest.iter().filter(|workload| workload.worst.is_some()).count();
    let said = match bad {
        0 => format!("{GREEN}with nothing wrong{GREEN:#}"),
        bad if bad == rest.len() => "with something wrong".to_owned(),
        bad => format!("({bad} with something wrong)"),
    };
    let _ = writeln!(out, "and {} {said}: --all shows them", plural(rest.len() as u64, "more workload"));
}
