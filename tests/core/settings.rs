//! Faults: how they are worded, and what they suggest.

use std::collections::BTreeSet;

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use regex_lite::Regex;
use tracewarden::config::Config;
use tracewarden::settings::{Expected, Fault, FaultKind, Form, Shape, Step, Value, examples};

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
    let mut fields = 0;
    visit(&Config::shape(), &mut |shape| {
        if let Shape::Object(object) = shape {
            assert!(object.meaning.ends_with('.'), "{}", object.title);
            for field in &object.fields {
                assert!(field.meaning.ends_with('.') && !field.meaning.contains("  "), "{}", field.meaning);
                fields += 1;
            }
        }
    });
    assert!(fields > 100, "{fields}");
}

#[test]
fn every_form_of_a_text_says_what_is_expected() {
    let mut titles = BTreeSet::new();
    visit(&Config::shape(), &mut |shape| {
        if let Shape::Text(form) = shape {
            assert!(form.title.is_empty() || form.meaning.ends_with('.'), "{form:?}");
            let says_more = !form.title.is_empty() || !form.pattern.is_empty() || form.least > 0;
            assert_eq!(says_more, form.expected != Form::ANY.expected, "{form:?}");
            titles.insert(form.title);
        }
    });
    for title in ["Range of addresses", "Regular expression", "Name of a secret's variable", "Header name"] {
        assert!(titles.contains(title), "{title}: {titles:?}");
    }
}

#[test]
fn an_object_with_forms_describes_the_fields_of_each() {
    let mut found = BTreeSet::new();
    visit(&Config::shape(), &mut |shape| {
        let Shape::Object(object) = shape else { return };
        for form in object.forms.iter().flat_map(|form| form.iter()) {
            assert!(object.fields.iter().any(|field| field.name == *form), "{}: {form}", object.title);
            found.insert(*form);
        }
    });
    for name in ["otlp", "zipkin", "cidr", "header", "value_env", "request_header"] {
        assert!(found.contains(name), "{name}: {found:?}");
    }
}

#[test]
fn a_pattern_of_the_description_takes_what_the_reader_takes() {
    let rows = [
        ("/log/format", "trace_id=%(trace_id)s span_id=%(span_id)s 100%%", true),
        ("/log/format", "%(trace_id)d", false),
        ("/log/format", "50%", false),
        ("/header", "x-traceparent", true),
        ("/header", "X-Trace", true),
        ("/header", "a b", false),
    ];
    for (place, text, taken) in rows {
        let mut shape = Config::shape();
        let mut json = format!("{text:?}");
        for name in place.split('/').skip(1) {
            let Shape::Object(object) = shape else { panic!("{place} is in no object") };
            shape = object.fields.into_iter().find(|field| field.name == name).expect(place).shape;
        }
        for name in place.split('/').skip(1).collect::<Vec<_>>().into_iter().rev() {
            json = format!("{{{name:?}: {json}}}");
        }
        let Shape::Text(form) = shape else { panic!("{place} is no text") };
        assert_eq!(Regex::new(form.pattern).unwrap().is_match(text), taken, "{place} {text}");
        assert_eq!(Config::load(json.as_bytes(), |_| None).is_ok(), taken, "{json}");
    }
}

#[test]
fn a_number_is_shown_as_short_as_the_standard_library_shows_it() {
    let digits = |text: &str| {
        let mantissa = text.split('e').next().unwrap_or_default();
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        digits.trim_matches('0').len()
    };
    let mut rng = ChaCha12Rng::seed_from_u64(64);
    let random = (0..20_000).map(|_| f64::from_bits(rng.next_u64())).filter(|number| number.is_finite());
    let known = [0.0, -0.0, 0.1, 1e-5, 1e16, 1e17, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::EPSILON];
    for number in known.into_iter().chain(random) {
        let shown = Value::Float(number).to_string();
        assert_eq!(shown.parse::<f64>().map(f64::to_bits), Ok(number.to_bits()), "{number:e}");
        // Of two that are as short and as near, they may choose different ones.
        assert_eq!(digits(&shown), digits(&format!("{number:e}")), "{shown}");
    }
}

#[test]
fn a_format_that_is_only_read_is_no_word_for_inject() {
    let mut found = Vec::new();
    visit(&Config::shape(), &mut |shape| {
        if let Shape::Words(words) = shape
            && words.words.iter().any(|(word, _)| *word == "sw8")
        {
            let accepted: Vec<&str> = words.accepted().map(|(word, _)| word).collect();
            assert!(accepted.contains(&"tracecontext") && accepted.contains(&"b3multi"), "{accepted:?}");
            found.push(accepted.contains(&"sw8"));
        }
    });
    assert_eq!(found, [true, false], "extract and inject");
}

/// Shows every shape of a description, and all that it is made of.
fn visit(shape: &Shape, look: &mut dyn FnMut(&Shape)) {
    look(shape);
    match shape {
        Shape::List(inner) | Shape::Nullable(inner) => visit(inner, look),
        Shape::OneOf(shapes) => shapes.iter().for_each(|shape| visit(shape, look)),
        Shape::Object(object) => object.fields.iter().for_each(|field| visit(&field.shape, look)),
        _ => {}
    }
}
