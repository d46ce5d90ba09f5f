//! The tree that a configuration is parsed into.

use tracewarden::settings::Value;

fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_tree_is_what_was_written() {
    let object = |fields: Vec<(&str, Value)>| {
        Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let rows = [
        ("null", Value::Null),
        ("true", Value::Bool(true)),
        ("18446744073709551615", Value::Whole(u64::MAX)),
        ("18446744073709551616", Value::Float(18_446_744_073_709_551_616.0)),
        ("-1", Value::Float(-1.0)),
        ("2.0", Value::Float(2.0)),
        (r#""\u00e9\n""#, text("é\n")),
        ("[1, [], {}]", Value::List(vec![Value::Whole(1), Value::List(vec![]), object(vec![])])),
        (
            r#"{"b": 1, "a": 2, "b": "c"}"#,
            object(vec![("b", parse("1")), ("a", parse("2")), ("b", text("c"))]),
        ),
    ];
    for (json, value) in rows {
        assert_eq!(parse(json), value, "{json}");
    }
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(serde_json::from_str::<Value>(&nested(100)).is_ok());
    assert!(serde_json::from_str::<Value>(&nested(1_000_000)).is_err(), "what is too deep is refused");
}

#[test]
fn what_is_written_is_read_again() {
    for json in [r#"{"b":[null,true,1,-2.5,"c"],"a":{}}"#, "0.1", r#""é""#] {
        assert_eq!(serde_json::to_string(&parse(json)).unwrap(), json);
    }
}

#[test]
fn a_number_is_shown_by_its_shortest_decimal_form() {
    for (number, shown) in [(0.1, "0.1"), (-1.5, "-1.5"), (2.0, "2.0"), (1e-7, "1e-7")] {
        assert_eq!(Value::Float(number).to_string(), shown);
    }
}
