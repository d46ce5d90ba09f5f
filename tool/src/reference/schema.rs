//! The JSON Schema (2020-12) of a shape.
#![expect(clippy::indexing_slicing, reason = "to assign to a member of a JSON object adds it")]

use serde_json::{Map, Value, json};
use tracewarden::settings::{self, Field, Form, Object, Rule, Shape, Words, examples};

/// How many words a list may have that is written where it is used; a longer one is a definition.
const INLINE_WORDS: usize = 4;

pub(super) fn of(root: &Shape) -> Value {
    let mut definitions = Map::new();
    let mut schema = match root {
        Shape::Object(object) => self::object(object, &mut definitions),
        other => self::shape(other, &mut definitions),
    };
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["$defs"] = definitions.into();
    schema
}

/// The title of a shape that is described once, in a definition of its own.
pub(super) fn title(shape: &Shape) -> Option<&'static str> {
    match shape {
        Shape::Object(object) => Some(object.title),
        Shape::Text(form) if !form.title.is_empty() => Some(form.title),
        Shape::Words(words) if words.words.len() > INLINE_WORDS => Some(words.title),
        _ => None,
    }
}

fn shape(shape: &Shape, definitions: &mut Map<String, Value>) -> Value {
    let Some(title) = title(shape) else { return inline(shape, definitions) };
    let name: String = title.split([' ', '\'']).map(capitalized).collect();
    if !definitions.contains_key(&name) {
        // Its place is taken before what is in it is described.
        definitions.insert(name.clone(), Value::Null);
        let definition = match shape {
            Shape::Object(object) => self::object(object, definitions),
            Shape::Words(words) => {
                let mut definition = self::words(words.words.iter().copied());
                definition["title"] = title.into();
                definition
            }
            other => inline(other, definitions),
        };
        definitions.insert(name.clone(), definition);
    }
    let mut reference = json!({"$ref": format!("#/$defs/{name}")});
    if let Shape::Words(Words { refused, .. }) = shape
        && !refused.is_empty()
    {
        reference["not"] = json!({"enum": refused});
    }
    reference
}

fn inline(shape: &Shape, definitions: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Probability => json!({"type": "number", "minimum": 0, "maximum": 1}),
        Shape::Number(most) => json!({"type": "number", "minimum": 0, "maximum": most}),
        Shape::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Shape::Text(form) => text(form),
        Shape::Words(words) => self::words(words.accepted()),
        Shape::List(item) => json!({"type": "array", "items": self::shape(item, definitions)}),
        Shape::Map(refused) => json!({
            "type": "object",
            "additionalProperties": {"type": "string"},
            "propertyNames": {"not": {"enum": refused}},
        }),
        Shape::Object(object) => self::object(object, definitions),
        Shape::Nullable(shape) => match self::shape(shape, definitions) {
            Value::Object(mut schema) if schema.contains_key("type") && !schema.contains_key("oneOf") => {
                let own = schema.remove("type");
                schema.insert("type".to_owned(), json!([own, "null"]));
                schema.into()
            }
            schema => json!({"anyOf": [schema, {"type": "null"}]}),
        },
        Shape::OneOf(shapes) => {
            let shapes: Vec<Value> = shapes.iter().map(|shape| self::shape(shape, definitions)).collect();
            json!({"anyOf": shapes})
        }
    }
}

fn text(form: &Form) -> Value {
    let mut schema = json!({"type": "string"});
    for (key, value) in [("title", form.title), ("description", form.meaning), ("pattern", form.pattern)] {
        if !value.is_empty() {
            schema[key] = value.into();
        }
    }
    if form.least > 0 {
        schema["minLength"] = form.least.into();
    }
    add_examples(&mut schema, form.meaning);
    schema
}

fn words(words: impl Iterator<Item = (&'static str, &'static str)>) -> Value {
    let words: Vec<Value> =
        words.map(|(word, meaning)| json!({"const": word, "description": meaning})).collect();
    json!({"type": "string", "oneOf": words})
}

fn object(object: &Object, definitions: &mut Map<String, Value>) -> Value {
    let fields: Map<String, Value> =
        object.fields.iter().map(|field| (field.name.to_owned(), self::field(field, definitions))).collect();
    let mut schema = json!({
        "title": object.title,
        "description": object.meaning,
        "type": "object",
        "properties": fields,
        "additionalProperties": false,
    });
    add_examples(&mut schema, &object.meaning);
    let required = object.fields.iter().filter(|field| field.default.is_none());
    let required: Vec<&str> = required.map(|field| field.name).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !object.forms.is_empty() {
        schema["oneOf"] = object.forms.iter().map(|form| self::form(form, object)).collect();
    }
    for rule in &object.rules {
        match rule {
            Rule::NotEmpty => schema["minProperties"] = 1.into(),
            Rule::Without(field, other, word) => {
                schema["if"] = json!({"properties": {*other: {"const": word}}, "required": [other]});
                schema["then"] = json!({"properties": {*field: {"type": "null"}}});
            }
        }
    }
    schema
}

/// One form of an object: its fields are there, and those of the other forms are not. `null` is not there.
fn form(names: &[&str], object: &Object) -> Value {
    let others = object.forms.iter().copied().flatten().filter(|name| !names.contains(name));
    let others = others.map(|name| ((*name).to_owned(), json!({"type": "null"})));
    let stated = names.iter().map(|name| ((*name).to_owned(), json!({"not": {"type": "null"}})));
    json!({"required": names, "properties": stated.chain(others).collect::<Map<_, _>>()})
}

fn field(field: &Field, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = shape(&field.shape, definitions);
    schema["description"] = field.meaning.clone().into();
    if let Some(default) = field.default.as_ref().filter(|default| **default != settings::Value::Null) {
        schema["default"] = json!(default);
    }
    add_examples(&mut schema, &field.meaning);
    schema
}

fn add_examples(schema: &mut Value, meaning: &str) {
    let examples = examples(meaning);
    if !examples.is_empty() {
        schema["examples"] = json!(examples);
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}
