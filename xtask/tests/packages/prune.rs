//! `xtask prune`, on modules that `xtask wat` assembles.

use crate::support::{Scratch, command, fail, succeed};

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

fn assembled(name: &str) -> (Scratch, String) {
    let scratch = Scratch::new(name);
    let module = scratch.text("module.wasm");
    succeed(&mut command(&["wat", &scratch.write("module.wat", MODULE.as_bytes()), &module]));
    (scratch, module)
}
