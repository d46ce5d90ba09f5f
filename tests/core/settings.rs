//! Faults: how they are worded, and what they suggest.

use tracewarden::config::Config;
use tracewarden::settings::{Expected, Fault, FaultKind, Shape, Step, Value, examples};

fn unknown(name: &str, known: &[&'static str]) -> Fault {
    Fault {
        path: vec![Step::Field("span".to_owned()), Step::Item(2), Step::Field(name.to_owned())],
        kind: FaultKind::UnknownField,
        expected: Expected::Fields(known.to_vec()),
        found: "1".to_owned(),
        detail: String::new(),
    }
}

#[test]
fn a_misspelt_field_suggests_the_nearest_one() {
    let known = ["mode", "role", "header", "propagation", "trace_id_source"];
    let rows = [
        ("moed", Some("mode")),
        ("rule", Some("role")),
        ("Header", Some("header")),
        ("headers", Some("header")),
        ("propogation", Some("propagation")),
        ("traceid_source", Some("trace_id_source")),
        ("", None),
        ("x", None),
        ("lode", Some("mode")),
        ("sampling", None),
    ];
    for (name, nearest) in rows {
        assert_eq!(unknown(name, &known).suggestion(), nearest, "{name}");
    }
    assert_eq!(unknown("a", &[]).suggestion(), None);
}

#[test]
fn a_fault_is_one_line_that_says_where() {
    assert_eq!(unknown("mod", &["mode"]).to_string(), "span[2]: unknown field `mod`; did you mean `mode`?");
    let far = unknown("a\nb", &["mode", "role"]);
    assert_eq!(far.to_string(), "span[2]: unknown field `a\\nb`; expected one of `mode`, `role`");
    assert_eq!(far.place(), "span[2].a\\nb");
    let other = Fault { kind: FaultKind::DuplicateField, ..far.clone() };
    assert_eq!(other.to_string(), "duplicate field `span[2].a\\nb`");
    let other = Fault {
        kind: FaultKind::Malformed,
        expected: Expected::OneOf(&["a", "b"]),
        detail: "line\nbreak".to_owned(),
        ..far
    };
    assert_eq!(other.to_string(), r#"span[2].a\nb: expected one of "a", "b", found 1 (line\nbreak)"#);
}

#[test]
fn the_examples_of_a_text_are_the_json_after_such_as() {
    let text = |text: &str| Value::Text(text.to_owned());
    let rows = [
        ("A path, such as `\"/a\"`. Not `\"/b\"`.", vec![text("/a")]),
        ("Such as `\"a\"`, `1` or `[]`. `2` is none.", vec![text("a"), Value::Whole(1), Value::List(vec![])]),
        ("A name such as `not JSON`.", vec![]),
        ("Nothing.", vec![]),
    ];
    for (sentence, expected) in rows {
        assert_eq!(examples(sentence), expected, "{sentence}");
    }
}

#[test]
fn the_description_has_every_field_with_a_sentence() {
    fn visit(shape: &Shape, fields: &mut usize) {
        match shape {
            Shape::List(inner) | Shape::Nullable(inner) => visit(inner, fields),
            Shape::Object(object) => {
                assert!(object.meaning.ends_with('.'), "{}", object.title);
                for field in &object.fields {
                    assert!(
                        field.meaning.ends_with('.') && !field.meaning.contains("  "),
                        "{}",
                        field.meaning
                    );
                    *fields += 1;
                    visit(&field.shape, fields);
                }
            }
            _ => {}
        }
    }
    let mut fields = 0;
    visit(&Config::shape(), &mut fields);
    assert!(fields > 100, "{fields}");
}
