//! The configuration: what is accepted, and what a refusal says.

use tracewarden::config::{Config, Mode, ParentId, Role, Start};
use tracewarden::metrics::Direction;
use tracewarden::sampling::Threshold;

#[test]
fn everything_has_a_default() {
    let defaults = Config::parse(b"{}").unwrap();
    assert_eq!(Config::parse(b"").unwrap(), defaults);
    assert_eq!(Config::parse(b" \n").unwrap(), defaults);
    assert!(defaults.enabled);
    assert_eq!((defaults.mode, defaults.role), (Mode::Enforce, Role::Internal));
    assert_eq!((defaults.start, defaults.parent_id), (Start::Always, ParentId::Auto));
    assert_eq!((defaults.direction, defaults.probability), (None, Threshold::ALWAYS));
    assert!(defaults.response.validate && defaults.response.traceparent);
}

#[test]
fn every_field_is_read() {
    let config = Config::parse(
        br#"{
            "enabled": false, "mode": "observe", "role": "edge", "direction": "outbound", "start": "never",
            "parent_id": "new", "sampling": {"probability": 0.25}, "response": {"validate": false, "inject": []}
        }"#,
    )
    .unwrap();
    assert!(!config.enabled);
    assert_eq!((config.mode, config.role), (Mode::Observe, Role::Edge));
    assert_eq!((config.start, config.parent_id), (Start::Never, ParentId::New));
    assert_eq!(config.direction, Some(Direction::Outbound));
    assert_eq!(Ok(config.probability), Threshold::from_probability(0.25));
    assert!(!config.response.validate && !config.response.traceparent);
}

#[test]
fn every_word_is_the_one_that_metrics_use() {
    for mode in Mode::ALL {
        let json = format!(r#"{{"mode": "{}"}}"#, mode.label());
        assert_eq!(Config::parse(json.as_bytes()).unwrap().mode, *mode);
    }
    for role in Role::ALL {
        let json = format!(r#"{{"role": "{}"}}"#, role.label());
        assert_eq!(Config::parse(json.as_bytes()).unwrap().role, *role);
    }
}

#[test]
fn a_refusal_names_the_path_the_bound_and_the_value() {
    let rows: &[(&str, &[&str])] = &[
        (r#"{"rol": "edge"}"#, &["rol", "unknown field", "`role`"]),
        (r#"{"role": "gateway"}"#, &["role: ", "\"gateway\"", "\"edge\", \"internal\""]),
        (r#"{"enabled": "yes"}"#, &["enabled", "\"yes\"", "boolean"]),
        (r#"{"sampling": {"probability": 1.5}}"#, &["sampling.probability", "1.5", "from 0 to 1"]),
        (r#"{"sampling": {"probability": -0.1}}"#, &["sampling.probability", "-0.1", "from 0 to 1"]),
        (r#"{"sampling": {"probability": "half"}}"#, &["sampling.probability", "\"half\""]),
        (r#"{"sampling": {"rate": 1}}"#, &["sampling.rate", "unknown field", "`probability`"]),
        (
            r#"{"response": {"inject": ["traceparent", "b3"]}}"#,
            &["response.inject[1]", "\"b3\"", "\"traceparent\""],
        ),
        (r#"{"direction": "sideways"}"#, &["direction", "\"sideways\"", "\"inbound\""]),
        (r#"{"start": null}"#, &["start", "null is not one of \"always\", \"never\""]),
        (r#"{"mode": "observe", "mode": "enforce"}"#, &["mode", "duplicate field"]),
        (r#"[]"#, &["sequence", "an object"]),
        (r#"{"sampling": [0.5]}"#, &["sampling", "sequence", "an object"]),
        (r#"{} {}"#, &["trailing characters"]),
        (r#"{"mode": "#, &["EOF"]),
    ];
    for (json, parts) in rows {
        let message = Config::parse(json.as_bytes()).expect_err(json).to_string();
        for part in *parts {
            assert!(message.contains(part), "{json}: `{message}` does not say {part}");
        }
        assert!(!message.contains('\n'), "{json}: one line");
    }
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    assert!(Config::parse(b"{\"mode\": \"\xff\"}").is_err());
    assert!(Config::parse(&[0xff; 64]).is_err());
}
