//! What the repository shows and ships is valid to both, and they agree on what the fuzzer starts from.

use serde_json::{Value, json};
use tracewarden::config::Config;
use tracewarden::settings::{FaultKind, Faults};

use crate::agreement::beyond_the_schema;
use crate::repository::{configurations, files_in, json_in_documents};
use crate::schema::Schema;
use crate::{file, load};

#[test]
fn every_configuration_in_documents_and_manifests_is_valid() {
    let schema = Schema::read();
    let found = configurations();
    // What sampling.md has stands in a sentence.
    for path in
        ["README.md", "docs/spans.md", "docs/sampling.md", "envoy/envoy.yaml", "envoy/restricted.yaml"]
    {
        assert!(found.iter().any(|(other, _)| other == path), "{path} shows none");
    }
    assert!(found.iter().any(|(path, _)| path.starts_with("envoy/istio/")), "no manifest for Istio has one");
    for (path, document) in found {
        assert!(schema.accepts(&document), "{path}: the schema refuses {document}");
        let mut faults = load(&document).err().map_or(Vec::new(), |Faults(faults)| faults);
        // The secrets of a manifest are in its own environment.
        faults.retain(|fault| fault.kind != FaultKind::Environment);
        assert_eq!(faults, [], "{path}: {document}");
    }
}

#[test]
fn readme_shows_the_defaults() {
    let shown = json_in_documents().into_iter().filter(|(path, _)| path == "README.md");
    let documents: Vec<Value> = shown.map(|(_, document)| document).collect();
    let [document] = &documents[..] else { panic!("one piece of JSON is due in README.md: {documents:?}") };
    assert_eq!(load(document), Ok(Config::default()));
    assert!(document.as_object().is_some_and(|fields| fields.len() > 8), "{document}");
}

#[test]
fn the_schema_and_the_reader_agree_on_the_seeds_of_the_fuzzer() {
    let schema = Schema::read();
    let seeds = files_in("fuzz/corpus/config", "");
    let mut agreed = 0;
    for path in &seeds {
        let text = file(path);
        let is_variable = |line: &&str| line.starts_with(|letter: char| letter.is_ascii_uppercase());
        let json: String = text.lines().skip_while(is_variable).collect();
        let document: Value =
            if json.trim().is_empty() { json!({}) } else { serde_json::from_str(&json).expect(path) };
        let loaded = Config::load(json.as_bytes(), |_| None);
        if loaded.as_ref().is_err_and(|refusal| beyond_the_schema(refusal).is_some()) {
            assert!(schema.accepts(&document), "{path}: {document}");
        } else {
            assert_eq!(loaded.is_ok(), schema.accepts(&document), "{path}: {document}, {loaded:?}");
            agreed += 1;
        }
    }
    assert!(agreed > 10, "{agreed} of {}", seeds.len());
}
