//! The smallest configurations that have something at a place.

use serde_json::{Map, Value, json};

use crate::schema::{Node, Place, Schema, Step};

/// A configuration with this value at a place; of the forms that an object can have, the one that the field belongs to.
pub(crate) fn with(schema: &Schema, place: &Place, value: Value) -> Value {
    of(schema, place, true, Some(value))
}

/// The same in a form that can do without the field.
pub(crate) fn beside(schema: &Schema, place: &Place, value: Value) -> Value {
    of(schema, place, false, Some(value))
}

/// The same without the field.
pub(crate) fn without(schema: &Schema, place: &Place) -> Value {
    of(schema, place, false, None)
}

/// Adds what some fields need far from where they stand.
pub(crate) fn complete(document: &mut Value) {
    let has = |document: &Value, pointer: &str| {
        document.pointer(pointer).is_some_and(|value| !value.is_null() && *value != json!([]))
    };
    if has(document, "/sampling/errors_per_second") && !has(document, "/export") {
        document["export"] = json!({"otlp": {"cluster": "otel_collector"}});
    }
    let is_about_outsiders = has(document, "/trust/trusted") || has(document, "/trust/keep");
    if is_about_outsiders && document.pointer("/trust/default").is_none() {
        document["trust"]["default"] = json!("untrusted");
    }
}

/// What stands at a place of a configuration that has something there.
pub(crate) fn at<'a>(document: &'a mut Value, steps: &[Step]) -> &'a mut Value {
    steps.iter().fold(document, |value, step| match step {
        Step::Field(name) => &mut value[name],
        Step::Item => &mut value[0],
        Step::Named => &mut value["region"],
    })
}

/// A value that may stand there.
pub(crate) fn example(schema: &Schema, node: &Node) -> Value {
    let said = node.words().into_iter().chain(node.list("examples").cloned()).next();
    said.unwrap_or_else(|| match node.kind() {
        "boolean" => json!(false),
        "integer" | "number" => node.json["minimum"].clone(),
        "array" => json!([]),
        "object" => minimal(schema, node, "", true).into(),
        _ => json!("text"),
    })
}

fn of(schema: &Schema, place: &Place, belongs: bool, value: Option<Value>) -> Value {
    let mut document = build(schema, &schema.root(), &place.steps, belongs, value);
    complete(&mut document);
    document
}

fn build(schema: &Schema, node: &Node, steps: &[Step], belongs: bool, value: Option<Value>) -> Value {
    let Some((step, rest)) = steps.split_first() else { return value.expect("a value") };
    let child = |value| build(schema, &schema.child(node, step), rest, belongs, value);
    match step {
        Step::Item => json!([child(value)]),
        Step::Named => json!({"region": child(value)}),
        Step::Field(name) => {
            let mut object = minimal(schema, node, name, belongs || !rest.is_empty());
            if value.is_none() && rest.is_empty() {
                object.remove(name);
            } else {
                object.insert(name.clone(), child(value));
            }
            object.into()
        }
    }
}

/// An object with all that it needs beside the field.
fn minimal(schema: &Schema, node: &Node, field: &str, belongs: bool) -> Map<String, Value> {
    let requires =
        |form: &&Value| form["required"].as_array().is_some_and(|names| names.contains(&json!(field)));
    let forms = node.forms();
    let form = forms.iter().find(|form| requires(form) == belongs).or(forms.first());
    let form = form.and_then(|form| form["required"].as_array()).into_iter().flatten();
    let needed = node.list("required").chain(form).filter_map(Value::as_str).filter(|name| *name != field);
    let mut object: Map<String, Value> = needed
        .map(|name| {
            let child = schema.child(node, &Step::Field(name.to_owned()));
            (name.to_owned(), example(schema, &child))
        })
        .collect();
    if object.is_empty() && node.json.contains_key("minProperties") {
        let (name, value) = if field == "method" { ("path", "/") } else { ("method", "GET") };
        object.insert(name.to_owned(), json!(value));
    }
    object
}
