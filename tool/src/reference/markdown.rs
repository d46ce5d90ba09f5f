//! A JSON Schema as tables that people read.

mod text;

use std::fmt::Write;

use serde_json::{Map, Value};

pub(super) use self::text::folded;
use self::text::json;

/// What a schema describes at its top, and each of its definitions in a section of its own, in the order in which a reader
/// comes upon them.
pub(super) fn write(root: &Value) -> String {
    let mut page = Page { root, definitions: Vec::new() };
    page.visit(root, "");
    let mut text = page.table(root, "");
    let (values, objects): (Vec<&Definition>, Vec<&Definition>) =
        page.definitions.iter().partition(|definition| types(definition.schema).eq(["string"]));
    for definition in objects.into_iter().chain(values) {
        page.write_section(definition, &mut text);
    }
    text
}

struct Page<'a> {
    root: &'a Value,
    definitions: Vec<Definition<'a>>,
}

/// A part of the schema that others refer to.
struct Definition<'a> {
    name: &'a str,
    schema: &'a Value,
    /// Where in a configuration it is used.
    places: Vec<String>,
}

impl<'a> Page<'a> {
    /// Notes which definitions are used at a place and below.
    fn visit(&mut self, schema: &'a Value, place: &str) {
        let name = definition(schema);
        let known = name.and_then(|name| Some((name, self.root.get("$defs")?.get(name)?)));
        if let Some((name, schema)) = known {
            match self.definitions.iter_mut().find(|definition| definition.name == name) {
                Some(definition) => definition.places.push(place.to_owned()),
                None => self.definitions.push(Definition { name, schema, places: vec![place.to_owned()] }),
            }
            self.visit(schema, place);
        }
        if let Some(items) = schema.get("items") {
            self.visit(items, &format!("{place}[]"));
        }
        for (name, field) in fields(schema) {
            let dot = if place.is_empty() { "" } else { "." };
            self.visit(field, &format!("{place}{dot}{name}"));
        }
    }

    fn write_section(&self, definition: &Definition<'_>, text: &mut String) {
        let Definition { schema, places, .. } = definition;
        let _ = write!(text, "\n### {}\n\n", definition.title());
        let shown: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
        let examples: Vec<String> = list(schema, "examples").map(|one| format!("`{}`", json(one))).collect();
        let mut told = format!("At {}. {}", shown.join(", "), description(schema));
        if !examples.is_empty() {
            let _ = write!(told, " Such as {}.", examples.join(", "));
        }
        text.push_str(&folded(told.trim_end()));
        if let Some(pattern) = string(schema, "pattern") {
            let _ = write!(text, "\n```text\n{pattern}\n```\n");
        }
        // Where there is one place, a field's whole path can be searched for.
        let prefix = if let [place] = &places[..] { format!("{place}.") } else { String::new() };
        let table =
            if words(schema).is_empty() { self.table(schema, &prefix) } else { table_of_words(schema) };
        if !table.is_empty() {
            let _ = write!(text, "\n{table}");
        }
    }

    /// The fields of an object.
    fn table(&self, schema: &Value, prefix: &str) -> String {
        let mut rows = String::new();
        for (name, field) in fields(schema) {
            let is_required = list(schema, "required").any(|required| required == name.as_str());
            let default = match field.get("default") {
                _ if is_required => "required".to_owned(),
                Some(default) => format!("`{}`", json(default)),
                None if is_nullable(field) => "`null`".to_owned(),
                None => "none".to_owned(),
            };
            let (kind, meaning) = (self.kind(field), meaning(field));
            let _ = writeln!(rows, "| `{prefix}{name}` | {kind} | {} | {} |", cell(&default), cell(&meaning));
        }
        if rows.is_empty() {
            rows
        } else {
            format!("| field | value | default | |\n|---|---|---|---|\n{rows}")
        }
    }

    /// What kind of value it is.
    fn kind(&self, schema: &Value) -> String {
        if is_nullable(schema) && schema.get("default").is_some() {
            return format!("{}, or `null`", self.kind_of_value(schema));
        }
        self.kind_of_value(schema)
    }

    fn kind_of_value(&self, schema: &Value) -> String {
        let named = definition(schema);
        let named = self.definitions.iter().find(|definition| named == Some(definition.name));
        if let Some(title) = named.map(Definition::title) {
            let anchor = title.to_lowercase().replace(' ', "-").replace('\'', "");
            let not = schema.get("not").into_iter().flat_map(|not| list(not, "enum"));
            let but: String = not.map(|word| format!(", not `{word}`")).collect();
            return format!("[{}](#{anchor}){but}", lower_first(title));
        }
        let bounds = match (schema.get("minimum"), schema.get("maximum")) {
            (Some(least), Some(most)) => format!(", {} to {}", grouped(least), grouped(most)),
            _ => String::new(),
        };
        match types(schema).next().unwrap_or_default() {
            "boolean" => "`true`, `false`".to_owned(),
            "integer" => format!("whole number{bounds}"),
            "number" => format!("number{bounds}"),
            "array" => match schema.get("items") {
                Some(items) => format!("list: {}", self.kind(items)),
                None => "list".to_owned(),
            },
            "object" => "object: text by name".to_owned(),
            _ if !words(schema).is_empty() => "word".to_owned(),
            _ => "text".to_owned(),
        }
    }
}

impl<'a> Definition<'a> {
    fn title(&self) -> &'a str {
        string(self.schema, "title").unwrap_or(self.name)
    }
}

/// The definition that a schema refers to, or to nothing.
fn definition(schema: &Value) -> Option<&str> {
    let mut schemas = std::iter::once(schema).chain(list(schema, "anyOf"));
    schemas.find_map(|schema| string(schema, "$ref"))?.strip_prefix("#/$defs/")
}

/// The types that a value may have.
fn types(schema: &Value) -> impl Iterator<Item = &str> {
    let alone = schema.get("type").into_iter().chain(list(schema, "type"));
    alone.chain(list(schema, "anyOf").filter_map(|form| form.get("type"))).filter_map(Value::as_str)
}

fn is_nullable(schema: &Value) -> bool {
    types(schema).any(|name| name == "null")
}

fn description(schema: &Value) -> &str {
    string(schema, "description").unwrap_or_default()
}

/// The description of a field, and of its words.
fn meaning(field: &Value) -> String {
    let mut meaning = description(field).to_owned();
    for (word, says) in words(field).into_iter().chain(field.get("items").map(words).unwrap_or_default()) {
        let _ = write!(meaning, "<br>`{word}`: {says}");
    }
    for example in list(field, "examples") {
        let _ = write!(meaning, "<br>Such as `{}`.", json(example));
    }
    meaning
}

fn table_of_words(schema: &Value) -> String {
    let rows = words(schema).into_iter().map(|(word, says)| format!("| `{word}` | {} |\n", cell(says)));
    format!("| word | |\n|---|---|\n{}", rows.collect::<String>())
}

/// The words that a text can be, and what they mean.
fn words(schema: &Value) -> Vec<(&Value, &str)> {
    list(schema, "oneOf").filter_map(|word| Some((word.get("const")?, description(word)))).collect()
}

fn fields(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn string<'a>(schema: &'a Value, key: &str) -> Option<&'a str> {
    schema.get(key).and_then(Value::as_str)
}

fn list<'a>(schema: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// A number's digits, with commas between the thousands.
fn grouped(number: &Value) -> String {
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
