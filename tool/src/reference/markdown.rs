//! A shape as tables that people read.

use std::fmt::Write;

use indexmap::IndexMap;
use textwrap::{Options, WordSplitter};
use tracewarden::settings::{Field, Object, Shape, Value, Words};

use super::schema::title;
use crate::lines::grouped;

/// How long a line of prose may be.
const WIDTH: usize = 125;

/// The shapes with a title, by that.
type Sections<'a> = IndexMap<&'static str, Section<'a>>;

/// A shape with a title, and where in a configuration it is used.
struct Section<'a> {
    shape: &'a Shape,
    places: Vec<String>,
}

/// A table of the fields at the top, and a section for each shape with a title: objects first, each where a reader comes
/// upon it.
pub(super) fn write(root: &Shape) -> String {
    let mut sections = Sections::new();
    visit(root, "", &mut sections);
    let mut text = match root {
        Shape::Object(object) => table(object, ""),
        _ => String::new(),
    };
    let (objects, values): (Vec<_>, Vec<_>) =
        sections.iter().partition(|(_, section)| matches!(section.shape, Shape::Object(_)));
    for (title, section) in objects.into_iter().chain(values) {
        section.write(title, &mut text);
    }
    text
}

/// A paragraph in lines.
pub(super) fn folded(paragraph: &str) -> String {
    let options = Options::new(WIDTH).break_words(false).word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(paragraph, options) + "\n"
}

/// Notes which shapes with a title are in a shape. What has no place is the whole configuration, which needs no section.
fn visit<'a>(shape: &'a Shape, place: &str, sections: &mut Sections<'a>) {
    if let Some(title) = title(shape).filter(|_| !place.is_empty()) {
        let section = sections.entry(title).or_insert_with(|| Section { shape, places: Vec::new() });
        section.places.push(place.to_owned());
    }
    match shape {
        Shape::List(item) => visit(item, &format!("{place}[]"), sections),
        Shape::Nullable(inner) => visit(inner, place, sections),
        Shape::OneOf(shapes) => shapes.iter().for_each(|shape| visit(shape, place, sections)),
        Shape::Object(object) => {
            let dot = if place.is_empty() { "" } else { "." };
            for field in &object.fields {
                visit(&field.shape, &format!("{place}{dot}{}", field.name), sections);
            }
        }
        _ => {}
    }
}

impl Section<'_> {
    fn write(&self, title: &str, text: &mut String) {
        let Self { shape, places } = self;
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
        Shape::Number(most) => format!("number, 0 to {}", grouped((*most).into())),
        Shape::Whole(least, most) => {
            format!("whole number, {} to {}", grouped((*least).into()), grouped((*most).into()))
        }
        Shape::Words(_) => "word".to_owned(),
        Shape::List(item) => format!("list: {}", kind(item, true)),
        Shape::Map(_) => "object: text by name".to_owned(),
        Shape::Nullable(inner) if tells_null => format!("{}, or `null`", kind(inner, false)),
        Shape::Nullable(inner) => kind(inner, false),
        Shape::OneOf(shapes) => {
            shapes.iter().map(|shape| kind(shape, tells_null)).collect::<Vec<_>>().join(" or ")
        }
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
        Shape::OneOf(shapes) => shapes.iter().map(meanings).collect(),
        _ => String::new(),
    }
}

fn table_of_words(words: &Words) -> String {
    let rows = words.words.iter().map(|(word, meaning)| format!("| `\"{word}\"` | {} |\n", cell(meaning)));
    format!("| word | |\n|---|---|\n{}", rows.collect::<String>())
}

/// A default in JSON, with a space after each comma. The fields of an object have defaults of their own.
fn json(value: &Value) -> String {
    match value {
        Value::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
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
