//! The text format in which Prometheus scrapes metrics, one line at a time.
//!
//! <https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md>; a sample of OpenMetrics may end with
//! an exemplar.

use super::names::Labels;

/// What a line is.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    Sample(Sample<'a>),
    /// A comment or nothing.
    Comment,
}

#[derive(Debug, PartialEq)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    pub(super) labels: Labels,
    pub(super) value: f64,
}

/// Reads a line without its end, or says that it is none of this format.
pub(super) fn line(text: &str) -> Option<Line<'_>> {
    let text = blank(text.trim_start_matches('\u{feff}')).trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.starts_with('#') {
        return Some(Line::Comment);
    }
    let (name, rest) = name(text, |c| c == ':')?;
    let rest = blank(rest);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), text.get(name.len()..).filter(|rest| rest.starts_with([' ', '\t']))?),
    };
    let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
    let value = words.next()?.parse().ok()?;
    match words.next() {
        None | Some("#") => {}
        Some(time) => {
            let _: f64 = time.parse().ok()?;
            words.next().is_none_or(|word| word == "#").then_some(())?;
        }
    }
    Some(Line::Sample(Sample { name, labels, value }))
}

/// The labels behind the first brace, and what follows the last one.
fn labels(text: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    let mut rest = blank(text);
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (label, behind) = name(rest, |_| false)?;
        let behind = blank(blank(behind).strip_prefix('=')?).strip_prefix('"')?;
        let (value, behind) = quoted(behind)?;
        // A label that stands there twice has no value that is certain.
        labels.insert(label.to_owned(), value).is_none().then_some(())?;
        let behind = blank(behind);
        rest = match behind.strip_prefix(',') {
            Some(behind) => blank(behind),
            None => behind.starts_with('}').then_some(behind)?,
        };
    }
}

/// The value behind the first quote, and what follows the last one.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(place + 1..)?)),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    None
}

/// A name, and what follows it.
fn name(text: &str, may_have: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || may_have(c);
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let is_name = !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
    is_name.then_some((name, rest))
}

fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample in a line.
    fn sample(text: &str) -> (String, Vec<(String, String)>, f64) {
        match line(text) {
            Some(Line::Sample(Sample { name, labels, value })) => {
                (name.to_owned(), labels.into_iter().collect(), value)
            }
            other => panic!("{text:?} is {other:?}"),
        }
    }

    #[test]
    fn reads_samples() {
        let rows: &[(&str, &str, &[(&str, &str)], f64)] = &[
            ("a 1", "a", &[], 1.0),
            ("a:b_c9\t1.5e3\r", "a:b_c9", &[], 1500.0),
            ("  a {} -2", "a", &[], -2.0),
            ("a{b=\"c\"} 1 1700000000000", "a", &[("b", "c")], 1.0),
            ("a{b=\"c\"}1", "a", &[("b", "c")], 1.0),
            ("a{ b = \"c\" , d=\"\", } 1", "a", &[("b", "c"), ("d", "")], 1.0),
            (r#"a{b="\\ \" \n }, d=\"e\""} 1"#, "a", &[("b", "\\ \" \n }, d=\"e\"")], 1.0),
            ("a{b=\"# {}\"} 1", "a", &[("b", "# {}")], 1.0),
            ("a_total 5 # {trace_id=\"f\"} 1 2", "a_total", &[], 5.0),
            ("a_total{b=\"c\"} 5 17.5 # {trace_id=\"f\"} 1", "a_total", &[("b", "c")], 5.0),
            ("a{b=\"日本\"} +Inf", "a", &[("b", "日本")], f64::INFINITY),
            ("a -Inf", "a", &[], f64::NEG_INFINITY),
        ];
        for (text, name, labels, value) in rows {
            let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned()));
            assert_eq!(sample(text), ((*name).to_owned(), labels.collect(), *value), "{text:?}");
        }
        assert!(sample("a NaN").2.is_nan());
    }

    #[test]
    fn passes_over_comments() {
        for text in ["", "  ", "\r", "# TYPE a counter", "# HELP a \"", "#", "# EOF"] {
            assert_eq!(line(text), Some(Line::Comment), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_sample() {
        for text in [
            "a",
            "a ",
            "a one",
            "1a 1",
            "a-b 1",
            "a{b} 1",
            "a{b=c} 1",
            "a{b=\"c} 1",
            "a{b=\"c\" 1",
            "a{b=\"c\"d=\"e\"} 1",
            "a{b=\"c\",b=\"d\"} 1",
            "a{,} 1",
            "a{b=\"\\x\"} 1",
            "a{b=\"c\\",
            "a{0=\"c\"} 1",
            "a 1 soon",
            "a 1 2 3",
            "Defaulted container \"istio-proxy\" out of: istio-proxy, app",
            "server.uptime: 5",
        ] {
            assert_eq!(line(text), None, "{text:?}");
        }
    }
}
