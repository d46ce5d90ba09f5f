//! Files, directories and standard input.

use std::fs;

use serde_json::Value;

use crate::support::{Directory, run};

#[test]
fn a_directory_is_read_sorted_and_without_what_is_no_manifest() {
    let bad = "role: gate\ndirection: inbound\n";
    let directory = Directory::new(
        "sorted",
        &[
            ("b.yaml", bad),
            ("a/z.yml", bad),
            ("a/c.json", "{\n\"role\": \"gate\"}"),
            ("a/kustomization.yaml", "resources: [z.yml]\n"),
            ("c/kustomization.yaml", "apiVersion: x/v1\nkind: Kustomization\nresources: []\n"),
            ("notes.txt", bad),
            (".git/x.yaml", bad),
            ("chart/Chart.yaml", "name: x\n"),
            ("chart/templates/x.yaml", "{{ if tracewarden }}\n"),
            ("chart/values.yaml", "replicas: 2\nimage: x\nservice: {port: 80}\n"),
            ("empty.yaml", ""),
            ("lines.json", "{\"a\": 1}\n{\"b\": 2}\n"),
            ("templates/x.yaml", bad),
        ],
    );
    let (status, said, _) = run(&["check", directory.text()], "");
    let starts: Vec<String> = ["a/c.json:2", "a/z.yml:1", "b.yaml:1", "templates/x.yaml:1"]
        .map(|name| format!("{}/{name}: error TW0106", directory.text()))
        .into();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.iter().zip(&starts).all(|(line, start)| line.starts_with(start)), "{said}");
    assert_eq!(
        lines[4], "not valid: 4 plugins in 10 files, 4 errors; 2 other documents passed over",
        "{said}"
    );
    assert_eq!(status, Some(1));
}

#[test]
fn a_broken_manifest_in_a_directory_is_reported() {
    let directory = Directory::new(
        "broken",
        &[("a.yaml", "kind: WasmPlugin\n  name: Tracewarden\n"), ("b.json", "{\"role\": \"internal\",}")],
    );
    let (status, said, _) = run(&["check", directory.text()], "");
    assert!(status == Some(1) && said.contains("a.yaml:2: error TW0101: expected YAML or JSON: "), "{said}");
    let envoy = "{\"static_resources\":\n{\"listeners\": [\"tracewarden\",]}}";
    let directory_of_envoy = Directory::new("strict", &[("envoy.json", envoy)]);
    let (_, said, _) = run(&["check", directory_of_envoy.text()], "");
    assert!(said.contains("envoy.json:2: error TW0101: expected YAML or JSON: expected value\n"), "{said}");
    let file = directory.0.join("b.json");
    let (status, said, _) = run(&["check", file.to_str().expect("text")], "");
    assert!(
        status == Some(1) && said.contains("b.json:1: error TW0101"),
        "a file of JSON is no YAML: {said}"
    );
}

#[test]
fn several_files_are_judged_together() {
    let plugin = |direction: &str| {
        format!(
            "apiVersion: x/v1\nkind: WasmPlugin\nmetadata: {{name: tracewarden}}\nspec:\n  pluginConfig: {{direction: {direction}, correlation: {{}}}}\n"
        )
    };
    let directory =
        Directory::new("several", &[("in.yaml", &plugin("inbound")), ("out.yaml", &plugin("outbound"))]);
    let [inbound, outbound] =
        ["in.yaml", "out.yaml"].map(|name| directory.0.join(name).display().to_string());
    assert!(run(&["check", &inbound], "").1.contains("warning TW0207"));
    assert_eq!(run(&["check", &inbound, &outbound], "").1, "valid: 2 plugins in 2 files\n");
    assert_eq!(run(&["check", &inbound, "-"], &plugin("outbound")).1, "valid: 2 plugins in 2 files\n");
}

#[test]
fn an_empty_input_says_so() {
    let directory = Directory::new("empty", &[("x.yaml", "# nothing\n---\n")]);
    let file = directory.0.join("x.yaml").display().to_string();
    for (arguments, input) in
        [(["check", "-"], ""), (["check", "-"], " \n\n"), (["check", "-"], "---\n"), (["check", &file], "")]
    {
        let (status, said, _) = run(&arguments, input);
        let is_said =
            said.contains(":1: error TW0112: expected a configuration or a manifest, found nothing");
        assert!(status == Some(1) && is_said, "{input:?}: {said}");
    }
    assert_eq!(run(&["check"], "{}").1, "valid: 1 plugin in 1 file\n");
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_judged() {
    let directory = Directory::new(
        "unread",
        &[("good.yaml", "role: gate\n"), ("other.yaml", "kind: Pod\napiVersion: v1\n")],
    );
    fs::write(directory.0.join("latin.yaml"), b"role: \xe9dge\n").expect("a file");
    let name = |name: &str| directory.0.join(name).display().to_string();
    let (status, said, _) = run(&["check", &name("none.yaml"), &name("latin.yaml"), &name("good.yaml")], "");
    for part in [
        "none.yaml:1: error TW0001: cannot be read: ",
        "latin.yaml:1: error TW0001: expected text in UTF-8",
        "good.yaml:1: error TW0106",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(status, Some(2));
    let (status, said, _) = run(&["check", "--json", &name("other.yaml")], "");
    let value: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        (status, &value["errors"][0]["code"], &value["passed_over"]),
        (Some(2), &"TW0002".into(), &1.into())
    );
}
