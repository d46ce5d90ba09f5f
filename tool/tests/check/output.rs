//! What is printed, for people, for programs, and for a workflow's log.

use serde_json::{Value, json};

use crate::command;
use crate::support::{run, tracewarden};

const YAML: &str = "role: gate\nmode: observe\nstart: nevr\n";

#[test]
fn a_line_of_text_has_file_line_severity_and_code() {
    let (status, said, complaint) = run(&["check"], YAML);
    let expected = "<stdin>:1: error TW0106: role: expected one of \"edge\", \"internal\", found \"gate\"\n\
                    <stdin>:3: error TW0106: start: expected one of \"always\", \"never\", found \"nevr\"\n\
                    not valid: 1 plugin in 1 file, 2 errors\n\
                    `tracewarden reference codes` explains each code.\n";
    assert_eq!((status, said.as_str(), complaint.as_str()), (Some(1), expected, ""));
    assert_eq!(run(&["check", "--format", "text"], "{}").1, "valid: 1 plugin in 1 file\n");
}

#[test]
fn json_is_the_same_by_either_option() {
    let (status, said, _) = run(&["check", "--json"], "{\"enabled\": false}");
    assert_eq!(
        run(&["check", "--format", "json"], "{\"enabled\": false}"),
        (status, said.clone(), String::new())
    );
    let value: Value = serde_json::from_str(&said).expect("JSON");
    let note = json!({
        "code": "TW0301", "file": "<stdin>", "line": 1, "place": "", "path": "",
        "message": "enabled: false, so this plugin changes nothing and counts nothing",
    });
    let plugin = json!({"file": "<stdin>", "line": 1, "place": "", "valid": true});
    let expected = json!({
        "valid": true, "plugins": [plugin], "errors": [], "warnings": [], "notes": [note], "files": 1, "passed_over": 0,
    });
    assert_eq!((status, value), (Some(0), expected));
}

#[test]
fn github_gets_its_workflow_commands() {
    let (status, said, _) = run(&["check", "--format", "github"], YAML);
    let expected = "::error file=<stdin>,line=1,title=TW0106::role: expected one of \"edge\", \"internal\", found \"gate\"\n";
    assert!(status == Some(1) && said.starts_with(expected), "{said}");
    for (input, begin) in [("{\"start\": \"never\"}", "::warning "), ("{\"enabled\": false}", "::notice ")] {
        let (status, said, _) = run(&["check", "--format", "github"], input);
        assert!(status == Some(0) && said.starts_with(begin), "{said}");
    }
    let (_, said, _) = run(&["check", "--format", "github", "no,such:100%.yaml"], "");
    assert!(
        said.starts_with("::error file=no%2Csuch%3A100%25.yaml,line=1,title=TW0001::cannot be read"),
        "{said}"
    );
    let (_, said, _) = run(&["check", "--format", "github"], "{\"50%\\n\": 1}");
    assert!(
        said.starts_with("::error file=<stdin>,line=1,title=TW0102::unknown field `50%25\\n`;"),
        "{said}"
    );
}

#[test]
fn strictly_seen_a_warning_is_an_error_and_an_allowed_one_is_left_out() {
    let doubtful = "{\"start\": \"never\"}";
    let rows: &[(&[&str], Option<i32>, &str)] = &[
        (&["check"], Some(0), "<stdin>:1: warning TW0204: "),
        (&["check", "--strict"], Some(1), "<stdin>:1: error TW0204: "),
        (&["check", "--strict", "--allow", "TW0204"], Some(0), "valid: 1 plugin in 1 file\n"),
        (&["check", "--strict", "--allow", "TW0205"], Some(1), "<stdin>:1: error TW0204: "),
    ];
    for (arguments, expected, begin) in rows {
        let (status, said, _) = run(arguments, doubtful);
        assert!(status == *expected && said.starts_with(begin), "{arguments:?}: {said}");
    }
    let note = run(&["check", "--strict"], "{\"enabled\": false}");
    assert!(note.0 == Some(0) && note.1.starts_with("<stdin>:1: note TW0301: "), "{note:?}");
    for code in ["TW0101", "TW9999", ""] {
        assert_eq!(run(&["check", "--allow", code], doubtful).0, Some(2), "{code}");
    }
}

#[test]
fn nothing_that_a_terminal_obeys_is_passed_on() {
    // Escape sequences are left out of what is no terminal anyway; these are not.
    let manifest = "apiVersion: x/v1\nkind: WasmPlugin\nmetadata: {name: \"tracewarden\\a\\r\"}\nspec:\n  \
                    pluginConfig: {\"\\a\": 1, role: \"\\r\\a\"}\n";
    for (format, lines) in [("text", 5), ("github", 4), ("json", 1)] {
        let (_, said, _) = run(&["check", "--format", format, "-", "no-such\u{7}\r\n.yaml"], manifest);
        assert_eq!((said.lines().count(), said.matches("TW0").count()), (lines, 3), "{format}: {said:?}");
        assert!(!said.contains(['\u{7}', '\r']), "{format}: {said:?}");
    }
}

#[test]
fn the_variables_of_this_process_count_for_a_configuration_alone() {
    let check = |name: &str, value: &str| command::end(tracewarden().arg("check").env(name, value), "{}");
    let (status, said, _) = check("TRACEWARDEN_ON_BAD_CONFIG", "ignore");
    let begin = "<stdin>:1: error TW0111: TRACEWARDEN_ON_BAD_CONFIG: expected \"refuse\" or \"bypass\", found \"ignore\"\n";
    assert!(status == Some(1) && said.starts_with(begin), "{said}");
    assert_eq!(check("TRACEWARDEN_ON_BAD_CONFIG", "bypass").0, Some(0));
    assert!(check("TRACEWARDEN_MODE", "x").1.starts_with("<stdin>:1: error TW0106: TRACEWARDEN_MODE: "));
    assert!(
        check("OTEL_TRACES_SAMPLER", "x")
            .1
            .starts_with("<stdin>:1: warning TW0201: ignored OTEL_TRACES_SAMPLER")
    );
}
