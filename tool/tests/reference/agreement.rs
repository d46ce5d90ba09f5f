//! An independent validator with the schema, and the reader, on whatever a seed brings.

use serde_json::Value;
use tracewarden::config::Config;
use tracewarden::settings::Faults;

use crate::generator::Generator;
use crate::load;
use crate::schema::Schema;

/// What the reader refuses and the schema cannot.
struct Beyond {
    /// A piece of the refusal.
    refusal: &'static str,
    why: &'static str,
    /// Whether it is so in a configuration that the schema allows, with the texts that the generator has.
    applies: fn(&Value) -> bool,
}

/// The headers that give callers the trace id alone.
fn told(document: &Value) -> Vec<String> {
    let injections = document["response"]["inject"].as_array().into_iter().flatten();
    injections.filter_map(|injection| Some(injection["header"].as_str()?.to_ascii_lowercase())).collect()
}

const BEYOND_THE_SCHEMA: &[Beyond] = &[
    Beyond {
        refusal: "expected a regular expression, found",
        why: "JSON Schema's own dialect is another than the filter's",
        applies: |document| says(document, &["(", "a(?=b)"]),
    },
    Beyond {
        refusal: "expected a variable of the environment that is set",
        why: "a schema knows no environment",
        applies: |document| says(document, &["NO_SUCH_VARIABLE"]),
    },
    Beyond {
        refusal: "without a meaning in HTTP or for the filter",
        why: "in upper and lower case, which a list of words does not know",
        applies: |document| {
            let trusted = document["trust"]["trusted"].as_array().into_iter().flatten();
            let secrets = trusted.chain([&document["sampling"]["force"]]);
            let mut headers = secrets.chain([document]).map(|holder| &holder["header"]);
            headers.any(|header| header == "B3" || header == "tracestate")
        },
    },
    Beyond {
        refusal: "expected a header name that has no meaning of its own",
        why: "in upper and lower case, which a list of words does not know",
        applies: |document| told(document).iter().any(|header| header == "b3" || header == "tracestate"),
    },
    Beyond {
        refusal: "expected another name than those of the headers in response.inject",
        why: "the fields lie apart",
        applies: |document| {
            let header = document["header"].as_str().unwrap_or_default().to_ascii_lowercase();
            told(document).contains(&header)
        },
    },
    Beyond {
        refusal: "expected a header that holds no secret",
        why: "the fields lie apart",
        applies: |document| {
            let trusted = document["trust"]["trusted"].as_array().into_iter().flatten();
            let mut secrets = trusted.chain([&document["sampling"]["force"]]).map(|secret| &secret["header"]);
            let header = document["header"].as_str().unwrap_or_default();
            secrets.any(|secret| secret.as_str().is_some_and(|secret| secret.eq_ignore_ascii_case(header)))
        },
    },
    Beyond {
        refusal: "expected a range of addresses",
        why: "a pattern for addresses would be longer than their parser",
        applies: |document| says(document, &["10.0.0.0/33", "nowhere"]),
    },
    Beyond {
        refusal: "missing a condition",
        why: "conditions that say nothing are still fields",
        applies: |document| {
            let matches = |list: &Value, field: Option<&str>| -> Vec<Value> {
                let items = list.as_array().into_iter().flatten();
                items.map(|item| field.map_or(item, |field| &item[field]).clone()).collect()
            };
            let rules = matches(&document["sampling"]["rules"], Some("match"));
            let egress = matches(&document["egress"], Some("match"));
            let mut all = [rules, egress, matches(&document["exclude"], None)].concat().into_iter();
            all.any(|entry| {
                let says_nothing = |(_, value): (&String, &Value)| value.is_null() || value == "auto";
                entry.as_object().is_some_and(|conditions| conditions.iter().all(says_nothing))
            })
        },
    },
    Beyond {
        refusal: "expected a name that no other attribute has",
        why: "a list's items are unique as a whole or not at all",
        applies: |document| {
            let attributes = document["span"]["attributes"].as_array().into_iter().flatten();
            let mut names: Vec<&Value> = attributes.map(|attribute| &attribute["name"]).collect();
            let all = names.len();
            names.sort_by_key(|name| name.to_string());
            names.dedup();
            names.len() < all
        },
    },
    Beyond {
        refusal: "leaves no parent-id for its spans",
        why: "the two fields lie apart",
        applies: |document| document["parent_id"] == "forward" && !document["export"].is_null(),
    },
    Beyond {
        refusal: "expected no value without export",
        why: "the two fields lie apart",
        applies: |document| {
            !document["sampling"]["errors_per_second"].is_null() && document["export"].is_null()
        },
    },
    Beyond {
        refusal: "with what is kept from untrusted senders",
        why: "whether a list is empty decides about another field",
        applies: |document| {
            let trust = &document["trust"];
            trust["default"] != "untrusted" && trust["keep"].as_array().is_some_and(|list| !list.is_empty())
        },
    },
    Beyond {
        refusal: "with a list of trusted senders",
        why: "whether a list is empty decides about another field",
        applies: |document| {
            let trust = &document["trust"];
            trust["default"] != "untrusted"
                && trust["trusted"].as_array().is_some_and(|list| !list.is_empty())
        },
    },
];

