//! Each field, word, bound and default of the schema is the reader's, and the other way round.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tracewarden::config::Config;
use tracewarden::settings::{self, Expected, Fault, FaultKind, Faults};

use crate::document::{at, beside, example, with, without};
use crate::schema::{Node, Place, Schema, Step};
use crate::{SECRETS, load};

/// Words that the reader knows and refuses all the same.
const REFUSED_WORDS: &[(&str, &str, &str)] =
    &[("propagation.inject[]", "sw8", "the format's trace-ids need not be W3C's, so it is only read")];

#[test]
fn the_reader_knows_the_fields_of_the_schema_and_no_others() {
    let schema = Schema::read();
    let objects: Vec<Place> =
        schema.places_and_root().into_iter().filter(|place| place.schema.is_closed_object()).collect();
    assert!(objects.len() > 20, "{}", objects.len());
    for place in objects {
        let described: BTreeSet<String> = place.schema.fields().map(|(name, _)| name.clone()).collect();
        // Of an object with several forms, the reader names the fields of the form that it finds.
        let told: BTreeSet<String> = described
            .iter()
            .flat_map(|name| {
                let field = schema.field(&place, name);
                let mut document = with(&schema, &field, example(&schema, &field.schema));
                at(&mut document, &place.steps)["no_such_field"] = json!(1);
                assert!(!schema.accepts(&document), "{document}");
                known_fields(&document)
            })
            .collect();
        assert_eq!(described, told, "the fields of `{}`: the schema's, and the reader's", place.path());
    }
}

/// The fields that the reader names where it refuses an unknown one.
fn known_fields(document: &Value) -> Vec<String> {
    let Faults(faults) = load(document).expect_err("an unknown field");
    match &faults[..] {
        [Fault { kind: FaultKind::UnknownField, expected: Expected::Fields(names), path, .. }]
            if path.last() == Some(&settings::Step::Field("no_such_field".to_owned())) =>
        {
            names.iter().map(|name| (*name).to_owned()).collect()
        }
        faults => panic!("{document}: {faults:?}"),
    }
}

#[test]
fn every_object_is_closed_and_every_field_described() {
    for place in Schema::read().places_and_root() {
        let (path, json) = (place.path(), &place.schema.json);
        let open = json.get("additionalProperties").is_none_or(|more| *more == true);
        assert!(place.schema.kind() != "object" || !open, "`{path}` takes any field");
        let described =
            json.get("description").and_then(Value::as_str).is_some_and(|text| text.ends_with('.'));
        let is_field = matches!(place.steps.last(), Some(Step::Field(_)));
        assert!(!is_field || described, "`{path}` is not described");
    }
}

#[test]
fn the_reader_has_the_words_of_the_schema_and_no_others() {
    let schema = Schema::read();
    let mut lists = 0;
    let mut refused = Vec::new();
    for place in schema.places().into_iter().filter(|place| !place.schema.words().is_empty()) {
        lists += 1;
        let path = place.path();
        let document = |word: &str| with(&schema, &place, json!(word));
        let nonsense = document("no such word");
        let Faults(faults) = load(&nonsense).expect_err("no such word");
        let [Fault { kind: FaultKind::UnknownWord, expected: Expected::OneOf(listed), .. }] = &faults[..]
        else {
            panic!("{path}: {faults:?}")
        };
        let (known, read_only): (Vec<&str>, Vec<&str>) =
            listed.iter().partition(|word| load(&document(word)).is_ok());
        refused.extend(read_only.iter().map(|word| (path.clone(), (*word).to_owned())));
        assert_eq!(place.schema.words(), known, "the words of `{path}`: the schema's, and the reader's");
        assert!(known.iter().all(|word| schema.accepts(&document(word))), "{path}");
        assert!(read_only.iter().all(|word| !schema.accepts(&document(word))), "{path}");
        assert!(!schema.accepts(&nonsense), "{path}");
    }
    assert!(lists > 15, "{lists}");
    let known = REFUSED_WORDS.iter().map(|(path, word, _)| ((*path).to_owned(), (*word).to_owned()));
    assert_eq!(refused, known.collect::<Vec<_>>());
}

