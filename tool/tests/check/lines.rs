//! Each fault is said with its line, all of them at once, in every form that a text can have in YAML.

use serde_json::json;

use crate::support::{found, judged, messages};

/// An HTTP filter whose configuration is this value of YAML.
fn filter(value: &str) -> String {
    format!(
        "- name: tracewarden\n  typed_config:\n    '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n    \
         config:\n      configuration:\n        '@type': type.googleapis.com/google.protobuf.StringValue\n        value: {value}\n"
    )
}

fn codes(rows: &[(&str, u64)]) -> Vec<(String, u64)> {
    rows.iter().map(|(code, line)| ((*code).to_owned(), *line)).collect()
}

#[test]
fn json_alone_has_the_lines_of_its_text() {
    let json = "{\n\t\"role\": \"gate\",\n\t\"sampling\": {\n\t\t\"probability\": 7\n\t},\n\t\"moed\": \"observe\"\n}\n";
    assert_eq!(found(json), codes(&[("TW0106", 2), ("TW0107", 4), ("TW0102", 6)]));
    let (_, value) = judged(json);
    let said = messages(&value);
    assert!(said.iter().any(|(.., text)| text == "unknown field `moed`; did you mean `mode`?"), "{said:?}");
    assert_eq!(found("{\n\"role\": \"edge\"\n\"mode\": 1}"), codes(&[("TW0101", 3)]));
}

#[test]
fn yaml_alone_has_the_lines_of_its_text() {
    let yaml = "# first\n\nrole: gate\nsampling:\n  rules:\n    - match: {path_prefix: /x}\n      probability: 0.5\n    - \
                probability: 2\nexport:\n  otlp: {}\nrole: edge\n";
    assert_eq!(
        found(yaml),
        codes(&[("TW0106", 3), ("TW0104", 8), ("TW0107", 8), ("TW0104", 10), ("TW0103", 11)])
    );
}

#[test]
fn a_text_in_yaml_has_the_lines_of_the_file() {
    let json = |space: &str| {
        format!("{{\"role\": \"gate\",{space}\"service\": {{\"name\": \"it's é #1\"}},{space}\"moed\": 1}}")
    };
    let [plain, double] = ["{\"role\": \"gate\", \"x\": 1}", &json(" ").replace('"', "\\\"")];
    let rows = [
        ("literal", format!("|\n          {}", json("\n          ")), [8, 10]),
        ("folded", format!(">-  # why\n          {}", json("\n\n            ")), [8, 12]),
        ("single quotes", format!("'{}'", json("\n            ").replace('\'', "''")), [7, 9]),
        ("double quotes", format!("\"{}\"", double.replace(", ", ",\n            ")), [7, 9]),
        ("double quotes with escapes", format!("\"{}\"", double.replace(", ", ",\\n\\\n  \\u0020 ")), [7, 9]),
        (
            "an emoji as a pair",
            format!("\"{}\"", double.replace("#1", "\\ud83d\\ude00").replace(", ", ",\n     ")),
            [7, 9],
        ),
        ("one line", format!("'{plain}'"), [7, 7]),
    ];
    for (name, value, [role, unknown]) in rows {
        let text = filter(&value);
        assert_eq!(found(&text), codes(&[("TW0106", role), ("TW0102", unknown)]), "{name}:\n{text}");
        let second = format!("a: é\n---\n{text}");
        let said: Vec<_> = found(&second).into_iter().filter(|(_, line)| *line > 2).collect();
        assert_eq!(
            said,
            codes(&[("TW0106", role + 2), ("TW0102", unknown + 2)]),
            "{name}, second:\n{second}"
        );
    }
}

#[test]
fn broken_json_in_a_text_has_the_line_of_the_file() {
    let text = filter("|\n          {\n            \"role\": \"edge\"\n            \"mode\": 1\n          }");
    assert_eq!(found(&text), codes(&[("TW0101", 10)]));
    let text = filter("|\n          {\"role\": \"edge\"\n");
    assert_eq!(found(&text), codes(&[("TW0101", 8)]));
}

#[test]
fn what_an_anchor_gives_has_the_line_of_the_anchor() {
    let yaml = "a: &rules\n  probability: 2\nsampling:\n  <<: *rules\n  parent: no-word\n";
    let said = found(yaml);
    assert!(said.contains(&("TW0107".to_owned(), 2)) && said.contains(&("TW0106".to_owned(), 5)), "{said:?}");
}

#[test]
fn every_document_of_a_stream_is_judged_though_one_cannot_be_read() {
    let yaml = "# no document\n---\nrole: gate\n---\nrole: [edge\n---\n---\nmode: 1\n---\nmode: |\n  ---x\nstart: nevr\n";
    let expected = [("TW0101", 5), ("TW0106", 3), ("TW0105", 8), ("TW0106", 10), ("TW0106", 12)];
    let mut said = found(yaml);
    said.sort_by_key(|(code, line)| (code != "TW0101", *line));
    assert_eq!(said, codes(&expected));
}

#[test]
fn a_large_configuration_is_read() {
    let listener = json!({"many": vec![1; 1_000], "typed_config": {"@type": "type.googleapis.com/x.X"}});
    let many = json!({"configs": vec![listener; 400]}).to_string();
    assert_eq!(found(&many), codes(&[("TW0002", 1)]), "400,000 values are no fault");
    let mut shared = "a: &shared {b: 1}\nc:\n".to_owned();
    shared.push_str(&"- *shared\n".repeat(500));
    shared.push_str(&filter("'{\"role\": \"gate\"}'"));
    assert_eq!(found(&shared), codes(&[("TW0106", 509)]), "500 aliases of one anchor");
}

#[test]
fn what_could_take_all_memory_is_refused() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in [('b', 'a'), ('c', 'b'), ('d', 'c'), ('e', 'd'), ('f', 'e'), ('g', 'f')] {
        let items = vec![format!("*{before}"); 10].join(", ");
        bomb.push_str(&format!("{name}: &{name} [{items}]\n"));
    }
    let deep = "[".repeat(100_000);
    for (input, reason) in [(bomb, "alias"), (deep, "recursion limit")] {
        let (status, value) = judged(&input);
        let said = messages(&value);
        let is_said = matches!(&said[..], [(code, _, text)] if code == "TW0101" && text.contains(reason));
        assert!(status == Some(1) && is_said, "{value}");
    }
}