/// Whether one of these texts is a value in it.
fn says(document: &Value, texts: &[&str]) -> bool {
    texts.iter().any(|text| document.to_string().contains(&format!(":{}", Value::from(*text))))
        || texts
            .iter()
            .any(|text| document["span"]["redact"].to_string().contains(&Value::from(*text).to_string()))
}

/// Which of those its faults are, if all of them are.
pub(crate) fn beyond_the_schema(Faults(faults): &Faults) -> Option<Vec<usize>> {
    let known = |fault: String| BEYOND_THE_SCHEMA.iter().position(|beyond| fault.contains(beyond.refusal));
    faults.iter().map(|fault| known(fault.to_string())).collect()
}

/// Holds the two judgements against each other; what only the reader refuses is told.
fn agree(schema: &Schema, document: &Value) -> Vec<usize> {
    match (schema.accepts(document), load(document)) {
        (false, Err(_)) => Vec::new(),
        (true, Ok(_)) => {
            let due = BEYOND_THE_SCHEMA.iter().find(|beyond| (beyond.applies)(document));
            assert!(
                due.is_none(),
                "the reader accepts {document}, though: {:?}",
                due.map(|beyond| beyond.refusal)
            );
            Vec::new()
        }
        (true, Err(refusal)) => {
            let known = beyond_the_schema(&refusal).unwrap_or_default();
            let applies = |known: &usize| (BEYOND_THE_SCHEMA[*known].applies)(document);
            assert!(
                !known.is_empty() && known.iter().all(applies),
                "only the reader refuses {document}: {refusal}"
            );
            known
        }
        (false, Ok(_)) => panic!("only the schema refuses {document}"),
    }
}

#[test]
fn the_schema_and_the_reader_agree_on_configurations_at_random() {
    let schema = Schema::read();
    let mut generator = Generator::new(&schema, 6);
    let (mut valid, mut seen) = (0, [0; BEYOND_THE_SCHEMA.len()]);
    for _ in 0..4_000 {
        let document = generator.document();
        agree(&schema, &document).into_iter().for_each(|known| seen[known] += 1);
        valid += usize::from(load(&document).is_ok());
    }
    assert!(valid > 400, "{valid} valid ones");
    for (beyond, seen) in BEYOND_THE_SCHEMA.iter().zip(seen) {
        assert!(seen > 0, "nothing was refused because {:?} ({})", beyond.refusal, beyond.why);
    }
}

#[test]
fn what_is_spoilt_is_refused_by_both() {
    let schema = Schema::read();
    let mut generator = Generator::new(&schema, 7);
    let mut spoilt = 0;
    while spoilt < 2_000 {
        let document = generator.document();
        if load(&document).is_err() || !schema.accepts(&document) {
            continue;
        }
        for _ in 0..5 {
            let (document, how) = generator.spoilt(&document);
            assert!(load(&document).is_err(), "the reader accepts {document}, {how}");
            assert!(!schema.accepts(&document), "the schema accepts {document}, {how}");
            spoilt += 1;
        }
    }
}

#[test]
fn what_json_is_to_the_reader_alone() {
    let schema = Schema::read();
    let rows: &[(&str, &str)] = &[
        (r#"{"correlation": {"slots": 2.0}}"#, "a whole number is written without a fraction"),
        (r#"{"correlation": {"slots": 1e3}}"#, "and without an exponent"),
        (r#"{"sampling": {"probability": -0}}"#, "a probability is written without a sign"),
        (r#"{"mode": "observe", "mode": "enforce"}"#, "names are distinct"),
    ];
    for (text, why) in rows {
        let document: Value = serde_json::from_str(text).expect("JSON");
        assert!(schema.accepts(&document), "{text}");
        assert!(Config::load(text.as_bytes(), |_| None).is_err(), "{text}: {why}");
    }
}
