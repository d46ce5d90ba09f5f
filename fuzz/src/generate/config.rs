//! Configurations, made of the core's own description of what one may hold.

use std::sync::LazyLock;

use rand::RngExt;
use serde_json::{Map, Value, json};
use tracewarden::config::Config;
use tracewarden::settings::{Form, Object, Shape, examples};

use super::{DICTIONARY, Source, bytes, one};

static SHAPE: LazyLock<Shape> = LazyLock::new(Config::shape);

/// Mutates an input of the target `config`: variables of the environment, and the JSON or another one.
pub fn configuration(text: &[u8], source: &mut Source) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, values) in &DICTIONARY.variables {
        if source.random_ratio(1, 6) {
            out.extend(format!("{name}={}\n", one(values, source)).into_bytes());
        }
    }
    if source.random_ratio(1, 3) {
        let at = text.iter().position(|byte| *byte == b'{').unwrap_or_default();
        out.extend(&text[at..]);
        return out;
    }
    let mut root = any(source);
    if source.random_ratio(1, 8) {
        root[String::from_utf8_lossy(&bytes(source)).into_owned()] = json_of(&DICTIONARY.odd, source);
    }
    out.extend(root.to_string().into_bytes());
    out
}

/// A configuration most of whose fields are right.
pub fn any(source: &mut Source) -> Value {
    match &*SHAPE {
        Shape::Object(root) => fields(root, (1, 6), source),
        other => value(other, source),
    }
}

/// A configuration that exports spans.
pub fn exporting(source: &mut Source) -> Value {
    let mut config: Value = json_of(&DICTIONARY.exporting, source);
    let (collector, protocol) = *one(&[("otlp", "http/protobuf"), ("otlp", "grpc"), ("zipkin", "")], source);
    config["export"] = json!({
        collector: if protocol.is_empty() { json!({"cluster": "c"}) } else { json!({"cluster": "c", "protocol": protocol}) },
        "queue_bytes": one(&[4 << 20, 65_536, 65_537, 100_000, 1 << 20], source),
        "queue": one(&[Value::Null, json!(2_048), json!(1), json!(2), json!(7)], source),
        "batch": one(&[512, 1, 2, 5, 30], source),
        "in_flight": one(&[4, 1, 2, 3, 100], source),
        "delay_ms": one(&[5_000, 1, 1_000_000], source),
    });
    if source.random_ratio(1, 8) {
        // A few spans of it are as much as a small queue holds, or what stands around them is.
        let (of_span, text) = (source.random_ratio(1, 2), "a".repeat(*one(&[1_000, 9_000, 14_000], source)));
        match of_span {
            true => config["span"]["attributes"] = json!([{"name": "long", "value": text}]),
            false => config["service"]["attributes"] = json!({"long": text}),
        }
    }
    config
}

fn fields(object: &Object, ratio: (u32, u32), source: &mut Source) -> Value {
    let form = if object.forms.is_empty() { &[][..] } else { one(&object.forms, source) };
    let is_of_a_form = |name: &str| object.forms.iter().any(|form| form.contains(&name));
    let mut made = Map::new();
    for field in &object.fields {
        let is_needed = field.default.is_none() || form.contains(&field.name);
        let (times, of) = match is_needed {
            true => (31, 32),
            false if is_of_a_form(field.name) => (1, 32),
            false => ratio,
        };
        if source.random_ratio(times, of) {
            let known = examples(&field.meaning);
            let value = match known.is_empty() || source.random_ratio(1, 2) {
                true => value(&field.shape, source),
                false => json!(one(&known, source)),
            };
            made.insert(field.name.to_owned(), value);
        }
    }
    made.into()
}

fn value(shape: &Shape, source: &mut Source) -> Value {
    if source.random_ratio(1, 48) {
        return json_of(&DICTIONARY.odd, source);
    }
    match shape {
        Shape::Flag => json!(source.random_ratio(1, 2)),
        Shape::Probability => json_of(&DICTIONARY.probabilities, source),
        Shape::Number(most) => {
            let most = f64::from(*most);
            let right = *one(&[0.0, 0.25, 1.0, 100.5, most], source);
            json!(if source.random_ratio(1, 8) { *one(&[-0.5, most + 0.5], source) } else { right })
        }
        Shape::Whole(least, most) => {
            let (least, most) = (i64::from(*least), i64::from(*most));
            let right = *one(&[least, least + 1, 16, 512, most], source);
            json!(if source.random_ratio(1, 8) { *one(&[least - 1, most + 1, -1], source) } else { right })
        }
        Shape::Text(form) => text(form, source).into(),
        Shape::Words(words) => one(&words.words, source).0.into(),
        Shape::Map(refused) => {
            let name = if source.random_ratio(1, 8) { refused.first().copied() } else { None };
            json!({ name.unwrap_or("a"): text(&Form::ANY, source) })
        }
        Shape::List(item) => {
            let mut items = Vec::new();
            while items.len() < 4 && source.random_ratio(2, 3) {
                items.push(value(item, source));
            }
            items.into()
        }
        Shape::Object(object) => fields(object, (1, 3), source),
        Shape::Nullable(_) if source.random_ratio(1, 16) => Value::Null,
        Shape::Nullable(inner) => value(inner, source),
        Shape::OneOf(shapes) => value(one(shapes, source), source),
    }
}

fn text(form: &Form, source: &mut Source) -> String {
    let known = DICTIONARY.texts.iter().find(|(title, _)| *title == form.title);
    let Some((_, texts)) = known else { return String::new() };
    // The first are right.
    let right = if source.random_ratio(3, 4) { texts.len().div_ceil(2) } else { texts.len() };
    one(&texts[..right], source).clone()
}

/// One of these pieces of JSON.
fn json_of(texts: &[String], source: &mut Source) -> Value {
    serde_json::from_str(one(texts, source).as_str()).expect("the dictionary has JSON here")
}