#[test]
fn the_reader_has_the_bounds_of_the_schema() {
    let schema = Schema::read();
    let mut bounds = 0;
    for place in schema.places() {
        let Some(least) = place.schema.json.get("minimum") else { continue };
        let most = &place.schema.json["maximum"];
        let beyond = match (least.as_i64(), most.as_i64()) {
            (Some(least), Some(most)) if place.schema.kind() == "integer" => {
                [json!(least - 1), json!(most + 1)]
            }
            _ => [
                json!(least.as_f64().expect("a number").next_down()),
                json!(most.as_f64().expect("a number").next_up()),
            ],
        };
        for (values, fits) in [([least.clone(), most.clone()], true), (beyond, false)] {
            for value in values {
                let document = with(&schema, &place, value);
                assert_eq!(load(&document).is_ok(), fits, "{document}: {:?}", load(&document));
                assert_eq!(schema.accepts(&document), fits, "{document}");
                bounds += 1;
            }
        }
    }
    assert!(bounds > 40, "{bounds}");
}

#[test]
fn the_reader_has_the_lengths_and_patterns_of_the_schema() {
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("Header name", &["a", "!#$%&'*+-.^_`|~09aZ"], &["", "a b", "a:", "é", "a\n"]),
        ("Label value", &["a", "a-B_3."], &["", "a b", "a;.;b", "é", "a\n"]),
        ("Visible ASCII text", &["!", "~", "outbound|4318||a.b"], &["", "a b", "é", "\u{7f}", "a\n"]),
        (
            "Companion header",
            &["x-datadog-origin", "ot-baggage-tenant"],
            &["", "traceparent", "baggage", "x-a", "ot-baggage-", "X-Datadog-Origin", "sw8-x\n"],
        ),
        ("Baggage key", &["a", "!#$%&'*+-.^_`|~09aZ"], &["", "a b", "a=", "é", "a\n"]),
        ("Path", &["/", "/a?b=c"], &["", "a", "/a b", "/é", "/a\n"]),
    ];
    let schema = Schema::read();
    for place in schema.places() {
        let json = &place.schema.json;
        let title = json.get("title").and_then(Value::as_str).unwrap_or_default();
        let found = rows.iter().find(|row| row.0 == title);
        let is_log_format = place.path() == "log.format";
        assert_eq!(json.contains_key("pattern"), found.is_some() || is_log_format, "{}", place.path());
        let (good, bad): (&[&str], &[&str]) = match found {
            Some((_, good, bad)) => (good, bad),
            None if is_log_format => (&["", "%%", "a%(trace_id)s%(span_id)s\n"], &["%", "%(span)s", "%%%"]),
            None if json.contains_key("minLength") => (&["a"], &[""]),
            None => continue,
        };
        let bounds = [(128, "Header name"), (64, "Label value")];
        let longest = bounds.iter().filter(|(_, of)| *of == title).map(|(length, _)| *length);
        let long = longest.flat_map(|length| [("a".repeat(length), true), ("a".repeat(length + 1), false)]);
        let texts =
            |texts: &[&str], fits| texts.iter().map(|text| ((*text).to_owned(), fits)).collect::<Vec<_>>();
        for (text, fits) in long.chain(texts(good, true)).chain(texts(bad, false)) {
            let document = with(&schema, &place, json!(text));
            assert_eq!(load(&document).is_ok(), fits, "{document}: {:?}", load(&document));
            assert_eq!(schema.accepts(&document), fits, "{document}");
        }
    }
}

#[test]
fn values_of_a_type_that_the_schema_does_not_name_are_refused() {
    let schema = Schema::read();
    let samples = [
        ("boolean", json!(true)),
        ("number", json!(0.5)),
        ("integer", json!(1)),
        ("string", json!("text")),
        ("array", json!([])),
        ("object", json!({})),
    ];
    for place in schema.places() {
        let kind = place.schema.kind();
        for (other, value) in &samples {
            if *other != kind && (*other, kind) != ("integer", "number") {
                let document = with(&schema, &place, value.clone());
                assert!(load(&document).is_err() && !schema.accepts(&document), "{document}");
            }
        }
        let document = beside(&schema, &place, Value::Null);
        let takes_null = place.schema.is_nullable;
        assert_eq!(load(&document).is_ok(), takes_null, "{document}: {:?}", load(&document));
        assert_eq!(schema.accepts(&document), takes_null, "{document}");
    }
}

