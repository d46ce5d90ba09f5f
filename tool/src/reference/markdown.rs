//! A shape as tables that people read.

mod text;

use std::fmt::Write;

use tracewarden::settings::{Field, Object, Shape, Words};

pub(super) use self::text::folded;
use self::text::json;
use super::schema::title;

/// A table of the fields at the top, and a section for each shape with a title: objects first, each where a reader comes
/// upon it.
pub(super) fn write(root: &Object) -> String {
    let mut sections = Vec::new();
    collect(root, "", &mut sections);
    let mut text = table(root, "");
    let (objects, values): (Vec<&Section<'_>>, Vec<_>) =
        sections.iter().partition(|section| matches!(section.shape, Shape::Object(_)));
    for section in objects.into_iter().chain(values) {
        section.write(&mut text);
    }
    text
}

/// A shape with a title, and where in a configuration it is used.
struct Section<'a> {
    title: &'static str,
    shape: &'a Shape,
    places: Vec<String>,
}

/// Notes which shapes with a title are in an object.
fn collect<'a>(object: &'a Object, place: &str, sections: &mut Vec<Section<'a>>) {
    for field in &object.fields {
        let dot = if place.is_empty() { "" } else { "." };
        visit(&field.shape, format!("{place}{dot}{}", field.name), sections);
    }
}

fn visit<'a>(shape: &'a Shape, place: String, sections: &mut Vec<Section<'a>>) {
    if let Some(title) = title(shape) {
        match sections.iter_mut().find(|section| section.title == title) {
            Some(section) => section.places.push(place.clone()),
            None => sections.push(Section { title, shape, places: vec![place.clone()] }),
        }
    }
    match shape {
        Shape::List(item) => visit(item, format!("{place}[]"), sections),
        Shape::Nullable(inner) => visit(inner, place, sections),
        Shape::Object(object) => collect(object, &place, sections),
        _ => {}
    }
}

impl Section<'_> {
    fn write(&self, text: &mut String) {
        let Self { title, shape, places } = self;
        let shown: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
        let (meaning, table) = match shape {
            // If there is one place, a field's whole path can be searched for.
            Shape::Object(object) => match &places[..] {
                [place] => (object.meaning.as_str(), table(object, &format!("{place}."))),
                _ => (object.meaning.as_str(), table(object, "")),
            },
            Shape::Words(words) => ("", table_of_words(words)),
            Shape::Text(form) if !form.pattern.is_empty() => {
                (form.meaning, format!("```text\n{}\n```\n", form.pattern))
            }
            Shape::Text(form) => (form.meaning, String::new()),
            _ => ("", String::new()),
        };
        let about = folded(format!("At {}. {meaning}", shown.join(", ")).trim_end());
        let gap = if table.is_empty() { "" } else { "\n" };
        let _ = write!(text, "\n### {title}\n\n{about}{gap}{table}");
    }
}

fn table(object: &Object, prefix: &str) -> String {
    let mut table = "| field | value | default | |\n|---|---|---|---|\n".to_owned();
    for Field { name, meaning, shape, default } in &object.fields {
        let default = match default {
            None => "required".to_owned(),
            Some(default) => format!("`{}`", json(default)),
        };
        let meaning = format!("{meaning}{}", meanings(shape));
        let kind = kind(shape, default != "`null`");
        let _ = writeln!(table, "| `{prefix}{name}` | {kind} | {} | {} |", cell(&default), cell(&meaning));
    }
    table
}

/// What kind of value it is; `null` is not worth a word if it is the default.
fn kind(shape: &Shape, tells_null: bool) -> String {
    if let Some(title) = title(shape) {
        let anchor = title.to_lowercase().replace(' ', "-").replace('\'', "");
        let refused = if let Shape::Words(words) = shape { &words.refused[..] } else { &[] };
        let but: String = refused.iter().map(|word| format!(", not `\"{word}\"`")).collect();
        return format!("[{}](#{anchor}){but}", lower_first(title));
    }
    match shape {
        Shape::Flag => "`true`, `false`".to_owned(),
        Shape::Probability => "number, 0 to 1".to_owned(),
        Shape::Whole(least, most) => format!("whole number, {} to {}", grouped(*least), grouped(*most)),
        Shape::Words(_) => "word".to_owned(),
        Shape::List(item) => format!("list: {}", kind(item, true)),
        Shape::Map(_) => "object: text by name".to_owned(),
        Shape::Nullable(inner) if tells_null => format!("{}, or `null`", kind(inner, false)),
        Shape::Nullable(inner) => kind(inner, false),
        Shape::Text(_) | Shape::Object(_) => "text".to_owned(),
    }
}

/// The meanings of the words that a field or its items can have, unless they have a section.
fn meanings(shape: &Shape) -> String {
    match shape {
        Shape::Words(words) if title(shape).is_none() => {
            words.accepted().map(|(word, meaning)| format!("<br>`\"{word}\"`: {meaning}")).collect()
        }
        Shape::List(inner) | Shape::Nullable(inner) => meanings(inner),
        _ => String::new(),
    }
}

fn table_of_words(words: &Words) -> String {
    let rows = words.words.iter().map(|(word, meaning)| format!("| `\"{word}\"` | {} |\n", cell(meaning)));
    format!("| word | |\n|---|---|\n{}", rows.collect::<String>())
}

/// A number's digits, with commas between the thousands.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8_lossy(&groups.join(&b',')).into_owned()
}

/// A bar would end the cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', r"\|")
}

/// A title in the middle of a sentence; abbreviations stay as they are.
fn lower_first(title: &str) -> String {
    let mut letters = title.chars();
    match letters.next() {
        Some(first) if !letters.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => title.to_owned(),
    }
}
