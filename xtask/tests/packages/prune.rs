//! `xtask prune`, on modules that `xtask wat` assembles.

use cargo_metadata::MetadataCommand;

use crate::support::{Scratch, command, fail, in_repository, succeed};

const MODULE: &str = r#"(module
    (import "env" "called" (func $called))
    (import "env" "uncalled" (func $uncalled))
    (func (export "kept") call $called)
    (func (export "dropped") call $uncalled))"#;

#[test]
fn keeps_the_listed_exports_and_what_they_reach() {
    let (scratch, module) = assembled("prune");
    let exports = scratch.write("exports.txt", b"# a list\n\nkept # by the host\nenv.called\n");
    let pruned = scratch.text("pruned.wasm");
    for _ in ["first", "again, when nothing has changed"] {
        succeed(&mut command(&["prune", &module, &exports, &pruned]));
        let bytes = std::fs::read(&pruned).expect("a module");
        let names = ["kept", "called", "dropped", "uncalled"].map(|name| {
            let section = [&[u8::try_from(name.len()).expect("short")], name.as_bytes()].concat();
            bytes.windows(section.len()).any(|window| window == section)
        });
        assert_eq!(names, [true, true, false, false]);
    }
}

#[test]
fn refuses_a_module_without_a_listed_export() {
    let (scratch, module) = assembled("missing");
    let exports = scratch.write("exports.txt", b"kept\nabsent\n");
    let error = fail(&mut command(&["prune", &module, &exports, &scratch.text("pruned.wasm")]));
    let (expected, listed) =
        (format!("{module} does not export absent, which "), format!("{exports} lists\n"));
    assert!(error.contains(&expected) && error.ends_with(&listed), "{error}");
    assert!(!scratch.path("pruned.wasm").exists());
}

#[test]
fn makes_traps_of_the_methods_that_only_tables_keep() {
    let text = |tick: &str| {
        format!(
            r#"(module
            (import "env" "called" (func $called))
            (table (export "table") funcref (elem $a::traits::Root::on_tick $a::traits::Root::done))
            (func $a::traits::Root::on_tick call {tick})
            (func $a::traits::Root::done (drop (i32.const 12345))))"#
        )
    };
    const LIST: &str = "table\nenv.called\n";
    let prune = |scratch: &Scratch, module: &str, list: &str| {
        let list = scratch.write("exports.txt", list.as_bytes());
        command(&["prune", module, &list, &scratch.text("pruned.wasm")])
    };
    let (scratch, module) = assembled_from("methods", &text("$called"));
    for (list, is_kept) in [(LIST.to_owned(), true), (format!("{LIST}a::traits = on_\n"), false)] {
        succeed(&mut prune(&scratch, &module, &list));
        let bytes = std::fs::read(scratch.path("pruned.wasm")).expect("a module");
        // `i32.const 12345`
        assert_eq!(bytes.windows(4).any(|window| window == [0x41, 0xb9, 0xe0, 0x00]), is_kept, "{list}");
    }
    let (scratch, module) = assembled_from("method-call", &text("$a::traits::Root::done"));
    let error = fail(&mut prune(&scratch, &module, &format!("{LIST}a::traits = on_\n")));
    let expected = "a::traits::Root::on_tick calls a::traits::Root::done, which the list makes a trap";
    assert!(error.contains(expected), "{error}");
}

/// The dispatcher calls its contexts through tables, where `xtask prune` cannot see it.
#[test]
fn the_list_keeps_what_the_dispatcher_of_the_sdk_calls() {
    let metadata =
        MetadataCommand::new().current_dir(in_repository("")).other_options(["--locked".to_owned()]).exec();
    let packages = metadata.expect("Cargo's metadata").packages;
    let sdk = packages.iter().find(|package| package.name.as_str() == "proxy-wasm").expect("the SDK");
    let source = |name: &str| {
        let path = sdk.manifest_path.parent().expect("a directory").join("src").join(name);
        std::fs::read_to_string(path).expect("a file of the SDK")
    };
    let list = std::fs::read_to_string(in_repository("edges/proxy-wasm/exports.txt")).expect("the list");
    let kept = list.lines().find_map(|line| line.strip_prefix("proxy_wasm::traits = ")).expect("the line");
    let kept: Vec<&str> = kept.split_whitespace().collect();
    let (traits, dispatcher) = (source("traits.rs"), source("dispatcher.rs"));
    let methods = traits.split("    fn ").skip(1).filter_map(|text| text.split(['(', '<']).next());
    let called: Vec<&str> = methods.filter(|name| dispatcher.contains(&format!(".{name}("))).collect();
    assert!(called.contains(&"on_tick") && called.contains(&"create_http_context"), "{called:?}");
    let trapped = called.iter().filter(|name| !kept.iter().any(|word| name.starts_with(word)));
    assert_eq!(trapped.collect::<Vec<_>>(), Vec::<&&str>::new());
}

fn assembled(name: &str) -> (Scratch, String) {
    assembled_from(name, MODULE)
}

fn assembled_from(name: &str, text: &str) -> (Scratch, String) {
    let scratch = Scratch::new(name);
    let module = scratch.text("module.wasm");
    succeed(&mut command(&["wat", &scratch.write("module.wat", text.as_bytes()), &module]));
    (scratch, module)
}