#[test]
fn each_default_is_what_the_reader_takes_for_a_field_that_is_left_out() {
    let schema = Schema::read();
    let mut defaults = 0;
    for place in schema.places() {
        let default = place.schema.json.get("default");
        let said = default.cloned().into_iter().chain(place.schema.is_nullable.then_some(Value::Null));
        for value in said {
            let (stated, left_out) = (beside(&schema, &place, value), without(&schema, &place));
            let due = load(&left_out).unwrap_or_else(|refusal| panic!("{left_out}: {refusal}"));
            assert_eq!(load(&stated), Ok(due), "{stated}");
            defaults += 1;
        }
        // A field without either has to be there, or is one of a form that not every object has.
        let is_in_a_form = place.path().starts_with("trust.trusted[].");
        let is_field = matches!(place.steps.last(), Some(Step::Field(_)));
        let is_free = default.is_none() && !place.schema.is_nullable && !place.is_required;
        assert!(!is_field || !is_free || is_in_a_form, "{} has no default", place.path());
    }
    assert!(defaults > 60, "{defaults}");
}

#[test]
fn all_defaults_together_are_the_empty_configuration() {
    let schema = Schema::read();
    let document = defaults(&schema, &schema.root());
    assert!(schema.accepts(&document), "{document}");
    assert_eq!(load(&document), Ok(Config::default()), "{document}");
}

/// An object with each of its fields, as they are by default; what is nothing by default has none.
fn defaults(schema: &Schema, node: &Node) -> Value {
    let fields = schema.children(node).into_iter().filter_map(|(step, field, _)| match step {
        Step::Field(name) => Some((name, field)),
        Step::Item | Step::Named => None,
    });
    let default = |field: &Node| match field.json.get("default") {
        Some(Value::Object(_)) => defaults(schema, field),
        default => default.cloned().unwrap_or(Value::Null),
    };
    Value::Object(fields.map(|(name, field)| (name, default(&field))).collect())
}

#[test]
fn every_field_of_the_schema_means_something_to_the_reader() {
    let schema = Schema::read();
    for place in schema.places() {
        let example = example(&schema, &place.schema);
        let values: Vec<Value> = match place.schema.kind() {
            "boolean" => vec![json!(true), json!(false)],
            "integer" | "number" => {
                vec![place.schema.json["minimum"].clone(), place.schema.json["maximum"].clone()]
            }
            "string" if place.schema.words().is_empty() => {
                let more = ["other", "/other", "192.0.2.1", "%%", "sw8-x"].map(|text| json!(text));
                [example].into_iter().chain(more).chain(SECRETS.iter().map(|name| json!(name))).collect()
            }
            "string" => place.schema.words(),
            "array" => vec![json!([]), json!([example_of_item(&schema, &place)])],
            // What an object means is what its fields mean.
            _ => continue,
        };
        let documents = values.into_iter().map(|value| with(&schema, &place, value));
        let mut meanings: Vec<Config> = Vec::new();
        for document in documents {
            meanings.extend(load(&document).ok().filter(|config| !meanings.contains(config)));
        }
        assert!(
            meanings.len() > 1,
            "`{}`: whatever its value is, the configuration is the same",
            place.path()
        );
    }
}

fn example_of_item(schema: &Schema, place: &Place) -> Value {
    example(schema, &schema.child(&place.schema, &Step::Item))
}

#[test]
fn every_example_is_a_value_that_the_reader_takes() {
    let schema = Schema::read();
    let mut examples = 0;
    for place in schema.places_and_root() {
        for example in place.schema.list("examples") {
            let document = with(&schema, &place, example.clone());
            assert!(schema.accepts(&document), "{document}");
            assert_eq!(load(&document).map(drop), Ok(()), "{document}");
            examples += 1;
        }
    }
    assert!(examples > 50, "{examples}");
}
